import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, describe, it } from 'node:test';
import type { PerMessageDeflateOptions } from '../../lib/extensions/deflate-options.ts';
import { bytesOf } from '../support/arbitraries.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { Mailbox } from '../support/interop.ts';
import { makeServer, run } from '../support/running-server.ts';

interface WsSocket extends NodeJS.EventEmitter {
  readonly extensions: string;
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): this;
  send(data: string | Buffer, options?: { readonly compress?: boolean }): void;
  terminate(): void;
}

interface WsDeflateOptions {
  readonly threshold?: number;
  readonly serverNoContextTakeover?: boolean;
  readonly clientNoContextTakeover?: boolean;
  readonly serverMaxWindowBits?: number;
  readonly clientMaxWindowBits?: number;
}

// It ships no types.
const { WebSocket } = (await import('ws' as string)) as {
  WebSocket: new (url: string, options: { perMessageDeflate: boolean | WsDeflateOptions }) => WsSocket;
};

const SIZES = [0, 1, 16, 125, 126, 1000, 1024, 4096, 65_535, 65_536, 65_537, 131_072, 900_000];
const TAKEOVER = { serverNoContextTakeover: false, clientNoContextTakeover: false, thresholdBytes: 0 };

const agreements: [server: boolean | PerMessageDeflateOptions, client: boolean | WsDeflateOptions][] = [
  [true, true],
  [{ thresholdBytes: 0, level: 9 }, { threshold: 0 }],
  [TAKEOVER, { threshold: 0 }],
  [TAKEOVER, { threshold: 0, serverNoContextTakeover: true }],
  [TAKEOVER, { threshold: 0, clientNoContextTakeover: true }],
  [{ ...TAKEOVER, clientNoContextTakeover: true }, true],
  [{ ...TAKEOVER, maxContextBytes: 120 * 1024 }, true],
];
for (let bits = 8; bits <= 15; bits++) {
  const windows = { serverMaxWindowBits: bits, clientMaxWindowBits: 23 - bits };
  agreements.push([{ ...TAKEOVER, ...windows }, { threshold: 0 }], [TAKEOVER, { threshold: 0, ...windows }]);
}

describe('ws, with compression', () => {
  afterEach(cleanUp);

  for (const [perMessageDeflate, wsOptions] of agreements) {
    it(`echoes ${JSON.stringify(perMessageDeflate)} to ${JSON.stringify(wsOptions)}`, async () => {
      const { server, errors } = makeServer({ perMessageDeflate });
      server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
      const socket = new WebSocket(`ws://127.0.0.1:${await run(server)}/`, { perMessageDeflate: wsOptions });
      onCleanUp(() => socket.terminate());
      const mailbox = new Mailbox();
      socket.on('message', (data, isBinary) => mailbox.put(isBinary ? data : data.toString()));
      await once(socket, 'open');
      assert.equal(socket.extensions, 'permessage-deflate');
      const messages = SIZES.flatMap((size) => {
        const text = `{"size":${size},"name":"é"},`.repeat(size / 20 + 1).slice(0, size);
        return [text, Buffer.from(text).reverse(), bytesOf(size, size)];
      });
      for (const [i, message] of messages.entries()) socket.send(message, { compress: i % 5 !== 4 });
      for (const message of messages) {
        const echoed = await mailbox.take();
        assert.equal(typeof echoed, typeof message);
        assert.ok(Buffer.from(echoed as Buffer).equals(Buffer.from(message as Buffer)), `${message.length} long`);
      }
      assert.deepEqual(errors, []);
    });
  }
});
