import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, it, mock } from 'node:test';
import { HandshakeError, REFUSAL_REASONS } from '../../lib/errors.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import { RefusalWarnings, type Refusal } from '../../lib/server/refusal.ts';
import { Server } from '../../lib/server/server.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, settle, soon, until } from '../support/watchdog.ts';
import { type HeaderLines, httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

/** Collects the warnings of the process, in place of having them printed. */
function collectWarnings(): NodeJS.ErrnoException[] {
  const warnings: NodeJS.ErrnoException[] = [];
  const before = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    // Time that passes at once is an experiment of Node 20.
    if (warning.name !== 'ExperimentalWarning') warnings.push(warning);
  });
  onCleanUp(() => {
    process.removeAllListeners('warning');
    for (const listener of before) process.on('warning', listener);
  });
  return warnings;
}

async function listen(http: HttpServer): Promise<number> {
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onCleanUp(() => {
    http.closeAllConnections();
    http.close();
  });
  return (http.address() as AddressInfo).port;
}

/** Asks for a WebSocket, and returns the status. */
async function ask(port: number, path: string = '/', headers: HeaderLines = {}): Promise<number> {
  const client = await WsClient.connect(port);
  const { status } = await client.write(upgradeRequest(path, headers)).readHead();
  client.socket.destroy();
  return status;
}

interface Way {
  readonly reason: Refusal['reason'];
  readonly status: number;
  readonly options?: ServerOptions;
  readonly headers?: HeaderLines;
  readonly path?: string;
  readonly message: string | RegExp;
  prepare?(server: Server, port: number): Promise<void> | void;
}

/** Lets as much time pass as an upgrade may take, for the timers made since they are mocked; and has others run as ever. */
function passTimeout(): void {
  mock.timers.tick(10_000);
  mock.timers.reset();
}

const WAYS: readonly Way[] = [
  { reason: 'handshake', status: 400, headers: { 'Sec-WebSocket-Key': 'x' }, message: /Sec-WebSocket-Key/ },
  { reason: 'version', status: 426, headers: { 'Sec-WebSocket-Version': '8' }, message: /Sec-WebSocket-Version/ },
  {
    reason: 'host',
    status: 421,
    options: { hosts: ['localhost'] },
    headers: { Host: 'evil' },
    message: /option hosts/,
  },
  { reason: 'origin', status: 403, headers: { Origin: 'http://localhost:1' }, message: /option origins/ },
  { reason: 'route', status: 404, path: '/other', message: 'no route has this path' },
  {
    reason: 'connections',
    status: 503,
    options: { maxConnections: 1 },
    message: /option maxConnections/,
    async prepare(_server, port) {
      await WsClient.open(port, '/');
    },
  },
  {
    reason: 'timeout',
    status: 408,
    message: 'the upgrade took too long',
    prepare: (server) =>
      void server.upgradeMiddleware(() => {
        mock.timers.enable({ apis: ['setTimeout'] });
        queueMicrotask(passTimeout);
        return new Promise(() => {});
      }),
  },
  {
    reason: 'middleware',
    status: 401,
    message: 'log in',
    prepare: (server) => void server.upgradeMiddleware((ctx) => ctx.sendResponse(401, 'log in')),
  },
  {
    reason: 'error',
    status: 500,
    message: '',
    prepare: (server) =>
      void server.upgradeMiddleware(() => {
        throw new Error('secret');
      }),
  },
  {
    reason: 'shutdown',
    status: 503,
    message: 'the server is shutting down',
    prepare: (server) => void server.upgradeMiddleware(() => void server.close()),
  },
];

