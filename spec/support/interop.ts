import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Request } from '../../lib/server/request.ts';
import { cleanUp } from './clean-up.ts';
import { makeServer, run } from './running-server.ts';
import { soon, until } from './watchdog.ts';

/** A client of another library. */
export interface Peer {
  send(data: string | Buffer): void;
  /** The next message, in order. */
  receive(): Promise<string | Buffer>;
  /** Sends a Ping and resolves with the payload of the Pong; `undefined` where a client cannot. */
  readonly ping: ((payload: string) => Promise<string>) | undefined;
  close(code: number, reason: string): void;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

/** Keeps what arrives until it is asked for. */
export class Mailbox {
  readonly #arrived: (string | Buffer)[] = [];
  readonly #waiting: ((data: string | Buffer) => void)[] = [];

  put(data: string | Buffer): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#arrived.push(data);
    else waiting(data);
  }

  take(): Promise<string | Buffer> {
    const data = this.#arrived.shift();
    if (data !== undefined) return Promise.resolve(data);
    return soon('a message', new Promise((resolve) => this.#waiting.push(resolve)));
  }
}

/** Payload lengths on both sides of each form of a length. RFC 6455 §5.2. */
export const LENGTHS: readonly number[] = [0, 1, 125, 126, 127, 65535, 65536, 65537, 1024 * 1024];

/** A server that echoes on `/`, closes on `/close`, and pings on `/ping`. */
export async function runEcho(): Promise<{ port: number; errors: unknown[]; ends: string[] }> {
  const { server, errors } = makeServer({ subprotocols: ['echo'] });
  const ends: string[] = [];
  server.onWebsocketConnected((ctx) => {
    void ctx.getStream()?.closed.then(({ code, reason, wasClean }) => ends.push(`${code} ${reason} ${wasClean}`));
  });
  server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
  server.route('/close', (ctx) => ctx.close(4001, `you said ${ctx.getRequestBodyString()}`));
  server.route('/ping', async (ctx) => {
    const latencyMs = await ctx.getStream()!.ping();
    await ctx.sendResponseBody(latencyMs >= 0 ? 'pong' : 'no pong');
  });
  server.route('/inner', async (ctx) => {
    await ctx.sendResponseBody(`hello ${ctx.getStream()!.subprotocol}`);
    const request = await Request.websocketRequestFromStream(ctx.getStream()!);
    await ctx.sendResponseBody(`bye ${request.getBodyString()}`);
  });
  server.enableInnerWebsocketHandle('/inner');
  return { port: await run(server), errors, ends };
}

/** Has the client of another library talk to a server of ours. */
export function describePeer(name: string, connect: (url: string, subprotocol?: string) => Promise<Peer>): void {
  describe(`a client of ${name}`, () => {
    afterEach(cleanUp);

    it('gets back text and bytes of all lengths', async () => {
      const { port, errors } = await runEcho();
      const peer = await soon('a connection', connect(`ws://127.0.0.1:${port}/`));
      for (const length of LENGTHS) {
        const text = 'äbc€𝄞'
          .repeat(length)
          .slice(0, length / 4)
          .padEnd(length > 0 ? 1 : 0, 'x');
        for (const data of ['x'.repeat(length), text, Buffer.alloc(length, length)]) {
          peer.send(data);
          assert.deepEqual(await peer.receive(), data);
        }
      }
      peer.close(1000, '');
      await soon('the end', peer.closed);
      assert.deepEqual(errors, []);
    });

    it('gets back a burst of messages in order', async () => {
      const { port } = await runEcho();
      const peer = await soon('a connection', connect(`ws://127.0.0.1:${port}/`));
      const count = 2000;
      for (let i = 0; i < count; i++) peer.send(`message ${i}`);
      for (let i = 0; i < count; i++) assert.equal(await peer.receive(), `message ${i}`);
      peer.close(1000, '');
      await soon('the end', peer.closed);
    });

    it('closes with code and reason', async () => {
      const { port, ends } = await runEcho();
      const peer = await soon('a connection', connect(`ws://127.0.0.1:${port}/`));
      peer.send('x');
      assert.equal(await peer.receive(), 'x');
      peer.close(4000, 'mÿ reason');
      assert.equal((await soon('the end', peer.closed)).code, 4000);
      await until('the end', () => ends.length === 1);
      assert.deepEqual(ends, ['4000 mÿ reason true']);
    });

    it('is closed with code and reason', async () => {
      const { port, ends } = await runEcho();
      const peer = await soon('a connection', connect(`ws://127.0.0.1:${port}/close`));
      peer.send('gö');
      assert.deepEqual(await soon('the end', peer.closed), { code: 4001, reason: 'you said gö' });
      // Some repeat the reason, and some answer any code with 1000.
      await until('the end', () => ends.length === 1);
      assert.match(ends[0]!, / true$/);
    });

    it('answers pings, and is answered', async () => {
      const { port } = await runEcho();
      const peer = await soon('a connection', connect(`ws://127.0.0.1:${port}/ping`));
      if (peer.ping !== undefined) assert.equal(await soon('the pong', peer.ping('payload')), 'payload');
      peer.send('');
      assert.equal(await peer.receive(), 'pong');
      peer.close(1000, '');
      await soon('the end', peer.closed);
    });

    it('agrees on a subprotocol, and talks to a handler that owns the stream', async () => {
      const { port, errors } = await runEcho();
      const peer = await soon('a connection', connect(`ws://127.0.0.1:${port}/inner`, 'echo'));
      assert.equal(await peer.receive(), 'hello echo');
      peer.send('me');
      assert.equal(await peer.receive(), 'bye me');
      assert.equal((await soon('the end', peer.closed)).code, 1000);
      assert.deepEqual(errors, []);
    });
  });
}
