import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import {
  ConnectionClosedError,
  ConnectionEndError,
  InvalidStateError,
  LimitError,
  ProtocolError,
  TimeoutError,
} from '../../lib/errors.ts';
import { Connection } from '../../lib/net/connection.ts';
import { RESOLVED } from '../../lib/net/promises.ts';
import type { Context } from '../../lib/server/context.ts';
import { Request } from '../../lib/server/request.ts';
import type { RequestHead } from '../../lib/server/request-head.ts';
import { type SessionHandlers, WebSocketSession } from '../../lib/server/websocket-session.ts';
import type { WebSocketStream } from '../../lib/server/websocket-stream.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { CONNECTION_LIMITS, memoryPair } from '../support/connections.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, closeFrame, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

const SHUTDOWN = new ConnectionEndError('WS_ERR_SHUTDOWN');

describe('WebSocketSession, by itself', () => {
  /** A session over a transport of its own, which has not started. */
  async function make(changes: Partial<SessionHandlers> = {}) {
    const [here, there] = await memoryPair();
    const handled: string[] = [];
    const reported: { error: unknown; ctx: Context }[] = [];
    const closed: WebSocketSession[] = [];
    const done: WebSocketSession[] = [];
    const handlers: SessionHandlers = {
      pattern: '/',
      closed: [],
      opening: [],
      hooks: [],
      message: [(ctx) => void handled.push(ctx.getRequestBodyString())],
      ownsStream: false,
      ...changes,
    };
    const host = {
      topics: new Topics(),
      show: () => assert.fail('nobody asks'),
      reportError: async (error: unknown, ctx: Context) => void reported.push({ error, ctx }),
      onSessionClosed: (session: WebSocketSession) => void closed.push(session),
      onSessionDone: (session: WebSocketSession) => void done.push(session),
    };
    const session = new WebSocketSession({} as RequestHead, host, handlers, here, CONNECTION_LIMITS, {
      subprotocol: 'chat',
      compression: undefined,
    });
    onCleanUp(() => session.destroy(SHUTDOWN));
    const client = new WsClient(there);
    const start = (head: Buffer = Buffer.alloc(0)) => session.start(head);
    return { session, handled, reported, closed, done, start, client };
  }

  /** Handlers that wait for a gate each, in order, and what they were called with. */
  function makeGates(count: number) {
    const gates = Array.from({ length: count }, () => defer());
    const begun: string[] = [];
    const handler = (ctx: Context): Promise<void> => {
      begun.push(ctx.getRequestBodyString());
      return gates[begun.length - 1]!.promise;
    };
    return { gates, begun, handler };
  }

  const lend = (session: WebSocketSession, text: string): boolean => {
    const bytes = Buffer.from(`-${text}-`);
    return session.takeLent(bytes, 1, bytes.length - 1);
  };

  it('handles nothing before it has started, and messages at once from then on', async () => {
    const { session, handled, start } = await make();
    assert.deepEqual([session.isBusy, session.isWebSocket], [true, true]);
    start();
    assert.equal(session.isBusy, false);
    assert.equal(session.takeMessage('text'), true);
    assert.equal(lend(session, 'lent'), true);
    assert.deepEqual([handled, session.isBusy], [['text', 'lent'], false]);
  });

  it('runs what opens it first, and counts that as handling while it is called', async () => {
    const seen: unknown[] = [];
    const made = await make({
      opening: [
        (ctx) => {
          const { isBusy, isHandling, stream } = made.session;
          seen.push(isBusy, isHandling, ctx.getStream() === stream, ctx.getRequestBody());
        },
      ],
    });
    made.start(clientFrame(0x81, 'early'));
    assert.deepEqual(seen, [true, true, true, '']);
    await until('the message', () => made.handled.length === 1);
    assert.deepEqual([made.session.isBusy, made.session.isHandling], [false, false]);
  });

  it('lets messages wait for what opens it, and counts that as handling only once one is there', async () => {
    const { gates, handler } = makeGates(1);
    const { session, handled, start, client } = await make({ opening: [handler] });
    start();
    assert.deepEqual([session.isBusy, session.isHandling], [true, false]);
    assert.equal(session.takeMessage('refused'), false);
    assert.equal(lend(session, 'refused'), false);
    client.send('waits');
    await until('the message', () => session.isHandling);
    gates[0]!.resolve();
    await until('the message', () => handled.length === 1);
    assert.deepEqual(handled, ['waits']);
  });

  it('counts what opens it as handling the message that it has taken', async () => {
    const gate = defer();
    let got: unknown;
    const { session, start, client } = await make({
      opening: [
        async (ctx) => {
          got = (await Request.websocketRequestFromStream(ctx.getStream()!)).getBody();
          await gate.promise;
        },
      ],
    });
    start();
    assert.equal(session.isHandling, false);
    client.send('taken');
    await until('the message', () => got === 'taken');
    assert.equal(session.isHandling, true);
    gate.resolve();
    await until('the end', () => !session.isBusy);
    assert.equal(session.isHandling, false);
  });

  it('handles one message at a time, and says whether it does', async () => {
    const { gates, begun, handler } = makeGates(3);
    const { session, start, client } = await make({ message: [handler] });
    start();
    assert.equal(session.isHandling, false);
    client.send('one').send('two').send('three');
    await until('the first', () => begun.length === 1);
    assert.deepEqual([session.isBusy, session.isHandling], [true, true]);
    await settle(3);
    assert.equal(session.takeMessage('no'), false);
    assert.equal(lend(session, 'no'), false);
    for (const gate of gates) {
      gate.resolve();
      await settle(2);
    }
    assert.deepEqual(begun, ['one', 'two', 'three']);
    assert.equal(session.isBusy, false);
  });

  it('handles one at a time also of those that came with the head', async () => {
    const { gates, begun, handler } = makeGates(2);
    const { start } = await make({ message: [handler] });
    start(Buffer.concat([clientFrame(0x81, 'one'), clientFrame(0x81, 'two')]));
    await settle(3);
    assert.deepEqual(begun, ['one']);
    gates[0]!.resolve();
    await until('the second', () => begun.length === 2);
  });

  it('leaves a message to who waits for one, and is not handling meanwhile', async () => {
    const { session, handled, start, client } = await make();
    start();
    const received = Request.websocketRequestFromStream(session.stream!);
    assert.equal(session.takeMessage('text'), false);
    assert.equal(lend(session, 'lent'), false);
    client.send('for the receive');
    assert.equal((await received).getBody(), 'for the receive');
    assert.deepEqual(handled, []);
  });

  it('hands on a body that was lent as long as the handler runs, and a copy for later', async () => {
    const gate = defer();
    const bodies: string[] = [];
    const { session, start } = await make({
      message: [() => gate.promise, (ctx) => void bodies.push(ctx.getRequestBodyString())],
    });
    start();
    const bytes = Buffer.from('-lent-');
    assert.equal(session.takeLent(bytes, 1, 5), true);
    bytes.fill(0);
    assert.equal(session.isBusy, true);
    gate.resolve();
    await until('the body', () => bodies.length === 1);
    assert.deepEqual(bodies, ['lent']);
  });

  it('lets go of a body behind its handlers', async () => {
    const kept: Context[] = [];
    const { session, start } = await make({
      message: [
        (ctx) => {
          kept.push(ctx);
          ctx.readRequestBody((bytes) => bytes.length);
        },
      ],
    });
    start();
    lend(session, 'lent');
    assert.throws(() => kept[0]!.getRequestBody(), { code: 'WS_ERR_BODY_GONE' });
  });

  it('takes messages and throws them away once it is closed or cut', async () => {
    for (const end of [
      (session: WebSocketSession) => session.close(undefined),
      (session: WebSocketSession) => session.onDestroyed(),
      (session: WebSocketSession) => session.shutDown(1001, '', SHUTDOWN),
      (session: WebSocketSession) => session.stream!.close(),
    ]) {
      const { session, handled, start } = await make();
      start();
      end(session);
      assert.equal(session.takeMessage('text'), true);
      assert.equal(lend(session, 'lent'), true);
      assert.deepEqual([handled, session.isHandling], [[], false]);
    }
  });

  it('is closed by a handler, with its code and reason; what waits is thrown away', async () => {
    const { gates, begun, handler } = makeGates(1);
    const { session, start, client } = await make({ message: [handler] });
    start();
    client.send('one').send('two').send('three');
    await until('the first', () => begun.length === 1);
    await settle(3);
    assert.equal(session.close(undefined, 4000, 'why'), RESOLVED);
    assert.equal(session.isHandling, false);
    gates[0]!.resolve();
    assert.deepEqual(await client.receiveClose(), { code: 4000, reason: 'why' });
    client.close(4000);
    await client.waitForEnd();
    assert.deepEqual(begun, ['one']);
  });

  it('is closed with 1000 behind the handlers that said so', async () => {
    for (const isLater of [false, true]) {
      const { start, client, session, reported } = await make({
        message: [(ctx) => void ctx.closed(), () => (isLater ? settle(1) : undefined)],
      });
      start();
      client.send('').send('more');
      assert.deepEqual(await client.receiveClose(), { code: 1000, reason: '' });
      assert.equal(session.takeMessage(''), true);
      assert.deepEqual(reported, []);
    }
  });

  it('fails with 1011 for what a handler throws, now or later, and reports it', async () => {
    for (const isLater of [false, true]) {
      const error = new Error('of a handler');
      const { start, client, session, reported } = await make({
        message: [
          (ctx) => {
            ctx.setAttribute('of', 'this one');
            if (!isLater) throw error;
            return Promise.reject(error);
          },
        ],
      });
      start();
      client.send('');
      assert.equal((await client.receiveClose()).code, 1011);
      assert.deepEqual(
        reported.map((each) => [each.error, each.ctx.getAttribute('of')]),
        [[error, 'this one']],
      );
      assert.deepEqual([session.isBusy, session.takeMessage('')], [false, true]);
    }
  });

  it('shuts down at once where nothing is handled, behind the handlers where something is', async () => {
    const { gates, begun, handler } = makeGates(1);
    const { session, start, client } = await make({ message: [handler] });
    start();
    client.send('one').send('two');
    await until('the first', () => begun.length === 1);
    session.shutDown(1001, 'closing', SHUTDOWN);
    await settle(3);
    assert.equal(client.available, 0);
    gates[0]!.resolve();
    assert.deepEqual(await client.receiveClose(), { code: 1001, reason: 'closing' });
    assert.deepEqual([begun, session.takeMessage('')], [['one'], true]);

    const idle = await make();
    idle.start();
    idle.session.shutDown(1001, 'closing', SHUTDOWN);
    assert.deepEqual(await idle.client.receiveClose(), { code: 1001, reason: 'closing' });
  });

  it('shuts down at once where handlers own the stream, or wait for a message', async () => {
    const owning = await make({ opening: [() => defer().promise], ownsStream: true });
    owning.start();
    owning.session.shutDown(1001, 'closing', SHUTDOWN);
    assert.deepEqual(await owning.client.receiveClose(), { code: 1001, reason: 'closing' });
    const waiting = await make({
      opening: [async (ctx) => void (await Request.websocketRequestFromStream(ctx.getStream()!))],
    });
    waiting.start();
    waiting.session.shutDown(1001, 'closing', SHUTDOWN);
    assert.deepEqual(await waiting.client.receiveClose(), { code: 1001, reason: 'closing' });
    waiting.client.close(1001).end();
    await until('the end', () => waiting.closed.length === 1);
    assert.deepEqual(waiting.reported, []);
  });

  it('tells a peer whose handlers do not end why it is cut, and another nothing', async () => {
    const busy = await make({ opening: [() => defer().promise] });
    busy.start();
    busy.session.shutDown(1001, 'closing', SHUTDOWN);
    busy.session.destroy(SHUTDOWN);
    assert.deepEqual(await busy.client.receiveClose(), { code: 1001, reason: 'closing' });
    await busy.client.waitForEnd();
    const idle = await make();
    idle.start();
    idle.session.destroy(SHUTDOWN);
    await idle.client.waitForEnd();
    assert.equal(idle.client.available, 0);
    await until('the end', () => idle.closed.length === 1);
    assert.equal(idle.closed[0], idle.session);
  });

  it('has one stream, and none when the peer is gone and nothing can be sent', async () => {
    const { session, start, client } = await make();
    start();
    const { stream } = session;
    assert.equal(session.stream, stream);
    assert.equal(stream!.subprotocol, 'chat');
    session.shutDown(1001, '', SHUTDOWN);
    assert.equal(session.stream, stream, 'the peer is still there');
    client.close(1001);
    await until('the end', () => session.stream === undefined);
    // A peer that has closed can be sent to until its Close frame is answered, behind the handlers.
    const { gates, begun, handler } = makeGates(1);
    const half = await make({ message: [handler] });
    half.start();
    half.client.send('one').close(1000);
    await until('the first', () => begun.length === 1);
    await settle(3);
    assert.notEqual(half.session.stream, undefined);
    gates[0]!.resolve();
    await until('the end', () => half.session.stream === undefined);
  });

  it('passes on what is sent, and the answers', async () => {
    const { session, start } = await make();
    start();
    const sent = mock.method(Connection.prototype, 'send', () => RESOLVED);
    const flushed = mock.method(Connection.prototype, 'flush', () => RESOLVED);
    try {
      assert.equal(session.sendBody(undefined, 'text', true), RESOLVED);
      assert.equal(session.flush(), RESOLVED);
      assert.equal(session.send(), RESOLVED);
    } finally {
      mock.restoreAll();
    }
    assert.deepEqual(sent.mock.calls[0]!.arguments, ['text', true]);
    assert.deepEqual([sent.mock.callCount(), flushed.mock.callCount()], [1, 1]);
  });

  it('says once in a process that sendResponse is not for it, and rejects each time', async () => {
    const { session, start } = await make();
    start();
    const warned = mock.method(process, 'emitWarning', () => {});
    const code = 'WS_ERR_SEND_RESPONSE_ON_WEBSOCKET';
    try {
      for (let i = 0; i < 2; i++) {
        await assert.rejects(session.sendResponse(), { name: 'InvalidStateError', code });
        assert.equal(warned.mock.callCount(), 1);
      }
    } finally {
      mock.restoreAll();
    }
    assert.deepEqual(warned.mock.calls[0]!.arguments.slice(1), [{ code }]);
  });

  it('closes with 1000 behind handlers that own the stream, and with 1011 when what opens it fails', async () => {
    const owning = await make({ opening: [() => settle(1)], ownsStream: true });
    owning.start();
    assert.deepEqual(await owning.client.receiveClose(), { code: 1000, reason: '' });
    const error = new Error('of a hook');
    const failing = await make({ opening: [() => Promise.reject(error)] });
    failing.start();
    failing.client.send('not handled');
    assert.equal((await failing.client.receiveClose()).code, 1011);
    assert.deepEqual([failing.reported[0]!.error, failing.handled], [error, []]);
    const hooked = await make({ opening: [() => settle(1)] });
    hooked.start();
    hooked.client.send('handled');
    await until('the message', () => hooked.handled.length === 1);
  });

  it('answers the Close frame of the peer behind the handlers that run', async () => {
    for (const [when, open] of [
      ['a message', false],
      ['what opens it', true],
    ] as const) {
      const { gates, begun, handler } = makeGates(1);
      const { start, client } = await make(open ? { opening: [handler] } : { message: [handler] });
      start();
      client.send('one').close(1000);
      await until('the handler', () => begun.length === 1);
      await settle(5);
      assert.equal(client.available, 0, when);
      gates[0]!.resolve();
      assert.equal((await client.receiveClose()).code, 1000);
    }
    // What opens it is not handling a message: one that came with the head and is a Close frame is answered at once.
    for (const opening of [() => {}, () => defer().promise]) {
      const early = await make({ opening: [opening] });
      early.start(closeFrame(1000));
      assert.equal((await early.client.receiveClose()).code, 1000);
    }
  });
});

