import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import type { Context } from '../../lib/server/context.ts';
import type { Handler } from '../../lib/server/hooks.ts';
import { runHooks } from '../../lib/server/slow-hooks.ts';
import { cleanUp } from '../support/clean-up.ts';
import { holdWheel, pass, TICK_MS } from '../support/held-wheel.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, settle, until } from '../support/watchdog.ts';
import { upgradeRequest, WsClient } from '../support/ws-client.ts';

holdWheel();

const TEN_SECONDS = 10_000 / TICK_MS;
const warnings: string[] = [];

function note(warning: Error & { code?: string }): void {
  if (warning.code === 'WS_WARN_SLOW_HOOK') warnings.push(warning.message);
}

beforeEach(() => {
  warnings.length = 0;
  process.on('warning', note);
});
afterEach(async () => {
  process.off('warning', note);
  await cleanUp();
});

/** The warnings so far; they are told behind the turn in which they are given. */
async function warned(): Promise<string[]> {
  await settle();
  return warnings;
}

describe('runHooks', () => {
  const info = 'here';
  const contextOf = () => ({ nextHandler: 0, getAborted: () => false }) as unknown as Context;

  it('makes nothing of hooks that end at once', () => {
    assert.equal(
      runHooks([() => {}, () => {}], contextOf(), () => assert.fail('nobody asks')),
      undefined,
    );
    assert.equal(timerWheel.waiting, 0);
  });

  it('waits for nothing when they are done, be it with an error', async () => {
    await runHooks([async () => {}, () => {}], contextOf(), () => info);
    assert.equal(timerWheel.waiting, 0);
    await assert.rejects(runHooks([async () => assert.fail('broken')], contextOf(), () => info)!, /broken/);
    assert.equal(timerWheel.waiting, 0);
    pass(TEN_SECONDS);
    assert.deepEqual(await warned(), []);
  });

  it('warns of the one that takes long, by its name, and counts anew for each', async () => {
    const gates = [defer(), defer()];
    const first: Handler = () => gates[0]!.promise;
    const second: Handler = () => gates[1]!.promise;
    const done = runHooks([() => {}, first, second], contextOf(), () => info);
    pass(TEN_SECONDS - 1);
    gates[0]!.resolve();
    await settle();
    pass(TEN_SECONDS - 1);
    assert.deepEqual(await warned(), []);
    pass(1);
    assert.equal((await warned()).length, 1);
    assert.match(warnings[0]!, /^"second", given to here, has not ended for 10 s: no message is handled/);
    gates[1]!.resolve();
    await done;
    assert.equal(timerWheel.waiting, 0);
  });

  it('warns once of each function, however often it is run, and of one without a name', async () => {
    const gate = defer();
    const hooks: Handler[] = [() => gate.promise];
    const runs = [1, 2, 3].map(() => runHooks(hooks, contextOf(), () => info));
    pass(TEN_SECONDS);
    runs.push(runHooks(hooks, contextOf(), () => info));
    assert.equal(timerWheel.waiting, 0);
    pass(TEN_SECONDS);
    assert.equal((await warned()).length, 1);
    assert.match(warnings[0]!, /^a function without a name, given to here/);
    gate.resolve();
    await Promise.all(runs);
  });

  it('lets handlers take as long as they like that are no hooks', async () => {
    const gate = defer();
    const done = runHooks([async () => {}, () => gate.promise], contextOf(), (index) =>
      index === 0 ? info : undefined,
    );
    await settle();
    pass(TEN_SECONDS);
    assert.deepEqual(await warned(), []);
    gate.resolve();
    await done;
  });
});

describe('a server', () => {
  it('warns of a hook that waits for the end of its connection, and handles nothing meanwhile', async () => {
    const { server } = makeServer({ heartbeatIntervalMs: 0 });
    const handled: string[] = [];
    server.onWebsocketConnected(function logEnd(ctx) {
      return ctx.getStream()!.closed.then(() => {});
    });
    server.route('/chat', (ctx) => void handled.push(ctx.getRequestBodyString()));
    const client = await WsClient.open(await run(server), '/chat');
    client.send('held back');
    await until('it waits', () => timerWheel.waiting > 0);
    pass(TEN_SECONDS);
    assert.equal((await warned()).length, 1);
    assert.match(
      warnings[0]!,
      /^"logEnd", given to onWebsocketConnected, on the route "\/chat", has not ended for 10 s/,
    );
    assert.match(warnings[0]!, /`void ctx\.getStream\(\)\?\.closed\.then\(…\)` or use onWebsocketClosed/);
    assert.deepEqual(handled, []);
  });

  it('names the route of its own hooks, and leaves alone what owns its stream', async () => {
    const { server } = makeServer({ heartbeatIntervalMs: 0 });
    const gate = defer();
    server.route('/slow', () => {}, { connected: () => gate.promise });
    server.enableInnerWebsocketHandle('/inner').route('/inner', () => gate.promise);
    const port = await run(server);
    await WsClient.open(port, '/inner');
    await WsClient.open(port, '/slow');
    await until('it waits', () => timerWheel.waiting > 0);
    pass(TEN_SECONDS);
    assert.equal((await warned()).length, 1);
    assert.match(warnings[0]!, /^"connected", given to route\('\/slow', …, \{ connected \}\), has not ended/);
    gate.resolve();
  });

  it('warns of an upgrade middleware, of all routes or one', async () => {
    const { server } = makeServer({ handshakeTimeoutMs: 60_000, heartbeatIntervalMs: 0 });
    const gates = [defer(), defer()];
    let begun = 0;
    server.upgradeMiddleware(function findUser() {
      begun++;
      return gates[0]!.promise;
    });
    server.route('/', () => {}, {
      upgrade: function findRoom() {
        begun++;
        return gates[1]!.promise;
      },
    });
    const client = await WsClient.connect(await run(server));
    client.write(upgradeRequest('/'));
    await until('the first', () => begun === 1);
    pass(TEN_SECONDS);
    assert.match((await warned())[0]!, /^"findUser", given to upgradeMiddleware, has not ended for 10 s: no message/);
    gates[0]!.resolve();
    await until('the second', () => begun === 2);
    pass(TEN_SECONDS);
    assert.match((await warned())[1]!, /^"findRoom", given to route\('\/', …, \{ upgrade \}\), has not ended/);
    gates[1]!.resolve();
    assert.equal((await client.readHead()).status, 101);
  });
});
