import '../support/seed.ts';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { Duplex, type DuplexOptions } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { LimitError } from '../../lib/errors.ts';
import { resolveDeflateOptions } from '../../lib/extensions/deflate-options.ts';
import { acceptOffer } from '../../lib/extensions/deflate-params.ts';
import { parseExtensions } from '../../lib/extensions/extension-header.ts';
import { acceptDeflate, PerMessageDeflate } from '../../lib/extensions/permessage-deflate.ts';
import { listHasToken, parseTokenList } from '../../lib/handshake/header-list.ts';
import { checkUpgrade } from '../../lib/handshake/upgrade.ts';
import { Connection } from '../../lib/net/connection.ts';
import type { Role } from '../../lib/protocol/events.ts';
import { Response } from '../../lib/server/response.ts';
import { Server } from '../../lib/server/server.ts';
import { collectGarbage } from '../channel/collect-garbage.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { CONNECTION_LIMITS, infoOf, memoryPair, open, receive, TestOwner } from '../support/connections.ts';
import { hex } from '../support/hex.ts';
import {
  assertCloses,
  assertSent,
  assertSentClose,
  closePayload,
  ProtocolRecorder,
  peerFrame,
} from '../support/protocol-recorder.ts';
import { makeServer, run } from '../support/running-server.ts';
import { settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, httpRequest, SAMPLE_KEY, upgradeRequest, WsClient } from '../support/ws-client.ts';

/**
 * One example at least for each kind of vulnerability that WebSocket libraries had. The identifiers are those of the
 * advisories; which library it was matters less than what it got wrong.
 */

const ROLES: readonly Role[] = ['server', 'client'];
const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes of the heap and of buffers that are in use after a collection. */
function retainedBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** The header of a frame whose length is announced in 64 bits, as the peer of `role` sends it. */
function header64(role: Role, length: string): Buffer {
  return hex(role === 'server' ? `82 ff ${length} 00000000` : `82 7f ${length}`);
}

/** A peer that reads nothing: what is written to it waits for ever. It says what it likes. */
class StalledPeer extends Duplex {
  constructor(options: DuplexOptions = {}) {
    super({ write: () => {}, read: () => {}, ...options });
  }
}

function openStalled(
  limits: object = {},
  highWaterMark?: number,
): { connection: Connection; peer: StalledPeer; owner: TestOwner } {
  const peer = new StalledPeer(highWaterMark === undefined ? {} : { highWaterMark });
  const owner = new TestOwner();
  const connection = new Connection(peer, 'server', { ...CONNECTION_LIMITS, ...limits });
  connection.start(owner);
  onCleanUp(() => connection.destroy());
  return { connection, peer, owner };
}