describe('WebSocketSession, one handler a message', () => {
  it('runs request middleware, the route and response middleware for each message, in order', async () => {
    const { server } = makeServer();
    const calls: string[] = [];
    const note = (name: string) => (ctx: Context) => {
      calls.push(`${name} ${ctx.getRequestBodyString()}`);
    };
    server.responseMiddleware(note('response 1')).requestMiddleware(note('request 1'));
    server.route('/', async (ctx) => {
      note('route')(ctx);
      await ctx.sendResponseBody(ctx.getRequestBody());
    });
    server
      .responseMiddleware(async (ctx) => note('response 2')(ctx))
      .requestMiddleware(async (ctx) => note('request 2')(ctx));
    const client = await WsClient.open(await run(server));
    await settle();
    assert.deepEqual(calls, [], 'no user code runs before the first message');

    client.send('a').send('b');
    assert.deepEqual(await client.receiveAll(2), ['a', 'b']);
    await until('the last middleware', () => calls.length === 10);
    const expected = ['request 1', 'request 2', 'route', 'response 1', 'response 2'];
    assert.deepEqual(
      calls,
      ['a', 'b'].flatMap((body) => expected.map((name) => `${name} ${body}`)),
    );
  });

  it('gives back text as text and bytes as bytes', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const client = await WsClient.open(await run(server));
    for (const data of [
      '',
      'täxt €𝄞',
      Buffer.alloc(0),
      Buffer.of(0, 1, 255),
      'x'.repeat(70_000),
      Buffer.alloc(70_000, 7),
    ]) {
      client.send(data);
      assert.deepEqual(await client.receive(), data);
    }
  });

  it('handles the messages of a connection one at a time, and those of others meanwhile', async () => {
    const { server } = makeServer();
    let running = 0;
    const seen: string[] = [];
    const gate = defer();
    server.route('/', async (ctx) => {
      assert.equal(++running, 1, 'one at a time');
      seen.push(ctx.getRequestBodyString());
      await gate.promise;
      running--;
      await ctx.sendResponseBody(ctx.getRequestBody());
    });
    server.route('/other', (ctx) => ctx.sendResponseBody('free'));
    const port = await run(server);
    const client = await WsClient.open(port);
    client.send('1').send('2').send('3');
    const other = await WsClient.open(port, '/other');
    assert.equal(await other.send('').receive(), 'free');
    await until('the first message', () => seen.length === 1);
    gate.resolve();
    assert.deepEqual(await client.receiveAll(3), ['1', '2', '3']);
    assert.deepEqual(seen, ['1', '2', '3']);
  });

  it('handles 1,000 messages of one burst in order, with a bounded queue all along', async () => {
    const { server } = makeServer({ maxQueuedMessages: 8, maxQueuedBytes: 4096 });
    let next = 0;
    let running = 0;
    let most = 0;
    server.route('/', async (ctx) => {
      running++;
      assert.equal(running, 1);
      assert.equal(ctx.getRequestBodyString(), `message ${next++}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
      most = Math.max(most, ctx.getStream()!.receivedBytes);
      running--;
      if (next === 1000) await ctx.sendResponseBody('all');
    });
    const client = await WsClient.open(await run(server));
    const frames = Array.from({ length: 1000 }, (_, i) => clientFrame(0x81, `message ${i}`));
    client.write(Buffer.concat(frames));
    assert.equal(await client.receive(), 'all');
    assert.ok(most <= 8 * 'message 999'.length + 64 * 1024, `${most} bytes were held`);
  });

  it('answers what arrives in one read in one write, also from asynchronous handlers', async () => {
    const { server } = makeServer();
    server.route('/', async (ctx) => {
      await Promise.resolve();
      await ctx.sendResponseBody(ctx.getRequestBody());
    });
    server.route('/sync', (ctx) => {
      void ctx.sendResponseBody(ctx.getRequestBody());
    });
    const port = await run(server);
    for (const path of ['/', '/sync']) {
      const client = await WsClient.open(port, path);
      client.write(Buffer.concat(Array.from({ length: 50 }, (_, i) => clientFrame(0x81, String(i)))));
      assert.deepEqual(
        await client.receiveAll(50),
        Array.from({ length: 50 }, (_, i) => String(i)),
      );
    }
  });

  it('stops the chain of this message at aborted(), and goes on after cancelAborted()', async () => {
    const { server } = makeServer();
    const calls: string[] = [];
    server.requestMiddleware((ctx) => {
      const body = ctx.getRequestBodyString();
      if (body.startsWith('no')) ctx.aborted();
      assert.equal(ctx.getAborted(), body.startsWith('no'));
      if (body === 'no, yes') ctx.cancelAborted();
      if (body === 'set') ctx.setAborted();
      if (body === 'unset') ctx.setAborted(true).setAborted(false);
    });
    server.route('/', (ctx) => {
      calls.push(ctx.getRequestBodyString());
    });
    server.responseMiddleware((ctx) => ctx.sendResponseBody(`end of ${ctx.getRequestBodyString()}`));
    const client = await WsClient.open(await run(server));
    for (const body of ['no', 'set', 'no, yes', 'unset', 'yes']) client.send(body);
    assert.deepEqual(await client.receiveAll(3), ['end of no, yes', 'end of unset', 'end of yes']);
    assert.deepEqual(calls, ['no, yes', 'unset', 'yes']);
  });

  it('closes with 1000 behind the chain in which closed() was called, and handles nothing more', async () => {
    const { server } = makeServer();
    const calls: string[] = [];
    server.route('/', async (ctx) => {
      calls.push(ctx.getRequestBodyString());
      ctx.closed();
      assert.ok(ctx.getClosed());
      await ctx.sendResponseBody('before the end');
    });
    server.responseMiddleware((ctx) => ctx.sendResponseBody('from the middleware'));
    const client = await WsClient.open(await run(server));
    client.send('1').send('2');
    assert.deepEqual(await client.receiveAll(2), ['before the end', 'from the middleware']);
    assert.deepEqual(await client.receiveClose(), { code: 1000, reason: '' });
    assert.deepEqual(calls, ['1']);
  });

  it('handles nothing more once the connection was cut, of what came with it and of what waits', async () => {
    for (const isAsync of [false, true]) {
      const { server, errors } = makeServer();
      let handled = 0;
      const over = defer();
      server.route('/', (ctx) => {
        handled++;
        const stream = ctx.getStream()!;
        void stream.closed.then(() => over.resolve());
        if (!isAsync) return stream.destroy();
        return settle().then(() => stream.destroy());
      });
      const client = await WsClient.open(await run(server));
      client.write(Buffer.concat(Array.from({ length: 100 }, (_, i) => clientFrame(0x81, String(i)))));
      await soon('the end', over.promise);
      await settle(10);
      assert.deepEqual([handled, errors], [1, []]);
    }
  });

  it('closes with the code and reason of close(), and refuses what may not be sent', async () => {
    const { server, errors } = makeServer();
    server.route('/', async (ctx) => {
      await assert.rejects(async () => ctx.close(1006), RangeError);
      await assert.rejects(async () => ctx.close(1000, 'x'.repeat(124)), RangeError);
      await ctx.sendResponseBody('still here');
      if (ctx.getRequestBody() === 'go on') return;
      await ctx.close(4001, 'bye');
      await assert.rejects(ctx.sendResponseBody('late'), ConnectionClosedError);
    });
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('go on').receive(), 'still here', 'a close that was refused changes nothing');
    assert.equal(await client.send('close').receive(), 'still here');
    assert.deepEqual(await client.receiveClose(), { code: 4001, reason: 'bye' });
    assert.deepEqual(errors, []);
  });

  it('completes the closing handshake although more messages wait than it takes', async () => {
    const { server } = makeServer({ maxQueuedMessages: 2, closeTimeoutMs: 60_000 });
    server.route('/', async (ctx) => {
      const stream = ctx.getStream()!;
      await until('a full queue', () => stream.receivedBytes > 2);
      await ctx.close(1000, 'enough');
      // The handler goes on and reads no more.
      await stream.closed;
    });
    const client = await WsClient.open(await run(server));
    client.write(Buffer.concat(Array.from({ length: 20 }, () => clientFrame(0x81, 'x'))));
    assert.deepEqual(await client.receiveClose(), { code: 1000, reason: 'enough' });
  });

  it('ends with a stream that is undefined and sends that reject once the peer is gone; that is no error', async () => {
    for (const leave of ['close', 'end', 'reset'] as const) {
      // The peer's Close is answered behind this handler, which waits for the end: until the time for that is over.
      const { server, errors } = makeServer({ closeTimeoutMs: 50 });
      const outcome = defer<unknown>();
      const gone = defer();
      server.route('/', async (ctx) => {
        const stream = ctx.getStream()!;
        void ctx.sendResponseBody('leave');
        await stream.closed;
        assert.equal(ctx.getStream(), undefined);
        assert.equal(stream.state, 'closed');
        gone.resolve();
        try {
          await ctx.sendResponseBody('late');
        } catch (error) {
          outcome.resolve(error);
          throw error;
        }
      });
      const client = await WsClient.open(await run(server));
      assert.equal(await client.send('').receive(), 'leave');
      if (leave === 'close') client.close(4000, 'my reason');
      else client[leave]();
      await soon('the end', gone.promise);
      const error = await soon('the rejection', outcome.promise);
      assert.ok(error instanceof ConnectionClosedError);
      assert.equal(error.closeCode, leave === 'close' ? 4000 : 1006);
      assert.equal(error.reason, leave === 'close' ? 'my reason' : '');
      await settle();
      assert.deepEqual(errors, [], leave);
    }
  });

  it('refuses sendResponse and writes nothing; send() and sendOnce() do nothing', async () => {
    const { server, errors } = makeServer();
    server.route('/', async (ctx) => {
      await assert.rejects(ctx.sendResponse(200, 'no'), (error) => {
        assert.ok(error instanceof InvalidStateError);
        return error.code === 'WS_ERR_SEND_RESPONSE_ON_WEBSOCKET' && /sendResponseBody/.test(error.message);
      });
      void ctx.sendResponse(200, 'nobody looks');
      ctx.setResponseBody('body');
      await ctx.sendBody();
    });
    server.responseMiddleware(async (ctx) => {
      await ctx.send();
      await ctx.sendOnce();
    });
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('1').receive(), 'body');
    assert.equal(await client.send('2').receive(), 'body');
    assert.deepEqual(errors, []);
  });

  it('reports no error of the peer that ends a handler which waits for a message', async () => {
    const { server, errors } = makeServer({ maxMessageBytes: 10 });
    const seen: unknown[] = [];
    server.enableInnerWebsocketHandle('/').route('/', async (ctx) => {
      try {
        await Request.websocketRequestFromStream(ctx.getStream()!);
      } catch (error) {
        seen.push(error);
        throw error;
      }
    });
    const port = await run(server);
    const tooBig = await WsClient.open(port);
    assert.equal((await tooBig.send('x'.repeat(11)).receiveClose()).code, 1009);
    const broken = await WsClient.open(port);
    assert.equal((await broken.write(Buffer.from('8300', 'hex')).receiveClose()).code, 1002);
    await until('both handlers', () => seen.length === 2);
    assert.ok(seen[0] instanceof LimitError && seen[1] instanceof ProtocolError);
    await settle();
    assert.deepEqual(errors, []);
  });

  it('reports what a handler throws, closes with 1011 and no reason, and lives on', async () => {
    const { server, errors } = makeServer();
    server.route('/sync', () => {
      throw new Error('sync');
    });
    server.route('/async', async () => {
      await Promise.resolve();
      throw new Error('async');
    });
    server.route('/type', (ctx) => ctx.sendResponseBody(5 as unknown as string));
    server.route('/good', (ctx) => ctx.sendResponseBody('good'));
    server.responseMiddleware((ctx) => {
      assert.equal(ctx.getRequestPath(), '/good', 'a chain that failed does not go on');
    });
    const port = await run(server);
    for (const path of ['/sync', '/async', '/type']) {
      const client = await WsClient.open(port, path);
      client.send('1').send('2');
      assert.deepEqual(await client.receiveClose(), { code: 1011, reason: '' });
    }
    assert.equal(await (await WsClient.open(port, '/good')).send('').receive(), 'good');
    assert.deepEqual(
      errors.map((error) => (error as Error).constructor.name),
      ['Error', 'Error', 'TypeError'],
    );
  });

  it('outlives an error handler that throws itself', async (t) => {
    const printed = t.mock.method(console, 'error', () => {});
    const { server } = makeServer();
    server.errorHandle((error) => {
      throw new Error('second', { cause: error });
    });
    server.route('/', () => {
      throw new Error('first');
    });
    const port = await run(server);
    const client = await WsClient.open(port);
    assert.deepEqual(await client.send('').receiveClose(), { code: 1011, reason: '' });
    await until('the message', () => printed.mock.callCount() === 1);
    assert.equal((printed.mock.calls[0]!.arguments[2] as Error).message, 'second');
    assert.deepEqual(await (await WsClient.open(port)).send('').receiveClose(), { code: 1011, reason: '' });
  });

  it('shares attributes among the messages of one WebSocket, from the upgrade on', async () => {
    const { server } = makeServer();
    server.upgradeMiddleware((ctx) => {
      ctx.setAttribute('user', ctx.getRequestQuery('user'));
    });
    server.onWebsocketConnected((ctx) => {
      ctx.setAttribute('count', 0);
    });
    server.requestMiddleware((ctx) => {
      ctx.setAttribute('count', ctx.getAttribute<number>('count')! + 1);
    });
    server.route('/', (ctx) => ctx.sendResponseBody(`${ctx.getAttribute('user')} ${ctx.getAttribute('count')}`));
    const port = await run(server);
    const ann = await WsClient.open(port, '/?user=ann');
    const bob = await WsClient.open(port, '/?user=bob');
    assert.deepEqual(await ann.send('').send('').receiveAll(2), ['ann 1', 'ann 2']);
    assert.equal(await bob.send('').receive(), 'bob 1');
    assert.equal(await ann.send('').receive(), 'ann 3');
  });

  it('keeps what arrives together with the upgrade request, also for an onWebsocketConnected that takes its time', async () => {
    const { server } = makeServer();
    const order: string[] = [];
    server.onWebsocketConnected(async (ctx) => {
      await settle();
      order.push('connected');
      await ctx.sendResponseBody('welcome');
    });
    server.route('/', async (ctx) => {
      order.push(ctx.getRequestBodyString());
      await ctx.sendResponseBody(ctx.getRequestBody());
    });
    const client = await WsClient.connect(await run(server));
    await client.upgrade(
      '/',
      {},
      Buffer.concat([clientFrame(0x81, 'one'), clientFrame(0x81, 'two'), clientFrame(0x81, 'three').subarray(0, 8)]),
    );
    client.write(clientFrame(0x81, 'three').subarray(8));
    assert.deepEqual(await client.receiveAll(4), ['welcome', 'one', 'two', 'three']);
    assert.deepEqual(order, ['connected', 'one', 'two', 'three']);
  });

  it('gives onWebsocketConnected a stream, also of a client that has left before', async () => {
    const { server, errors } = makeServer();
    const gate = defer();
    const streams: (WebSocketStream | undefined)[] = [];
    let deciding = false;
    server.upgradeMiddleware(() => {
      deciding = true;
      return gate.promise;
    });
    server.onWebsocketConnected((ctx) => void streams.push(ctx.getStream()));
    server.route('/', () => {});
    const client = await WsClient.connect(await run(server), { allowHalfOpen: true });
    client.write(upgradeRequest()).end();
    await until('the upgrade to be decided', () => deciding);
    await settle(20);
    gate.resolve();
    await until('the handler', () => streams.length === 1);
    assert.equal((await soon('the end', streams[0]!.closed)).code, 1006);
    assert.deepEqual(errors, []);
  });

  it('runs no route when onWebsocketConnected fails', async () => {
    const { server, errors } = makeServer();
    server.onWebsocketConnected(async () => {
      throw new Error('no');
    });
    server.route('/', () => assert.fail('runs no route'));
    const client = await WsClient.open(await run(server));
    client.send('1');
    assert.deepEqual(await client.receiveClose(), { code: 1011, reason: '' });
    assert.equal(errors.length, 1);
  });

  it('closes with what RFC 6455 says for a peer that breaks it, and does not call that an error of user code', async () => {
    const { server, errors } = makeServer({ maxMessageBytes: 1000 });
    server.route('/', () => {});
    const port = await run(server);
    for (const [bytes, code] of [
      [Buffer.from('8100', 'hex'), 1002],
      [clientFrame(0x81, Buffer.of(0xff)), 1007],
      [clientFrame(0x82, Buffer.alloc(1001)), 1009],
    ] as const) {
      const client = await WsClient.open(port);
      client.write(bytes);
      assert.equal((await client.receiveClose()).code, code);
    }
    assert.deepEqual(errors, []);
  });
});

describe('WebSocketSession, a handler that takes over', () => {
  it('reads the next messages in the handler, and lets the server go on when it returns', async () => {
    const { server } = makeServer();
    server.route('/', async (ctx) => {
      const first = ctx.getRequestBodyString();
      if (first !== 'take') return ctx.sendResponseBody(`loop: ${first}`);
      const stream = ctx.getStream()!;
      for (;;) {
        const request = await Request.websocketRequestFromStream(stream, 0);
        if (request.getBody() === 'give') return;
        await ctx.sendResponseBody(`handler: ${request.getBodyString()}`);
      }
    });
    const client = await WsClient.open(await run(server));
    for (const body of ['1', 'take', '2', '3', 'give', '4']) client.send(body);
    assert.deepEqual(await client.receiveAll(4), ['loop: 1', 'handler: 2', 'handler: 3', 'loop: 4']);
    for (const body of ['5', 'take', '6']) client.send(body);
    assert.deepEqual(await client.receiveAll(2), ['loop: 5', 'handler: 6']);
  });

  it('has a timeout that is no disconnect and loses nothing', async () => {
    const { server } = makeServer();
    server.route('/', async (ctx) => {
      const stream = ctx.getStream()!;
      await assert.rejects(Request.websocketRequestFromStream(stream, 1), TimeoutError);
      assert.equal(stream.state, 'open');
      await ctx.sendResponseBody('timed out');
      const request = await Request.websocketRequestFromStream(stream, 10_000);
      await ctx.sendResponseBody(`then: ${request.getBodyString()}`);
    });
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('').receive(), 'timed out');
    assert.equal(await client.send('later').receive(), 'then: later');
  });

  it('serves receives in the order of their calls', async () => {
    const { server } = makeServer();
    server.route('/', async (ctx) => {
      const stream = ctx.getStream()!;
      const calls = [1, 2, 3].map(() => Request.websocketRequestFromStream(stream));
      const bodies = await Promise.all(calls.map(async (call, i) => `${i} ${(await call).getBodyString()}`));
      await ctx.sendResponseBody(bodies.join(', '));
    });
    const client = await WsClient.open(await run(server));
    for (const body of ['', 'a', 'b', 'c']) client.send(body);
    assert.equal(await client.receive(), '0 a, 1 b, 2 c');
  });

  it('gives a message to a receive that was left waiting, and not to the server', async () => {
    const { server } = makeServer();
    const background: string[] = [];
    server.route('/', async (ctx) => {
      const body = ctx.getRequestBodyString();
      if (body === 'first') {
        void Request.websocketRequestFromStream(ctx.getStream()!).then((request) =>
          background.push(request.getBodyString()),
        );
      }
      await ctx.sendResponseBody(`route: ${body}`);
    });
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('first').receive(), 'route: first');
    client.send('second').send('third');
    assert.equal(await client.receive(), 'route: third');
    assert.deepEqual(background, ['second']);
  });

  it('holds one message back for a receive that nobody awaits, and no more', async () => {
    const { server } = makeServer();
    let left: PromiseLike<Request> | undefined;
    server.route('/', async (ctx) => {
      left ??= Request.websocketRequestFromStream(ctx.getStream()!);
      await ctx.sendResponseBody(`handled ${ctx.getRequestBodyString()}`);
    });
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('1').receive(), 'handled 1');
    client.send('2');
    for (const message of ['3', '4']) assert.equal(await client.send(message).receive(), `handled ${message}`);
    assert.equal((await soon('the one held back', left!)).getBodyString(), '2');
    assert.equal(await client.send('5').receive(), 'handled 5');
  });

  it('keeps the order when a receive that was left waiting gives up', async () => {
    const { server } = makeServer();
    let left: { withdraw(): void } | undefined;
    server.route('/', async (ctx) => {
      if (ctx.getRequestBody() === 'first') left = Request.websocketRequestFromStream(ctx.getStream()!);
      await ctx.sendResponseBody(ctx.getRequestBody());
    });
    const port = await run(server);
    for (const third of ['third', Buffer.from('third')]) {
      const client = await WsClient.open(port);
      assert.equal(await client.send('first').receive(), 'first');
      client.send('second').ping();
      assert.equal((await client.readFrame())?.opcode, 10, 'the second message was received');
      left!.withdraw();
      client.send(third);
      assert.deepEqual(await client.receiveAll(2), ['second', third]);
    }
  });

  it('rejects with code and reason of the peer once it is gone, after all of its messages', async () => {
    // As above: the handler waits for the end before it is done.
    const { server, errors } = makeServer({ closeTimeoutMs: 50 });
    const outcome = defer<unknown>();
    server.route('/', async (ctx) => {
      const stream = ctx.getStream()!;
      await stream.closed;
      const bodies = [
        await Request.websocketRequestFromStream(stream),
        await Request.websocketRequestFromStream(stream),
      ];
      assert.deepEqual(
        bodies.map((request) => request.getBody()),
        ['b', 'c'],
      );
      await Request.websocketRequestFromStream(stream, 10).catch(outcome.resolve);
      await Request.websocketRequestFromStream(stream);
    });
    const client = await WsClient.open(await run(server));
    client.send('a').send('b').send('c').close(4002, 'done');
    const error = await soon('the rejection', outcome.promise);
    assert.ok(error instanceof ConnectionClosedError);
    assert.deepEqual([error.closeCode, error.reason], [4002, 'done']);
    await settle();
    assert.deepEqual(errors, []);
  });

  it('rejects with the error of a peer that broke the protocol or a limit', async () => {
    const { server } = makeServer({ maxMessageBytes: 10 });
    const outcomes: unknown[] = [];
    server.route('/', async (ctx) => {
      await Request.websocketRequestFromStream(ctx.getStream()!).catch((error) => outcomes.push(error));
    });
    const port = await run(server);
    for (const bytes of [Buffer.from('f1', 'hex'), clientFrame(0x81, 'x'.repeat(11))]) {
      const client = await WsClient.open(port);
      client.send('').write(bytes);
      await client.receiveClose();
    }
    await until('both errors', () => outcomes.length === 2);
    assert.ok(outcomes[0] instanceof ProtocolError);
    assert.ok(outcomes[1] instanceof LimitError);
  });

  it('ends a receive by an AbortSignal, and the message stays', async () => {
    const { server } = makeServer();
    server.route('/', async (ctx) => {
      const stream = ctx.getStream()!;
      const controller = new AbortController();
      const aborted = assert.rejects(
        Request.websocketRequestFromStream(stream, 0, { signal: controller.signal }),
        /my reason/,
      );
      controller.abort(new Error('my reason'));
      await aborted;
      await ctx.sendResponseBody('aborted');
      await ctx.sendResponseBody((await Request.websocketRequestFromStream(stream)).getBody());
    });
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('').receive(), 'aborted');
    assert.equal(await client.send('next').receive(), 'next');
  });

  it('refuses what is no stream, and what is no timeout', async () => {
    assert.throws(() => Request.websocketRequestFromStream(undefined as unknown as WebSocketStream), {
      code: 'WS_ERR_NOT_A_STREAM',
    });
    const { server, errors } = makeServer();
    server.route('/', (ctx) => {
      for (const timeout of [-1, Number.NaN]) {
        assert.throws(() => Request.websocketRequestFromStream(ctx.getStream()!, timeout), RangeError);
      }
      void ctx.sendResponseBody('refused');
    });
    const client = await WsClient.open(await run(server));
    assert.equal(await client.send('').receive(), 'refused');
    assert.deepEqual(errors, []);
  });
});

describe('WebSocketSession, a handler that owns the stream', () => {
  it('runs as soon as the handshake is done, and closes with 1000 when it returns', async () => {
    const { server } = makeServer();
    const chain: string[] = [];
    server.requestMiddleware(() => void chain.push('request'));
    server.responseMiddleware(() => void chain.push('response'));
    server.onWebsocketConnected(async () => void chain.push('connected'));
    server.route('/static', async (ctx) => {
      chain.push('route');
      assert.equal(ctx.getRequestBody(), '', 'there is no message yet');
      await ctx.sendResponseBody('hello');
      const request = await Request.websocketRequestFromStream(ctx.getStream()!);
      await ctx.sendResponseBody(`got ${request.getBodyString()}`);
    });
    server.enableInnerWebsocketHandle('/static');
    const client = await WsClient.open(await run(server), '/static');
    assert.equal(await client.receive(), 'hello');
    assert.equal(await client.send('1').receive(), 'got 1');
    assert.deepEqual(await client.receiveClose(), { code: 1000, reason: '' });
    assert.deepEqual(chain, ['connected', 'request', 'route', 'response']);
  });

  it('knows its parameters, and leaves other routes and plain requests as they are', async () => {
    const { server } = makeServer();
    server
      .enableInnerWebsocketHandle('/room/:name')
      .enableInnerWebsocketHandle('/off')
      .disableInnerWebsocketHandle('/off');
    server.route('/room/:name', async (ctx) => {
      if (!ctx.isWebSocket()) return ctx.sendResponse(200, 'plain');
      await ctx.sendResponseBody(`room ${ctx.getRouteParam('name')}`);
      await ctx.getStream()?.closed;
    });
    server.route('/off', (ctx) => ctx.sendResponseBody(`off ${ctx.getRequestBodyString()}`));
    const port = await run(server);
    assert.equal(await (await WsClient.open(port, '/room/a%20b')).receive(), 'room a b');
    assert.equal(await (await WsClient.open(port, '/off')).send('1').receive(), 'off 1');
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/room/x`)).text(), 'plain');
  });

  it('closes with 1000 although the peer floods it with messages that nobody reads', async () => {
    const { server } = makeServer({ maxQueuedMessages: 2, closeTimeoutMs: 60_000 });
    server.route('/', async (ctx) => {
      const stream = ctx.getStream()!;
      await until('a full queue', () => stream.receivedBytes > 2);
    });
    server.enableInnerWebsocketHandle('/');
    const client = await WsClient.open(await run(server));
    client.write(Buffer.concat(Array.from({ length: 100 }, () => clientFrame(0x81, 'x'))));
    assert.deepEqual(await client.receiveClose(), { code: 1000, reason: '' });
  });

  it('closes with 1011 when it throws', async () => {
    const { server, errors } = makeServer();
    server.route('/', async () => {
      throw new Error('no');
    });
    server.enableInnerWebsocketHandle('/');
    const client = await WsClient.open(await run(server));
    assert.deepEqual(await client.receiveClose(), { code: 1011, reason: '' });
    assert.equal(errors.length, 1);
  });

  it('is not run when onWebsocketConnected aborts', async () => {
    const { server, errors } = makeServer();
    server.onWebsocketConnected((ctx) => void ctx.aborted());
    server.route('/', () => assert.fail('does not run'));
    server.enableInnerWebsocketHandle('/');
    const client = await WsClient.open(await run(server));
    assert.deepEqual(await client.receiveClose(), { code: 1000, reason: '' });
    assert.deepEqual(errors, []);
  });

  it('gets the messages that arrive together with the upgrade request, and a Close frame behind them', async () => {
    const { server } = makeServer();
    const bodies: unknown[] = [];
    const ended = defer<unknown>();
    server.onWebsocketConnected(() => settle());
    server.route('/', async (ctx) => {
      const stream = ctx.getStream();
      if (stream === undefined) return ended.resolve('no stream');
      try {
        for (;;) bodies.push((await Request.websocketRequestFromStream(stream)).getBody());
      } catch (error) {
        ended.resolve(error);
      }
    });
    server.enableInnerWebsocketHandle('/');
    const port = await run(server);
    const client = await WsClient.connect(port);
    client.write(Buffer.concat([Buffer.from(upgradeRequest('/')), clientFrame(0x81, 'one'), clientFrame(0x82, 'two')]));
    assert.equal((await client.readHead()).status, 101);
    await until('both messages', () => bodies.length === 2);
    client.close(1000);
    assert.ok((await soon('the end', ended.promise)) instanceof ConnectionClosedError);
    assert.deepEqual(bodies, ['one', Buffer.from('two')]);

    const hasty = await WsClient.connect(port);
    hasty.write(Buffer.concat([Buffer.from(upgradeRequest('/')), closeFrame(1000)]));
    assert.equal((await hasty.readHead()).status, 101);
    assert.deepEqual(await hasty.receiveClose(false), { code: 1000, reason: '' });
  });
});
