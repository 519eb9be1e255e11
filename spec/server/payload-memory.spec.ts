import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { constants, inflateRawSync } from 'node:zlib';
import { bytesOf } from '../support/arbitraries.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer } from '../support/running-server.ts';
import { SERVINGS } from '../support/servings.ts';
import type { WsClient } from '../support/ws-client.ts';

/** Messages in memory of every kind there is, which may shrink, grow, be written to or be taken away once they are sent. */

interface Resizable extends ArrayBuffer {
  resize(length: number): void;
}

interface Growable extends SharedArrayBuffer {
  grow(length: number): void;
}

// Newer than the types that the library is compiled with.
const makeResizable = (length: number, maxByteLength: number): Resizable =>
  new (ArrayBuffer as unknown as new (length: number, options: object) => Resizable)(length, { maxByteLength });
const makeGrowable = (length: number, maxByteLength: number): Growable =>
  new (SharedArrayBuffer as unknown as new (length: number, options: object) => Growable)(length, { maxByteLength });

/** Copied at once; kept by reference; and what the thread pool compresses, where messages are compressed. */
const SIZES = [0, 100, 16_383, 16_384, 100_000];

const KINDS: Readonly<Record<string, (bytes: Buffer) => Uint8Array>> = {
  'a resizable buffer': (bytes) => fill(new Uint8Array(makeResizable(bytes.length, 200_000)), bytes),
  'a part of a resizable buffer': (bytes) =>
    fill(new Uint8Array(makeResizable(bytes.length + 20, 200_000), 7, bytes.length), bytes),
  'a shared buffer': (bytes) => fill(new Uint8Array(new SharedArrayBuffer(bytes.length)), bytes),
  'a shared buffer that can grow': (bytes) => fill(new Uint8Array(makeGrowable(bytes.length, 200_000)), bytes),
  'a part of a shared buffer, as a Buffer': (bytes) =>
    fill(Buffer.from(new SharedArrayBuffer(bytes.length + 20) as unknown as ArrayBuffer, 7, bytes.length), bytes),
};

function fill(view: Uint8Array, bytes: Buffer): Uint8Array {
  view.set(bytes);
  return view;
}

/** What is done to a message between the send and the write. A small one was copied by then. */
const CHANGES: Readonly<Record<string, (size: number) => readonly [Uint8Array, change: () => void]>> = {
  'written to': (size) => {
    const view = new Uint8Array(size);
    return [view, () => view.fill(1)];
  },
  'shrunk to nothing': (size) => {
    const buffer = makeResizable(size, 200_000);
    return [new Uint8Array(buffer), () => buffer.resize(0)];
  },
  grown: (size) => {
    const buffer = makeResizable(size, 200_000);
    return [new Uint8Array(buffer), () => buffer.resize(150_000)];
  },
  'grown, and shared': (size) => {
    const buffer = makeGrowable(size, 200_000);
    return [new Uint8Array(buffer), () => buffer.grow(150_000)];
  },
  transferred: (size) => {
    const buffer = new ArrayBuffer(size);
    return [new Uint8Array(buffer), () => void structuredClone(buffer, { transfer: [buffer] })];
  },
};

for (const { name, serve } of SERVINGS) {
  describe(`a message over ${name}`, () => {
    const { server, errors } = makeServer({ perMessageDeflate: { thresholdBytes: 0 } });
    let next: readonly [Uint8Array, change?: () => void];
    server.route('/', async (ctx) => {
      const [message, change] = next;
      const sent = ctx.sendResponseBody(message, { compress: ctx.getRequestBody() === 'compressed' });
      change?.();
      await sent;
      await ctx.sendResponseBody('behind it', { compress: false });
    });
    let served: Awaited<ReturnType<typeof serve>>;
    before(async () => {
      served = await serve(server);
    });
    afterEach(cleanUp);
    after(() => served.stop());

    const open = async (): Promise<WsClient> => {
      const client = await served.connect();
      await client.upgrade('/', {
        'Sec-WebSocket-Extensions': 'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
      });
      return client;
    };

    for (const [kind, make] of Object.entries(KINDS)) {
      it(`may lie in ${kind}, and be of any size`, async () => {
        const client = await open();
        for (const size of SIZES) {
          const bytes = bytesOf(size, size);
          next = [make(bytes)];
          client.send('as it is');
          assert.deepEqual(await client.receive(), bytes);
          assert.equal(await client.receive(), 'behind it');
        }
        assert.deepEqual(errors, []);
      });

      it(`may lie in ${kind}, and be compressed`, async () => {
        const client = await open();
        for (const size of SIZES) {
          const bytes = Buffer.alloc(size, 'it repeats itself. ');
          next = [make(bytes)];
          client.send('compressed');
          const frame = (await client.readFrame())!;
          const payload = frame.rsv1 ? inflate(frame.payload) : frame.payload;
          assert.deepEqual(payload, bytes);
          assert.equal(await client.receive(), 'behind it');
        }
        assert.deepEqual(errors, []);
      });
    }

    for (const [change, make] of Object.entries(CHANGES)) {
      it(`below 16 KiB is sent as it was, though it is ${change} once it is sent`, async () => {
        const client = await open();
        for (const size of [1, 100, 16_383]) {
          next = make(size);
          client.send('as it is');
          assert.deepEqual(await client.receive(), Buffer.alloc(size));
          assert.equal(await client.receive(), 'behind it');
        }
        assert.deepEqual(errors, []);
      });

      if (change === 'written to') continue;
      it(`of 16 KiB and more ends its own connection, and no other, when it is ${change} once it is sent`, async (t) => {
        t.mock.method(process, 'emitWarning', () => {});
        const [client, other] = [await open(), await open()];
        next = make(16_384);
        client.send('as it is');
        await client.waitForEnd();
        next = [Buffer.from('another')];
        other.send('as it is');
        assert.deepEqual(await other.receive(), Buffer.from('another'));
      });
    }
  });
}

function inflate(payload: Buffer): Buffer {
  return inflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH });
}
