import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, describe, it } from 'node:test';
import { ConnectionEndError, HandshakeError } from '../../lib/errors.ts';
import type { UpgradeHead } from '../../lib/handshake/upgrade.ts';
import type { Context } from '../../lib/server/context.ts';
import { answerNotFound } from '../../lib/server/hooks.ts';
import { resolveOptions, type ServerOptions } from '../../lib/server/options.ts';
import { Routes } from '../../lib/server/routes.ts';
import { closingError, Upgrades } from '../../lib/server/upgrades.ts';
import { ServerTopics } from '../../lib/server/server-topics.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { memoryPair } from '../support/connections.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { clientFrame, SAMPLE_KEY, WsClient } from '../support/ws-client.ts';

const CLOSING = closingError().message;

afterEach(cleanUp);

describe('Upgrades', () => {
  function make(options: ServerOptions = {}) {
    const routes = new Routes(answerNotFound);
    routes.addRoute('/echo/:id', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
    const reported: { error: unknown; ctx: Context }[] = [];
    const upgrades = new Upgrades(resolveOptions(options), routes, new ServerTopics(undefined), async (error, ctx) => {
      reported.push({ error, ctx });
    });
    upgrades.addRefused(() => {});
    onCleanUp(() => {
      for (const session of upgrades.sessions) session.destroy(new ConnectionEndError('WS_ERR_SHUTDOWN'));
      for (const upgrade of upgrades.waiting) upgrade.destroy();
    });
    return { routes, reported, upgrades };
  }

  /** Has an upgrade request come in over a transport of its own, behind `response` if there is one. */
  async function ask(
    upgrades: Upgrades,
    changes: {
      readonly url?: string;
      readonly headers?: Record<string, string>;
      readonly head?: string | Buffer;
      readonly isLate?: boolean;
      readonly response?: EventEmitter;
      readonly socket?: object;
    } = {},
  ) {
    const { url = '/echo/7', headers = {}, head = '', isLate = false, response, socket = {} } = changes;
    const [here, there] = await memoryPair();
    Object.assign(here, socket, { _httpMessage: response as ServerResponse | undefined });
    const request: UpgradeHead = {
      method: 'GET',
      url,
      httpVersionMajor: 1,
      httpVersionMinor: 1,
      headers: {
        host: 'here',
        upgrade: 'websocket',
        connection: 'Upgrade',
        'sec-websocket-version': '13',
        'sec-websocket-key': SAMPLE_KEY,
        ...headers,
      },
    };
    upgrades.handle(request, here, Buffer.from(head as string), isLate);
    return { here, client: new WsClient(there) };
  }

  /** The status that a request is answered with, and why. */
  async function refusalOf(client: WsClient): Promise<[status: number, body: string]> {
    const { status, body } = await soon('a refusal', client.readResponse());
    return [status, body];
  }

  it('opens a WebSocket, with the bytes behind its request, and keeps account of it until its end', async () => {
    const { upgrades, reported } = make();
    const { client } = await ask(upgrades, { head: clientFrame(0x81, 'early') });
    assert.deepEqual([upgrades.sessions.size, upgrades.waiting.size], [1, 0]);
    assert.equal((await client.readHead()).status, 101);
    assert.equal(await client.receive(), 'early');
    client.close(1000);
    await client.receiveClose();
    await until('the end', () => upgrades.sessions.size === 0);
    assert.deepEqual(reported, []);
  });

  it('lives through an error of a socket that it was handed', async () => {
    const { upgrades } = make();
    const { here } = await ask(upgrades, { url: '/nowhere' });
    here.destroy(new Error('reset'));
    await until('the end', () => upgrades.waiting.size === 0);
  });

  it('refuses all while the server is closing, and what comes from a port that is being closed', async () => {
    const { upgrades } = make();
    const late = await ask(upgrades, { isLate: true });
    assert.deepEqual(await refusalOf(late.client), [503, CLOSING]);
    upgrades.isClosing = true;
    const closing = await ask(upgrades);
    assert.deepEqual(await refusalOf(closing.client), [503, CLOSING]);
    assert.equal(upgrades.sessions.size, 0);
  });

  it('refuses what the handshake does not allow: this origin, and this host', async () => {
    const { upgrades, reported } = make({ hosts: ['here'] });
    const origin = await ask(upgrades, { headers: { origin: 'http://there' } });
    assert.equal((await refusalOf(origin.client))[0], 403);
    const host = await ask(upgrades, { headers: { host: 'there' } });
    assert.equal((await refusalOf(host.client))[0], 421);
    assert.deepEqual(reported, []);
  });

  it('reports what a rule for origins throws, and says nothing of it', async () => {
    const error = new Error('of the rule');
    const { upgrades, reported } = make({
      origins: () => {
        throw error;
      },
    });
    const { client } = await ask(upgrades, { headers: { origin: 'http://there' } });
    assert.deepEqual(await refusalOf(client), [500, '']);
    assert.equal(reported[0]!.error, error);
    assert.equal(reported[0]!.ctx.getRequestBody(), '');
  });

  it('sets TCP_NODELAY on what knows it, as told', async () => {
    for (const nodelay of [true, false]) {
      const { upgrades } = make({ nodelay });
      const set: unknown[] = [];
      const socket = { setNoDelay: (value: unknown) => set.push(value) };
      const { client } = await ask(upgrades, { socket });
      assert.equal((await client.readHead()).status, 101);
      assert.deepEqual(set, [nodelay]);
      const other = await ask(upgrades, { socket: { setNoDelay: 'no function' } });
      assert.equal((await other.client.readHead()).status, 101);
    }
  });

  it('runs the middleware in order, with the parameters of the route, and keeps the attributes', async () => {
    const { upgrades, routes } = make();
    const seen: unknown[] = [];
    upgrades.addMiddleware((ctx) => {
      seen.push(ctx.getRouteParam('id'), ctx.getRequestBody());
      ctx.setAttribute('kept', 'value').setResponseHeader('X-Mine', '1');
    });
    upgrades.addMiddleware(async (ctx) => void seen.push(ctx.getAttribute('kept')));
    routes.addConnected((ctx) => void seen.push(`connected ${ctx.getAttribute('kept')}`));
    const { client } = await ask(upgrades);
    assert.equal((await client.readHead()).headers.get('x-mine'), '1');
    await until('all', () => seen.length === 4);
    assert.deepEqual(seen, ['7', '', 'value', 'connected value']);
  });

  it('refuses by what the middleware did: each of aborted, closed and a response, now or later', async () => {
    const cases: [refuse: (ctx: Context) => unknown, status: number, body: string][] = [
      [(ctx) => ctx.aborted(), 403, ''],
      [(ctx) => ctx.closed(), 403, ''],
      [(ctx) => ctx.setResponseBody('no'), 403, 'no'],
      [(ctx) => ctx.setResponseStatusCode(401), 401, ''],
    ];
    for (const [refuse, ...expected] of cases) {
      for (const isLater of [false, true]) {
        const { upgrades, reported } = make();
        upgrades.addMiddleware((ctx) => {
          if (!isLater) return void refuse(ctx);
          return settle(1).then(() => void refuse(ctx));
        });
        const { client } = await ask(upgrades);
        assert.deepEqual(await refusalOf(client), expected);
        assert.deepEqual([upgrades.sessions.size, reported], [0, []]);
      }
    }
  });

  it('refuses what the middleware throws: with the status of a refusal, or reported as 500', async () => {
    for (const isLater of [false, true]) {
      for (const [error, status, body] of [
        [new HandshakeError(404, 'not this one'), 404, 'not this one'],
        [new Error('secret'), 500, ''],
      ] as const) {
        const { upgrades, reported } = make();
        upgrades.addMiddleware((ctx) => {
          ctx.setAttribute('of', 'this request');
          if (!isLater) throw error;
          return Promise.reject(error);
        });
        const { client } = await ask(upgrades);
        assert.deepEqual(await refusalOf(client), [status, body]);
        assert.deepEqual(
          reported.map((each) => [each.error, each.ctx.getAttribute('of')]),
          status === 500 ? [[error, 'this request']] : [],
        );
        assert.equal(upgrades.sessions.size, 0);
      }
    }
  });

  it('refuses a path without a route, when it is closed meanwhile, and one more than maxConnections', async () => {
    const nowhere = make();
    const { client } = await ask(nowhere.upgrades, { url: '/nowhere' });
    assert.deepEqual(await refusalOf(client), [404, 'no route has this path']);

    const meanwhile = make();
    const gate = defer();
    meanwhile.upgrades.addMiddleware(() => gate.promise);
    const asked = await ask(meanwhile.upgrades);
    assert.equal(meanwhile.upgrades.waiting.size, 1);
    meanwhile.upgrades.isClosing = true;
    gate.resolve();
    assert.deepEqual(await refusalOf(asked.client), [503, CLOSING]);

    const full = make({ maxConnections: 2 });
    const open = [await ask(full.upgrades), await ask(full.upgrades)];
    for (const each of open) assert.equal((await each.client.readHead()).status, 101);
    const third = await ask(full.upgrades);
    const [status, body] = await refusalOf(third.client);
    assert.equal(status, 503);
    assert.notEqual(body, CLOSING);
    assert.equal(full.upgrades.sessions.size, 2);
  });

  it('lets a middleware take handshakeTimeoutMs, and opens nothing behind that', async () => {
    const { upgrades, reported } = make({ handshakeTimeoutMs: 10 });
    const gate = defer();
    upgrades.addMiddleware(() => gate.promise);
    const { client } = await ask(upgrades);
    assert.equal((await refusalOf(client))[0], 408);
    gate.resolve();
    await settle(5);
    assert.deepEqual([upgrades.sessions.size, reported], [0, []]);
    client.socket.destroy();
    await until('the end', () => upgrades.waiting.size === 0);
  });

  it('cuts what can no more be answered once the middleware has run', async () => {
    const { upgrades, reported } = make();
    const gate = defer();
    upgrades.addMiddleware(() => gate.promise);
    const { here } = await ask(upgrades);
    here.end();
    gate.resolve();
    await until('the cut', () => here.destroyed);
    await until('the end', () => upgrades.waiting.size === 0);
    assert.deepEqual([upgrades.sessions.size, reported], [0, []]);
  });

  it('waits for the response before it, with what comes meanwhile', async () => {
    const { upgrades } = make();
    const response = new EventEmitter();
    const { here, client } = await ask(upgrades, { response, head: clientFrame(0x81, 'early') });
    await settle(5);
    assert.deepEqual([upgrades.waiting.size, upgrades.sessions.size, client.available], [1, 0, 0]);
    Object.assign(here, { _httpMessage: null });
    response.emit('close');
    assert.deepEqual([upgrades.waiting.size, upgrades.sessions.size], [0, 1]);
    assert.equal((await client.readHead()).status, 101);
    assert.equal(await client.receive(), 'early');
  });

  it('is refused behind that response when it comes too late, or waits too long; and kept account of until it is gone', async () => {
    for (const [isLate, handshakeTimeoutMs, status] of [
      [true, 60_000, 503],
      [false, 10, 408],
    ] as const) {
      const { upgrades } = make({ handshakeTimeoutMs });
      const response = new EventEmitter();
      const { here, client } = await ask(upgrades, { response, isLate });
      if (!isLate) await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual([upgrades.waiting.size, client.available], [1, 0]);
      Object.assign(here, { _httpMessage: null });
      response.emit('close');
      const [refused, body] = await refusalOf(client);
      assert.equal(refused, status);
      if (isLate) assert.equal(body, CLOSING);
      assert.notEqual(upgrades.waiting.size, 0);
      here.destroy();
      await until('the end', () => upgrades.waiting.size === 0);
      assert.equal(upgrades.sessions.size, 0);
    }
  });

  it('forgets one that waits when its connection is gone', async () => {
    const { upgrades } = make();
    const { here } = await ask(upgrades, { response: new EventEmitter() });
    here.destroy();
    await until('the end', () => upgrades.waiting.size === 0);
  });

  it('takes an answer that finds its connection closed for its end', async () => {
    const { upgrades } = make();
    const response = new EventEmitter();
    const { here } = await ask(upgrades, { response, isLate: true });
    // The transport says that it is closed, and not that it is destroyed: a stream of somebody's own may.
    Object.defineProperty(here, 'closed', { value: true });
    Object.assign(here, { _httpMessage: null });
    response.emit('close');
    assert.equal(upgrades.waiting.size, 0);
  });
});