describe('onUpgradeRefused', () => {
  it('knows a way to each reason', () => {
    assert.deepEqual(
      WAYS.map(({ reason }) => reason),
      [...REFUSAL_REASONS],
    );
  });

  for (const { reason, status, options, headers = {}, path = '/', message, prepare } of WAYS) {
    it(`is told of ${reason}, once, and it is counted`, async () => {
      const warnings = collectWarnings();
      const { server } = makeServer(options);
      const told: unknown[] = [];
      const messages: string[] = [];
      server.onUpgradeRefused((request, { message: text, ...refusal }) => {
        messages.push(text);
        told.push({ ...refusal, method: request.getMethod(), query: request.getQuery('a'), body: request.getBody() });
      });
      server.route('/', () => {});
      const port = await run(server);
      await prepare?.(server, port);
      assert.equal(await ask(port, `${path}?a=1`, headers), status);
      await settle();
      const origin = (headers as { readonly Origin?: string }).Origin;
      assert.deepEqual(told, [{ status, reason, path, origin, method: 'GET', query: '1', body: '' }]);
      if (typeof message === 'string') assert.deepEqual(messages, [message]);
      else assert.match(messages[0]!, message);
      assert.equal(server.stats().refused[reason], 1);
      assert.equal(
        Object.values(server.stats().refused).reduce((a, b) => a + b),
        1,
      );
      assert.deepEqual(warnings, []);
    });
  }

  it('is told of an upgrade that waited for a response, and was refused for the time that took', async () => {
    const { server } = makeServer();
    const reasons: string[] = [];
    const gate = defer();
    const asked = defer();
    server.onUpgradeRefused((_request, { reason }) => void reasons.push(reason));
    const http = createServer((_request, response) => void gate.promise.then(() => response.end()));
    http.on('upgrade', (request, socket, head) => {
      mock.timers.enable({ apis: ['setTimeout'] });
      server.handleUpgrade(request, socket, head);
      passTimeout();
      asked.resolve();
    });
    const client = await WsClient.connect(await listen(http));
    client.write(httpRequest('GET', '/') + upgradeRequest());
    await soon('the upgrade', asked.promise);
    await settle();
    assert.deepEqual(reasons, []);
    gate.resolve();
    await until('it', () => reasons.length > 0);
    assert.deepEqual(reasons, ['timeout']);
  });

  it('is not told of what is no upgrade request, nor of a client that left before', async () => {
    const { server } = makeServer();
    const told: unknown[] = [];
    const asked = defer<Duplex>();
    const decided = defer();
    server.upgradeMiddleware(async (ctx) => {
      await decided.promise;
      ctx.aborted();
    });
    server.onUpgradeRefused((_request, refusal) => void told.push(refusal)).route('/', () => {});
    const client = await WsClient.connect(await run(server));
    assert.equal((await client.write('no HTTP\r\n\r\n').readHead()).status, 400);
    const http = createServer().on('upgrade', (request, socket, head) => {
      server.handleUpgrade(request, socket, head);
      asked.resolve(socket);
    });
    const leaving = await WsClient.connect(await listen(http));
    leaving.write(upgradeRequest());
    const socket = await soon('the request', asked.promise);
    leaving.reset();
    await until('it is gone', () => socket.destroyed);
    decided.resolve();
    await settle();
    assert.deepEqual(told, []);
    assert.equal(server.stats().refused.middleware, 0);
  });

  it('tells errorHandle of what it throws, and the next is told nevertheless', async () => {
    const { server, errors } = makeServer();
    const told: string[] = [];
    server.onUpgradeRefused(() => {
      throw new Error('thrown');
    });
    server.onUpgradeRefused(async () => {
      throw new Error('rejected');
    });
    server.onUpgradeRefused((_request, { path }) => void told.push(path));
    assert.equal(await ask(await run(server), '/%61'), 404);
    await until('all', () => told.length === 1);
    assert.deepEqual([errors.map(String), told], [['Error: thrown', 'Error: rejected'], ['/a']]);
  });

  it('has the reason that a middleware throws', async () => {
    const { server, errors } = makeServer();
    const reasons: string[] = [];
    server.upgradeMiddleware(() => {
      throw new HandshakeError(402, 'pay first');
    });
    server.onUpgradeRefused((_request, { reason, message }) => void reasons.push(`${reason}: ${message}`));
    assert.equal(await ask(await run(server)), 402);
    assert.deepEqual([reasons, errors], [['middleware: pay first'], []]);
  });
});

describe('a refused upgrade of which nobody wishes to be told', () => {
  it('is warned of once for each reason, with what lets it in', async () => {
    const warnings = collectWarnings();
    const server = new Server({ host: '127.0.0.1' }).route('/', () => {});
    const port = await run(server);
    for (let i = 0; i < 3; i++) {
      assert.equal(
        await ask(port, '/chat', { Host: `localhost:${port}`, Origin: `http://localhost:${5173 + i}` }),
        403,
      );
      assert.equal(await ask(port, `/missing${i}`), 404);
    }
    await settle();
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ['WS_WARN_UPGRADE_REFUSED', 'WS_WARN_UPGRADE_REFUSED'],
    );
    const [origin, route] = warnings.map(({ message }) => message);
    assert.ok(
      origin!.startsWith("an upgrade to '/chat' was refused with 403: pages of 'http://localhost:5173' may not"),
    );
    assert.ok(origin!.includes(`connect to 'localhost:${port}'`));
    assert.ok(origin!.includes("new Server({ origins: ['http://localhost:5173'] })"));
    assert.ok(origin!.includes('"A page on another port in development"'));
    assert.ok(route!.includes("'/missing0'") && route!.includes("server.route('/missing0', handler)"));
  });
});

describe('RefusalWarnings', () => {
  const REFUSAL: Refusal = { status: 400, reason: 'handshake', message: 'why', path: '/', origin: undefined };

  async function warn(refusal: Partial<Refusal>, host?: string): Promise<string[]> {
    const warnings = collectWarnings();
    new RefusalWarnings().warn({ ...REFUSAL, ...refusal }, host);
    await settle();
    return warnings.map(({ message }) => message.split(': ').slice(1).join(': ').split(': this is')[0]!);
  }

  it('says nothing of what the application has done itself, or is told of', async () => {
    for (const reason of ['middleware', 'error', 'shutdown'] as const) assert.deepEqual(await warn({ reason }), []);
  });

  it('names the option, or the message', async () => {
    assert.deepEqual(await warn({}), ['why']);
    assert.deepEqual(await warn({ reason: 'version' }), ['why']);
    assert.deepEqual(await warn({ reason: 'connections' }), ['why']);
    assert.deepEqual(await warn({ reason: 'timeout' }), ['why; the option handshakeTimeoutMs allows more']);
    assert.match((await warn({ reason: 'host' }, 'evil'))[0]!, /the host 'evil', and the option hosts/);
    assert.match((await warn({ reason: 'origin' }))[0]!, /the function of the option origins/);
  });

  it('shows nothing that a terminal could take for more than text, and not too much', async () => {
    const [text] = await warn({ reason: 'route', path: `/\u001b[31m\u009b1m'\\\n${'x'.repeat(500)}` });
    assert.ok(text!.includes("'/\\u001b[31m\\u009b1m\\u0027\\u005c\\u000axxx"));
    assert.match(text!, /^[ -~…]*$/);
    assert.ok(text!.length < 700);
  });
});