describe('vulnerabilities', () => {
  afterEach(cleanUp);

  describe('1. a length without a limit (CVE-2016-10542)', () => {
    for (const role of ROLES) {
      it(`refuses it at the header, and reserves nothing (${role})`, () => {
        const recorder = new ProtocolRecorder(role);
        recorder.receive(header64(role, '0000 0000 0010 0001'));
        assertCloses(recorder, 1009);
        assert.equal(recorder.errors[0]!.code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
        assert.equal(recorder.protocol.receivedBytes, 0);
      });

      it(`reserves next to nothing for a length that is announced and never sent (${role})`, () => {
        const recorder = new ProtocolRecorder(role, { maxMessageBytes: 1024 * MIB, maxFrameBytes: 1024 * MIB });
        recorder.receive(header64(role, '0000 0000 4000 0000'));
        assert.ok(recorder.protocol.receivedBytes <= 4096, `${recorder.protocol.receivedBytes} bytes are held`);
        recorder.receive(Buffer.alloc(10));
        assert.ok(recorder.protocol.receivedBytes <= 4096, `${recorder.protocol.receivedBytes} bytes are held`);
        assert.equal(recorder.protocol.state, 'open');
      });
    }

    it('counts the sum of the fragments', () => {
      const recorder = new ProtocolRecorder('server', { maxMessageBytes: 10 });
      recorder.receive(recorder.peerFrame(0x02, '12345'), recorder.peerFrame(0x00, '12345'));
      assert.equal(recorder.protocol.state, 'open');
      recorder.receive(recorder.peerFrame(0x00, '1').subarray(0, 6));
      assertCloses(recorder, 1009);
    });
  });

  describe('2. lengths of 64 bits (CVE-2026-1528, CVE-2020-27813, CVE-2026-54466)', () => {
    const lengths: readonly (readonly [length: string, closeCode: number])[] = [
      ['0000 0000 0000 0000', 1002], // not the shortest form
      ['0000 0000 0000 ffff', 1002],
      ['0000 0001 0000 0000', 1009], // 2^32: the low half alone is 0
      ['0000 0001 0000 0005', 1009],
      ['001f ffff ffff ffff', 1009], // 2^53 - 1
      ['0020 0000 0000 0000', 1009], // 2^53
      ['7fff ffff ffff ffff', 1009],
      ['8000 0000 0000 0000', 1002], // §5.2: the most significant bit must be 0
      ['8000 0000 0000 0005', 1002],
      ['ffff ffff ffff ffff', 1002],
      ['ffff ffff 0000 0005', 1002],
    ];
    for (const role of ROLES) {
      for (const [length, closeCode] of lengths) {
        it(`closes with ${closeCode} for ${length} (${role})`, () => {
          for (const maxMessageBytes of [MIB, 2 ** 31]) {
            const recorder = new ProtocolRecorder(role, { maxMessageBytes, maxFrameBytes: maxMessageBytes });
            recorder.receive(header64(role, length), Buffer.alloc(100));
            assertCloses(recorder, closeCode);
          }
        });
      }

      it(`takes the largest number there is for a limit, and still reserves nothing (${role})`, () => {
        const all = { maxMessageBytes: Number.POSITIVE_INFINITY, maxFrameBytes: Number.POSITIVE_INFINITY };
        const recorder = new ProtocolRecorder(role, all).receive(
          header64(role, '001f ffff ffff ffff'),
          Buffer.alloc(9),
        );
        assert.equal(recorder.protocol.state, 'open');
        assert.ok(recorder.protocol.receivedBytes <= 4096);
      });
    }
  });

  describe('3. fragments that are empty (CVE-2026-12151)', () => {
    for (const role of ROLES) {
      it(`keeps nothing for 100,000 of them (${role})`, () => {
        const recorder = new ProtocolRecorder(role);
        recorder.receive(peerFrame(role, 0x01, ''));
        const bytes = Buffer.concat(Array(1000).fill(peerFrame(role, 0x00, '')));
        // What the compiler keeps is none of it.
        for (let i = 0; i < 20; i++) recorder.protocol.receiveData(Buffer.from(bytes));
        const before = retainedBytes();
        for (let i = 0; i < 100; i++) recorder.protocol.receiveData(Buffer.from(bytes));
        assert.equal(recorder.protocol.receivedBytes, 0);
        const grown = retainedBytes() - before;
        assert.ok(grown < 256 * KIB, `${grown} bytes more are retained`);
        recorder.receive(peerFrame(role, 0x80, 'end'));
        assert.deepEqual(recorder.messages(), ['end']);
      });
    }
  });

  describe('4. tiny fragments over tiny chunks (CVE-2026-48779, CVE-2026-62389)', () => {
    for (const role of ROLES) {
      it(`retains their bytes and next to nothing more (${role})`, () => {
        const count = 50_000;
        const recorder = new ProtocolRecorder(role);
        const frame = peerFrame(role, 0x00, 'x');
        recorder.receive(peerFrame(role, 0x02, 'x'));
        const before = retainedBytes();
        for (let i = 1; i < count; i++) {
          for (const byte of frame) recorder.protocol.receiveData(Buffer.of(byte));
        }
        const grown = retainedBytes() - before;
        assert.ok(
          recorder.protocol.receivedBytes <= 2 * count,
          `${recorder.protocol.receivedBytes} bytes are reserved`,
        );
        assert.ok(grown < 2 * count + 512 * KIB, `${grown} bytes are retained for ${count}`);
        recorder.receive(peerFrame(role, 0x80, ''));
        assert.equal((recorder.messages()[0] as Buffer).length, count);
      });
    }
  });

  describe('5. control frames between fragments, which pin what they came in', () => {
    it('keeps no chunk alive for a byte or a Ping that came in it', () => {
      const recorder = new ProtocolRecorder('server');
      recorder.protocol.receiveData(peerFrame('server', 0x02, 'x'));
      const before = retainedBytes();
      for (let i = 0; i < 300; i++) {
        const chunk = Buffer.alloc(64 * KIB);
        const frames = Buffer.concat([peerFrame('server', 0x89, 'ping'), peerFrame('server', 0x00, 'x')]);
        frames.copy(chunk);
        recorder.protocol.receiveData(chunk, 0, frames.length);
        recorder.events.length = 0;
      }
      const grown = retainedBytes() - before;
      assert.ok(grown < 2 * MIB, `${grown} bytes are retained for 300 bytes in 19 MiB of chunks`);
      assert.equal(recorder.protocol.state, 'open');
    });

    it('keeps no chunk alive for a message that waits, nor for a close reason', async () => {
      const { connection, client } = await open(memoryPair);
      const before = retainedBytes();
      for (let i = 0; i < 40; i++) {
        const chunk = Buffer.concat([clientFrame(0x82, Buffer.alloc(10)), clientFrame(0x8a, Buffer.alloc(125))]);
        const padded = Buffer.alloc(256 * KIB);
        chunk.copy(padded);
        client.write(padded.subarray(0, chunk.length));
        await settle(2);
      }
      assert.equal(connection.receivedBytes, 400);
      const grown = retainedBytes() - before;
      assert.ok(grown < 3 * MIB, `${grown} bytes are retained for 400 bytes in 10 MiB of chunks`);
    });
  });

  describe('5. what is kept in a pool that others share', () => {
    /** Uses up the pool that small buffers are cut from: what was cut from it before keeps it alive. */
    const churn = (): void => {
      for (let used = 0; used <= Buffer.poolSize; used += 1000) Buffer.from(Buffer.alloc(1000));
    };

    it('is neither a message that waits, nor bytes that were not read, nor a Ping', async () => {
      const limits = { maxQueuedMessages: 30 };
      const peers = Array.from({ length: 20 }, () => openStalled(limits));
      const before = retainedBytes();
      for (let i = 0; i < 30; i++) {
        for (const { peer, connection } of peers) {
          peer.push(Buffer.concat([clientFrame(0x82, Buffer.alloc(60)), clientFrame(0x89, '12345678')]));
          connection.ping(Buffer.from('mine')).catch(() => {});
          churn();
        }
        await settle(1);
      }
      const grown = retainedBytes() - before;
      const waiting = peers.reduce((sum, one) => sum + one.connection.receivedBytes + one.connection.bufferedBytes, 0);
      assert.ok(grown < 3 * MIB, `${grown} bytes are retained for ${waiting}`);
    });
  });

  describe('6. a flood of Pings (ws 8.23.0)', () => {
    it('answers the first ones and the latest while nothing can leave, whatever their number', () => {
      const recorder = new ProtocolRecorder('server');
      for (let i = 0; i < 10_000; i++) {
        recorder.receive(recorder.peerFrame(0x89, Buffer.alloc(125, i)));
        assert.ok(recorder.protocol.outputBytes <= 17 * (2 + 125));
        recorder.events.length = 0;
      }
      const pongs = recorder.sent();
      assert.equal(pongs.length, 17);
      assert.deepEqual(pongs.at(-1)!.payload, Buffer.alloc(125, 9_999 % 256));
    });

    it('is bounded where the peer reads nothing, and does not end the connection', async () => {
      const { connection, peer } = openStalled();
      const flood = Buffer.concat(Array(400).fill(clientFrame(0x89, Buffer.alloc(125))));
      let most = 0;
      for (let i = 0; i < 100; i++) {
        peer.push(Buffer.from(flood));
        await settle(1);
        most = Math.max(most, connection.bufferedBytes);
      }
      // What the stream takes before it asks to wait, the answers of the read that made it do so, and those behind.
      const bound = peer.writableHighWaterMark + 2 * 17 * 127;
      assert.ok(most <= bound, `${most} bytes wait for a peer that sent 40,000 Pings; the bound is ${bound}`);
      assert.equal(connection.state, 'open');
    });

    it('answers every Ping of a peer that sends no more than 16 in a read', async () => {
      const { client } = await open(memoryPair);
      for (let i = 0; i < 50; i++) client.write(Buffer.concat(Array(16).fill(clientFrame(0x89, `${i}`))));
      for (let i = 0; i < 50 * 16; i++) {
        assert.equal((await client.readFrame())!.payload.toString(), `${Math.floor(i / 16)}`);
      }
    });
  });

  describe('7. decompression bombs (CVE-2026-1526, CVE-2026-54490)', () => {
    const bomb = deflateRawSync(Buffer.alloc(64 * MIB), { level: 9, finishFlush: 2 }).subarray(0, -4);

    for (const role of ROLES) {
      for (const fragments of [1, 7]) {
        it(`stops inflating at the limit, with ${fragments} fragments (${role})`, async () => {
          const options = resolveDeflateOptions(true)!;
          const recorder = new ProtocolRecorder(role, {}, new PerMessageDeflate(role, options, options));
          const before = process.memoryUsage().arrayBuffers;
          const size = Math.ceil(bomb.length / fragments);
          for (let i = 0; i < fragments; i++) {
            const bits = (i === 0 ? 0x42 : 0) | (i === fragments - 1 ? 0x80 : 0);
            recorder.receive(recorder.peerFrame(bits, bomb.subarray(i * size, (i + 1) * size)));
            recorder.receive(recorder.peerFrame(0x8a, 'between'));
          }
          await recorder.settle();
          assert.equal(recorder.errors[0]?.code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
          assertSentClose(recorder, 1009);
          assert.deepEqual(recorder.messages(), []);
          const grown = process.memoryUsage().arrayBuffers - before;
          assert.ok(grown < 16 * MIB, `${grown} bytes were taken for a message of 64 MiB`);
        });
      }
    }
  });

  describe('8. windows that zlib cannot have (CVE-2026-2229)', () => {
    const wishes = resolveDeflateOptions(true)!;
    for (const bits of ['0', '7', '16', '1000', '-8', '8.5', '08', '""', '', '1e1', '99999999999999999999']) {
      it(`declines ${JSON.stringify(bits)}`, () => {
        for (const name of ['server_max_window_bits', 'client_max_window_bits']) {
          const offers = parseExtensions(`permessage-deflate; ${name}=${bits}`);
          assert.equal(acceptOffer(offers ?? [], wishes), undefined);
          assert.equal(acceptDeflate(offers ?? [], wishes), undefined);
        }
      });
    }

    for (const bits of [8, 9, 15]) {
      it(`works with ${bits}`, async () => {
        const offers = parseExtensions(
          `permessage-deflate; server_max_window_bits=${bits}; client_max_window_bits=${bits}`,
        );
        const { compression } = acceptDeflate(offers!, wishes)!;
        const text = 'hello '.repeat(1000);
        const payload = Buffer.from((await compression.compress(text, true))!);
        const back = await compression.decompress(true, payload, 0, payload.length, MIB);
        assert.equal(back, text);
        compression.close();
      });
    }
  });

  describe('9. names of the prototype (GHSA-5v72-xg48-5rpm)', () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', 'prototype'];

    it('takes them for names like any other, in headers, subprotocols, paths and queries', async () => {
      const seen: unknown[] = [];
      const { server, errors } = makeServer({ subprotocols: names });
      server.route('/:__proto__/x', (ctx) => {
        seen.push(ctx.getRouteParam('__proto__'), ctx.getRequestQuery('__proto__'), ctx.getRequestHeader('__proto__'));
        seen.push(ctx.getRequestHeader('toString'), ctx.getRequestQuery('valueOf'), ctx.getRouteParam('constructor'));
      });
      const port = await run(server);
      for (const name of names) {
        const client = await WsClient.connect(port);
        const head = await client.upgrade('/constructor/x?__proto__=q', {
          'Sec-WebSocket-Protocol': name,
          'Sec-WebSocket-Extensions': names.map((one) => `${one}; ${one}; ${one}=${one}`).join(', '),
          __proto__x: 'h',
          ['__proto__']: 'h',
        });
        assert.equal(head.headers.get('sec-websocket-protocol'), name);
        assert.equal(head.headers.get('sec-websocket-extensions'), undefined);
        client.send('').close(1000);
        await client.receiveClose(false);
      }
      assert.deepEqual(seen.slice(0, 6), ['constructor', 'q', 'h', undefined, undefined, undefined]);
      assert.deepEqual(errors, []);
      assert.equal(({} as Record<string, unknown>).h, undefined);
    });

    it('takes them for payloads of Pings and Pongs', async () => {
      const { connection, client } = await open(memoryPair);
      for (const name of names) client.write(clientFrame(0x8a, name));
      const answer = connection.ping(Buffer.from('__proto__'));
      assert.equal((await client.readFrame())!.payload.toString(), '__proto__');
      client.write(clientFrame(0x8a, '__proto__'));
      assert.equal(typeof (await soon('the Pong', answer)), 'number');
    });
  });

  describe('10. headers that take quadratic time (CVE-2021-32640, CVE-2020-7662)', () => {
    // With time quadratic in these sizes none of it would ever end.
    const size = 2 * MIB;

    it('reads lists in one pass', () => {
      assert.deepEqual(parseTokenList(`a${' '.repeat(size)}b`), undefined);
      assert.deepEqual(parseTokenList(`a,${' '.repeat(size)},b`), ['a', 'b']);
      assert.deepEqual(parseTokenList(','.repeat(size)), []);
      assert.equal(listHasToken(`${' ,'.repeat(size / 2)}upgrade`, 'upgrade'), true);
      assert.equal(listHasToken(`a${'\t'.repeat(size)}b`, 'upgrade'), false);
    });

    it('reads extensions in one pass', () => {
      assert.equal(parseExtensions(`a; b="${'\\c'.repeat(size / 2)}`), undefined);
      assert.equal(parseExtensions(`a; b="${'c'.repeat(size)}`), undefined);
      assert.equal(parseExtensions(`a${' '.repeat(size)}b`), undefined);
      assert.equal(parseExtensions('a;'.repeat(size / 2)), undefined);
      assert.equal(parseExtensions(`a${'; b'.repeat(size / 4)}`)![0]!.parameters.length, size / 4);
      assert.equal(
        acceptOffer(parseExtensions(`permessage-deflate${'; x'.repeat(size / 4)}`)!, resolveDeflateOptions(true)!),
        undefined,
      );
    });

    it('checks upgrades in one pass', () => {
      const headers = {
        host: 'a',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': SAMPLE_KEY,
      };
      const connection = `Upgrade${', x'.repeat(size / 4)}`;
      const protocols = Array.from({ length: size / 16 }, (_, i) => `p${i}`).join(' ,\t');
      const head = { method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1 };
      const request = { ...head, headers: { ...headers, connection, 'sec-websocket-protocol': protocols } };
      assert.equal(checkUpgrade(request, '*').subprotocols.length, size / 16);
      const origin = `https://${'a'.repeat(size)}`;
      assert.throws(() => checkUpgrade({ ...request, headers: { ...request.headers, origin } }, 'same-origin'));
    });
  });

  describe('11. headers that are missing, double, or not ASCII (CVE-2024-37890, CVE-2026-42544)', () => {
    const required = ['Host', 'Connection', 'Upgrade', 'Sec-WebSocket-Version', 'Sec-WebSocket-Key'];

    it('refuses, and serves the next', async () => {
      const { server, errors } = makeServer();
      const port = await run(server.route('/', (ctx) => ctx.sendResponseBody('hi')));
      const requests: (readonly [request: string, expected: RegExp])[] = [
        ...required.map((name) => [upgradeRequest('/', { [name]: undefined }), /^(400|200)$/] as const),
        ...required.slice(1).map((name) => [upgradeRequest('/', { [name]: '' }), /^(400|200|426)$/] as const),
        [upgradeRequest('/', { 'Sec-WebSocket-Key': [SAMPLE_KEY, SAMPLE_KEY] }), /^400$/],
        [upgradeRequest('/', { 'Sec-WebSocket-Version': ['13', '13'] }), /^(400|426)$/],
        [upgradeRequest('/', { 'Sec-WebSocket-Protocol': 'ch\xe9t' }), /^400$/],
        [upgradeRequest('/', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25\xe9ZQ==' }), /^400$/],
        [upgradeRequest('/', { Upgrade: 'websocket\xe9' }), /^(400|200)$/],
        [upgradeRequest('/', { Origin: 'http://\xe9' }), /^403$/],
      ];
      for (const [request, expected] of requests) {
        const client = await WsClient.connect(port);
        client.write(Buffer.from(request, 'latin1'));
        assert.match(String((await client.readHead()).status), expected, request);
        client.socket.destroy();
      }
      const client = await WsClient.open(port);
      assert.equal(await client.send('').receive(), 'hi');
      assert.deepEqual(errors, []);
    });

    it('survives a server that keeps fewer headers than came, even the one that asks for the upgrade', async () => {
      const http = createServer();
      http.maxHeadersCount = 2;
      new Server().route('/', () => {}).attach(http);
      await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
      onCleanUp(() => {
        http.closeAllConnections();
        http.close();
      });
      const client = await WsClient.connect((http.address() as AddressInfo).port);
      client.write(httpRequest('GET', '/', { 'X-A': 'a', 'X-B': 'b', Connection: 'Upgrade', Upgrade: 'websocket' }));
      // Some versions of Node refuse it themselves, with 431.
      assert.ok([400, 431].includes((await client.readHead()).status));
    });
  });

  describe('12. line breaks in what is written (CVE-2026-1527)', () => {
    const broken = ['a\r\nSet-Cookie: x=1', 'a\nb', 'a\rb', 'a\0b', '\r\n'];

    it('refuses them in names and values of headers, and statuses', () => {
      for (const text of broken) {
        assert.throws(() => new Response().setHeader('X-A', text), TypeError);
        assert.throws(() => new Response().setHeader(text, 'a'), TypeError);
        assert.throws(() => new Response().setStatusCode(text as unknown as number), RangeError);
      }
    });

    it('chooses no subprotocol with one, whoever chooses it', async () => {
      for (const text of broken) {
        const { server, errors } = makeServer({ subprotocols: () => text });
        const port = await run(server.route('/', () => {}));
        const client = await WsClient.connect(port);
        client.write(upgradeRequest('/', { 'Sec-WebSocket-Protocol': 'a, b' }));
        const head = await client.readHead();
        assert.equal(head.status, 500);
        assert.equal(head.headers.get('set-cookie'), undefined);
        assert.equal(errors.length, 1);
        assert.throws(() => new Server({ subprotocols: [text] }), RangeError);
      }
    });

    it('writes nothing of a request into its refusal', async () => {
      const { server } = makeServer();
      const port = await run(server.route('/', () => {}));
      const client = await WsClient.connect(port);
      client.write(upgradeRequest('/%0d%0aSet-Cookie:%20x=1', { Origin: 'http://a%0d%0ab' }));
      const { status, headers } = await client.readHead();
      assert.equal(status, 403);
      assert.deepEqual([...headers.keys()].sort(), ['connection', 'content-length', 'content-type']);
    });
  });

  describe('13. close(code, reason) of any type (CVE-2026-45736, CVE-2016-10518)', () => {
    const wrong: readonly unknown[] = [
      new Float32Array(20),
      new Uint8Array([0xff, 0xfe]),
      new ArrayBuffer(20),
      { length: 100 },
      20,
      null,
      Symbol('reason'),
      ['a'],
    ];

    it('takes a reason that is a string, and shows no other memory', () => {
      for (const reason of wrong) {
        const recorder = new ProtocolRecorder('server');
        assert.throws(() => recorder.protocol.sendClose(1000, reason as string), TypeError);
        assert.equal(recorder.protocol.state, 'open');
        assert.deepEqual(recorder.sent(), []);
      }
    });

    it('takes a code that is a number', () => {
      for (const code of ['1000', '3000', {}, [1000], null, Number.NaN, 1000.5, 3000.5, -1, 70_000, true]) {
        const recorder = new ProtocolRecorder('server');
        assert.throws(() => recorder.protocol.sendClose(code as number), RangeError);
        assert.deepEqual(recorder.sent(), []);
      }
    });

    it('takes payloads and messages that are bytes, and no number for so many of them', async () => {
      const { connection } = await open(memoryPair);
      for (const payload of [20, new Float32Array(4), new Uint16Array(4), { length: 4 }, 'text']) {
        await assert.rejects(soon('a rejection', connection.ping(payload as Uint8Array)), TypeError);
        if (typeof payload !== 'string') assert.throws(() => connection.send(payload as Uint8Array), TypeError);
      }
      assert.equal(connection.bufferedBytes, 0);
    });
  });

  describe('14. a reset during an upgrade that takes its time (CVE-2022-41940, CVE-2024-38355)', () => {
    for (const when of ['during the middleware', 'while it is refused', 'in the middle of the request']) {
      it(`survives one ${when}`, async () => {
        const { server, errors } = makeServer();
        let started = 0;
        let opened = 0;
        server
          .route('/', () => {})
          .onWebsocketConnected(() => {
            opened++;
          });
        server.upgradeMiddleware(async (ctx) => {
          started++;
          await new Promise((resolve) => setTimeout(resolve, 30));
          if (when === 'while it is refused') ctx.setResponseStatusCode(401);
        });
        const port = await run(server);
        const clients = await Promise.all([1, 2, 3, 4].map(() => WsClient.connect(port)));
        const request = upgradeRequest();
        for (const client of clients) {
          client.write(when === 'in the middle of the request' ? request.slice(0, 60) : request);
        }
        if (when === 'in the middle of the request') await settle(20);
        else await until('all are being decided', () => started === clients.length);
        for (const client of clients) client.reset();
        await new Promise((resolve) => setTimeout(resolve, 60));
        assert.equal(opened, 0);
        assert.deepEqual(errors, []);
        assert.deepEqual(await server.close({ timeout: 2000 }), { closed: 0, cut: 0 });
      });
    }
  });

  describe('15. peers that are half open, slow to shake hands, or slow to read', () => {
    it('finds a peer that has vanished without a word, and tells the handler', async () => {
      const { connection, owner } = openStalled({ heartbeatIntervalMs: 100 });
      const waiting = receive(connection);
      await assert.rejects(soon('the end', Promise.resolve(waiting)), {
        name: 'ConnectionClosedError',
        closeCode: 1006,
      });
      await until('the owner is told', () => owner.closed.length > 0);
      assert.deepEqual(owner.closed.map(infoOf), [{ code: 1006, reason: '', wasClean: false }]);
    });

    it('cuts a peer that does not answer a Close frame', async () => {
      const { connection, owner } = openStalled({ closeTimeoutMs: 100 });
      connection.close(1000);
      await until('the owner is told', () => owner.closed.length > 0);
      assert.equal(owner.closed[0]!.code, 1006);
    });

    it('cuts a request that comes byte by byte, and one that never comes', async () => {
      const { server } = makeServer({ handshakeTimeoutMs: 200 });
      const port = await run(server.route('/', () => {}));
      const silent = await WsClient.connect(port);
      const slow = await WsClient.connect(port);
      const request = upgradeRequest();
      let sent = 0;
      const drip = setInterval(() => slow.socket.writable && slow.write(request[sent++ % request.length]!), 20);
      onCleanUp(() => clearInterval(drip));
      await silent.waitForEnd();
      assert.match((await slow.readToEnd()).toString(), /^HTTP\/1\.1 408 |^$/);
      assert.ok(sent < request.length, 'it is cut before it is whole');
    });

    for (const [policy, closed] of [
      ['close', 1],
      ['drop', 0],
    ] as const) {
      it(`bounds what waits for a peer that does not read, with the policy '${policy}'`, async () => {
        const maxBackpressureBytes = 256 * KIB;
        const { connection, owner } = openStalled({ maxBackpressureBytes, backpressurePolicy: policy });
        const payload = Buffer.alloc(10_000);
        let refused: unknown;
        for (let i = 0; i < 500; i++) {
          connection.send(payload).catch((error: unknown) => {
            refused ??= error;
          });
          if (i % 10 === 0) await settle(1);
          assert.ok(connection.bufferedBytes <= maxBackpressureBytes + payload.length + 14);
        }
        await settle();
        assert.equal(owner.closed.length, closed);
        assert.equal(connection.state, policy === 'close' ? 'closed' : 'open');
        if (policy === 'close') assert.ok(refused instanceof LimitError || connection.state === 'closed');
      });
    }

    it('keeps for a peer that does not read what it is sent, and nothing of what others are sent meanwhile', async () => {
      for (const highWaterMark of [16, 16 * KIB]) {
        const peers = Array.from({ length: 4 }, () => openStalled({}, highWaterMark));
        const sink = new StalledPeer({ write: (_chunk, _encoding, done) => done() });
        const busy = new Connection(sink, 'server', CONNECTION_LIMITS);
        busy.start(new TestOwner());
        onCleanUp(() => busy.destroy());
        const before = retainedBytes();
        for (let i = 0; i < 300; i++) {
          for (const [n, { connection }] of peers.entries()) void connection.send(`small ${i} ${n}`);
          // Enough of others to fill a block of the memory that all write into.
          for (let n = 0; n < 70; n++) void busy.send(Buffer.alloc(1000));
          await settle(1);
        }
        const grown = retainedBytes() - before;
        const sent = peers.reduce((sum, { connection }) => sum + connection.bufferedBytes, 0);
        assert.ok(sent < 20_000);
        assert.ok(grown < 2 * MIB, `${grown} bytes are retained for ${sent} bytes that wait`);
        await cleanUp();
      }
    });

    it('keeps little more than the bytes of many small messages that a peer does not read and nobody awaits', async () => {
      const { connection } = openStalled({ highWaterMarkBytes: 1000 });
      const before = retainedBytes();
      for (let i = 0; i < 60_000; i++) {
        void connection.send(`${i % 10}`);
        if (i % 20 === 0) await settle(1);
      }
      const waiting = connection.bufferedBytes;
      assert.equal(waiting, 3 * 60_000);
      const grown = retainedBytes() - before;
      assert.ok(grown < 2 * waiting + 512 * KIB, `${grown} bytes are retained for ${waiting}`);
    });

    it('stops reading a peer whose messages nobody takes', async () => {
      const { connection, client } = await open(memoryPair, { maxQueuedMessages: 8, maxQueuedBytes: 64 * KIB });
      const message = clientFrame(0x82, Buffer.alloc(1000));
      for (let i = 0; i < 1000; i++) client.write(message);
      await settle(20);
      assert.ok(connection.receivedBytes <= 8 * 1000 + 64 * KIB, `${connection.receivedBytes} bytes were read`);
      for (let i = 0; i < 1000; i++) assert.equal(((await receive(connection)) as Buffer).length, 1000);
    });

    it('ends with a client that ends its side and never reads', async () => {
      const { server, errors } = makeServer({ closeTimeoutMs: 100 });
      const port = await run(server.route('/', (ctx) => ctx.sendResponseBody(Buffer.alloc(MIB))));
      const socket = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
      onCleanUp(() => socket.destroy());
      socket.pause();
      socket.write(Buffer.concat([Buffer.from(upgradeRequest()), ...Array(8).fill(clientFrame(0x81, 'more'))]));
      socket.end();
      await settle(20);
      assert.deepEqual(await server.close({ timeout: 3000 }).then(({ closed, cut }) => closed + cut <= 1), true);
      assert.deepEqual(errors, []);
    });
  });

  describe('16. state that outlives a message', () => {
    for (const role of ROLES) {
      it(`checks each message by its own type and length (${role})`, () => {
        const recorder = new ProtocolRecorder(role, { maxMessageBytes: 4, maxFrameBytes: 4 });
        const frame = (bits: number, payload: string | Buffer) => recorder.peerFrame(bits, payload);
        recorder.receive(frame(0x01, 'ab'), frame(0x80, 'cd'));
        recorder.receive(frame(0x02, hex('ff')), frame(0x89, 'p'), frame(0x80, hex('c0 80 ff')));
        recorder.receive(frame(0x82, hex('c3')), frame(0x81, hex('c3a9')));
        recorder.receive(frame(0x01, hex('c3')), frame(0x00, ''), frame(0x80, hex('a9')));
        recorder.receive(frame(0x82, 'wxyz'), frame(0x81, ''));
        assert.deepEqual(recorder.messages(), ['abcd', hex('ffc080ff'), hex('c3'), 'é', 'é', Buffer.from('wxyz'), '']);
        assert.equal(recorder.protocol.receivedBytes, 0);
        recorder.receive(frame(0x81, hex('ff')));
        assertCloses(recorder, 1007);
      });

      it(`takes no fragment, mask or compression from the message before (${role})`, async () => {
        const options = resolveDeflateOptions(true)!;
        const recorder = new ProtocolRecorder(role, {}, new PerMessageDeflate(role, options, options));
        recorder.receive(recorder.peerFrame(0xc1, hex('f248cdc9c90700')), recorder.peerFrame(0x81, 'plain'));
        recorder.receive(recorder.peerFrame(0x41, hex('f248cd')), recorder.peerFrame(0x80, hex('c9c90700')));
        recorder.receive(recorder.peerFrame(0x02, hex('f2')), recorder.peerFrame(0x80, hex('48')));
        await recorder.settle();
        assert.deepEqual(recorder.messages(), ['Hello', 'plain', 'Hello', hex('f248')]);
        recorder.receive(recorder.peerFrame(0x80, 'x'));
        assertCloses(recorder, 1002);
      });
    }

    it('starts a connection with nothing of the one before', async () => {
      const first = await open(memoryPair);
      first.client.write(clientFrame(0x01, hex('f09f')));
      first.client.write(hex('80 83 37fa'));
      await settle();
      first.client.end();
      const second = await open(memoryPair);
      second.client.send('Hello');
      assert.equal(await receive(second.connection), 'Hello');
      const third = new ProtocolRecorder('server').receive(peerFrame('server', 0x88, closePayload(1000, 'bye')));
      assertSent(third, [[8, closePayload(1000)]]);
    });
  });
});
