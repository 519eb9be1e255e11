import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { afterEach, describe, it } from 'node:test';
import { ConnectionClosedError, TimeoutError } from '../../lib/errors.ts';
import type { LivenessLimits } from '../../lib/net/limits.ts';
import { Liveness, type LivenessHost } from '../../lib/net/liveness.ts';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import { Request } from '../../lib/server/request.ts';
import type { WebSocketStream } from '../../lib/server/websocket-stream.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { infoOf } from '../support/connections.ts';
import { makeServer, run } from '../support/running-server.ts';
import { defer, soon, until } from '../support/watchdog.ts';
import { clientFrame, upgradeRequest, WsClient } from '../support/ws-client.ts';

/** One beat, or one look at the idle time, at each tick of the wheel. */
const LIMITS: LivenessLimits = { heartbeatIntervalMs: 50, idleTimeoutMs: 0, closeTimeoutMs: 50 };

/** Watches over a peer that does what a spec says. */
function watch(limits: Partial<LivenessLimits> = {}) {
  const seen: string[] = [];
  const pings: Buffer[] = [];
  const host: LivenessHost & { isPaused: boolean; hasUnsent: boolean; leftBytes: number } = {
    isPaused: false,
    hasUnsent: false,
    leftBytes: 0,
    sendPing: (payload) => void pings.push(Buffer.from(payload)),
    closedError: () => new ConnectionClosedError(1006, ''),
    onIdle: () => void seen.push('idle'),
    onDead: () => void seen.push('dead'),
    onCloseTimeout: () => void seen.push('late'),
  };
  const liveness = new Liveness(host, { ...LIMITS, ...limits });
  onCleanUp(() => liveness.stop());
  liveness.start();
  return { liveness, host, pings, seen };
}

describe('Liveness', () => {
  afterEach(cleanUp);

  it('sends a heartbeat before any Ping was asked for, and measures how long its Pong takes', async () => {
    const { liveness, pings, seen } = watch();
    assert.equal(liveness.latencyMs, undefined);
    await until('a heartbeat', () => pings.length > 0);
    liveness.heard();
    liveness.pongReceived(pings[0]!);
    assert.ok(liveness.latencyMs! >= 0);
    await until('the next heartbeat', () => pings.length > 1);
    assert.notDeepEqual(pings[1], pings[0]);
    assert.deepEqual(seen, []);
  });

  it('takes a peer for dead that is silent from one heartbeat to the next', async () => {
    const { pings, seen } = watch();
    await until('the end', () => seen.length > 0);
    assert.deepEqual(seen, ['dead']);
    assert.equal(pings.length, 1);
  });

  it('blames no peer that is made to wait', async () => {
    const { host, pings, seen } = watch();
    await until('a heartbeat', () => pings.length === 1);
    host.isPaused = true;
    const { now } = timerWheel;
    await until('ticks', () => timerWheel.now > now + 3);
    assert.deepEqual([pings.length, seen], [1, []]);
    host.isPaused = false;
    await until('the end', () => seen.length > 0);
    assert.deepEqual(seen, ['dead']);
    assert.equal(pings.length, 2, 'it is asked once more: what it sent meanwhile has not been read');
  });

  it('takes no peer for idle that is made to wait, and gives it its time anew', async () => {
    const { host, seen } = watch({ heartbeatIntervalMs: 0, idleTimeoutMs: 100 });
    host.isPaused = true;
    const { now } = timerWheel;
    // It has looked at 2 and 4 ticks, and next looks at 6.
    await until('ticks', () => timerWheel.now > now + 4);
    assert.deepEqual(seen, []);
    host.isPaused = false;
    await until('the idle time', () => seen.length > 0);
    assert.deepEqual(seen, ['idle']);
    assert.ok(timerWheel.now >= now + 6);
  });

  it('takes a peer for dead that reads nothing of what waits for it, made to wait or not, whatever it sends', async () => {
    for (const isPaused of [false, true]) {
      const { liveness, host, seen } = watch();
      host.isPaused = isPaused;
      host.hasUnsent = true;
      await until('the end', () => {
        liveness.heard();
        return seen.length > 0;
      });
      assert.deepEqual(seen, ['dead']);
    }
  });

  it('takes no peer for dead that is made to wait, and reads', async () => {
    const { host, seen } = watch();
    Object.assign(host, { isPaused: true, hasUnsent: true });
    const { now } = timerWheel;
    await until('ticks', () => {
      host.leftBytes = timerWheel.now;
      return timerWheel.now > now + 4;
    });
    assert.deepEqual(seen, []);
  });

  it('takes a peer for idle that is made to wait, and reads nothing of what waits for it', async () => {
    const { host, seen } = watch({ heartbeatIntervalMs: 0, idleTimeoutMs: 100 });
    Object.assign(host, { isPaused: true, hasUnsent: true });
    const { now } = timerWheel;
    await until('ticks', () => {
      host.leftBytes = timerWheel.now;
      return timerWheel.now > now + 7;
    });
    assert.deepEqual(seen, [], 'while it reads');
    await until('the end', () => seen.length > 0);
    assert.deepEqual(seen, ['idle']);
  });

  it('gives a peer its time to close anew', async () => {
    const { liveness, seen } = watch({ closeTimeoutMs: 150 });
    liveness.startClosing();
    const { now } = timerWheel;
    await until('ticks', () => timerWheel.now >= now + 2);
    liveness.startClosing();
    liveness.extendClosing();
    await until('the end', () => seen.length > 0);
    assert.ok(timerWheel.now >= now + 5);
  });

  it('beats on for a peer that is heard, and ends no sooner than two heartbeats behind the last word', async () => {
    const { liveness, pings, seen } = watch({ heartbeatIntervalMs: 100 });
    for (let beat = 1; beat <= 3; beat++) {
      await until('a heartbeat', () => pings.length === beat);
      liveness.heard();
    }
    const { now } = timerWheel;
    await until('the end', () => seen.length > 0);
    assert.equal(pings.length, 4);
    assert.ok(timerWheel.now - now >= 3 && timerWheel.now - now <= 5, `${timerWheel.now - now} ticks of 50 ms`);
  });

  it('keeps a peer that says nothing while what waits for it leaves, and finds out when it reads no more', async () => {
    const { host, pings, seen } = watch();
    host.hasUnsent = true;
    for (let beat = 1; beat <= 5; beat++) {
      await until('a heartbeat', () => pings.length === beat);
      host.leftBytes++;
    }
    await until('the last heartbeat', () => pings.length === 6);
    await until('the end', () => seen.length > 0);
    assert.deepEqual([pings.length, seen], [6, ['dead']]);
  });

  it('takes what leaves at once for no sign of life: it is the system that took it', async () => {
    const { host, pings, seen } = watch();
    await until('a heartbeat', () => pings.length === 1);
    host.leftBytes += 1000;
    await until('the end', () => seen.length > 0);
    assert.deepEqual([pings.length, seen], [1, ['dead']]);
  });

  it('tells when no message has come or gone for too long, whatever else was heard', async () => {
    const { liveness, seen } = watch({ heartbeatIntervalMs: 0, idleTimeoutMs: 150 });
    const { now } = timerWheel;
    await until('a tick', () => timerWheel.now > now);
    liveness.active();
    liveness.heard();
    await until('the idle time', () => seen.length > 0);
    assert.deepEqual(seen, ['idle']);
    assert.ok(timerWheel.now >= now + 4);
  });

  it('gives a peer its time to close, and sends no heartbeat meanwhile', async () => {
    const { liveness, pings, seen } = watch({ closeTimeoutMs: 150 });
    liveness.startClosing();
    await until('the end', () => seen.length > 0);
    assert.deepEqual([pings.length, seen], [0, ['late']]);
  });

  it('is in no wheel once it was stopped, though its connection is closed once more', () => {
    const { liveness } = watch();
    assert.notEqual(liveness.wheelSlot, -1);
    liveness.stop();
    assert.equal(liveness.wheelSlot, -1);
    liveness.startClosing();
    assert.equal(liveness.wheelSlot, -1);
  });

  it('tells nothing once it was stopped', async () => {
    const { liveness, pings, seen } = watch();
    const { now } = timerWheel;
    watch({ heartbeatIntervalMs: 0, idleTimeoutMs: 1000 });
    liveness.stop();
    await until('ticks', () => timerWheel.now > now + 3);
    assert.deepEqual([pings.length, seen], [0, []]);
  });
});

describe('the liveness of connections', () => {
  afterEach(cleanUp);

  /** A server whose one route tells when it is open, and how it ended. */
  async function start(options: ServerOptions) {
    const opened = defer<WebSocketStream>();
    const ended: unknown[] = [];
    const { server, errors } = makeServer(options);
    server.route('/', () => {});
    server.route('/own', async (ctx) => {
      const stream = ctx.getStream()!;
      opened.resolve(stream);
      try {
        for (;;) await Request.websocketRequestFromStream(stream);
      } catch (error) {
        ended.push((error as ConnectionClosedError).closeCode);
        throw error;
      }
    });
    server.enableInnerWebsocketHandle('/own');
    const port = await run(server);
    const client = await WsClient.open(port, '/own');
    return { client, stream: await soon('the handler', opened.promise), ended, errors, port };
  }

  it('cuts a peer that has vanished with 1006, tells its handler, and is no error', async () => {
    const { client, stream, ended, errors } = await start({ heartbeatIntervalMs: 100 });
    // Reads, and answers no Ping: as good as gone.
    const closed = await soon('the end', stream.closed);
    assert.deepEqual(infoOf(closed), { code: 1006, reason: '', wasClean: false });
    await until('the handler is told', () => ended.length > 0);
    assert.deepEqual([ended, errors], [[1006], []]);
    assert.equal((await client.readFrame())?.opcode, 9);
    await client.waitForEnd();
    assert.equal(stream.state, 'closed');
  });

  for (const how of ['many messages', 'one message']) {
    it(`keeps a peer that reads ${how} slowly and says nothing, until it reads no more`, async () => {
      const interval = 150;
      const { client, stream } = await start({ heartbeatIntervalMs: interval, backpressurePolicy: 'wait' });
      client.socket.pause();
      const size = 1024 * 1024;
      if (how === 'one message') void stream.send(Buffer.alloc(96 * size));
      else for (let i = 0; i < 96; i++) void stream.send(Buffer.alloc(size));
      const { now } = timerWheel;
      let read = 0;
      const take = (chunk: Buffer) => {
        read += chunk.length;
        if (read >= 4 * size) client.socket.pause();
      };
      client.socket.on('data', take);
      // Four beats, in each of which it reads so much that the system's buffers cannot hide it.
      for (let tick = 1; tick <= 12; tick++) {
        await until('a tick', () => timerWheel.now >= now + tick);
        assert.equal(stream.state, 'open');
        read = 0;
        client.socket.resume();
      }
      const stopped = timerWheel.now;
      client.socket.off('data', take).pause();
      await soon('the end', stream.closed);
      const ticks = timerWheel.now - stopped;
      assert.ok(ticks <= (3 * interval) / 50 + 2, `${ticks} ticks`);
    });
  }

  it('takes a peer that has vanished for no reader: what it is sent stays in the system', async () => {
    const { client, stream } = await start({ heartbeatIntervalMs: 100 });
    client.socket.pause();
    // More than a socket takes before it asks to wait, and less than the system does.
    const sends = setInterval(() => void stream.send(Buffer.alloc(20_000)), 20);
    onCleanUp(() => clearInterval(sends));
    assert.equal((await soon('the end', stream.closed)).code, 1006);
  });

  it('keeps a peer that only answers Pings, and knows its latency', async () => {
    const { client, stream } = await start({ heartbeatIntervalMs: 100 });
    for (let beat = 0; beat < 4; beat++) {
      const ping = await client.readFrame();
      assert.equal(ping?.opcode, 9);
      client.write(clientFrame(0x8a, ping!.payload));
      await until('the latency', () => stream.latency !== undefined);
    }
    assert.equal(stream.state, 'open');
    assert.ok(stream.latency! >= 0);
  });

  it('keeps a peer that answers no Ping and says something else', async () => {
    const { client, stream } = await start({ heartbeatIntervalMs: 100 });
    for (let beat = 0; beat < 4; beat++) {
      assert.equal((await client.readFrame())?.opcode, 9);
      client.write(clientFrame(0x8a, 'unasked-for'));
    }
    assert.equal(stream.state, 'open');
    assert.equal(stream.latency, undefined);
  });

  it('answers a Ping by its own Pong, and by a later one', async () => {
    const { client, stream } = await start({ heartbeatIntervalMs: 0 });
    const pings = ['a', 'b', 'c'].map((payload) => stream.ping(Buffer.from(payload)));
    for (let i = 0; i < pings.length; i++) assert.equal((await client.readFrame())?.opcode, 9);
    const answered: number[] = [];
    for (const [i, ping] of pings.entries())
      ping.then(
        () => answered.push(i),
        () => {},
      );
    client.write(clientFrame(0x8a, 'x'));
    client.write(clientFrame(0x8a, 'b'));
    await soon('the Pong', pings[1]!);
    assert.deepEqual(answered.sort(), [0, 1]);
    await assert.rejects(stream.ping(Buffer.from('d'), { timeout: 20 }), TimeoutError);
    assert.equal(stream.state, 'open', 'a Ping that is not answered in time ends nothing');
    client.reset();
    await assert.rejects(soon('a rejection', pings[2]!), ConnectionClosedError);
  });

  it('closes a WebSocket with 1001 on which no message came or went, Pings or not', async () => {
    const { client, stream } = await start({ heartbeatIntervalMs: 0, idleTimeoutMs: 150 });
    const pings = setInterval(() => client.socket.writable && client.ping('I am here'), 20);
    onCleanUp(() => clearInterval(pings));
    for (;;) {
      const frame = await client.readFrame();
      assert.ok(frame !== undefined);
      if (frame.opcode === 10) continue;
      assert.equal(frame.opcode, 8);
      assert.equal(frame.payload.readUInt16BE(), 1001);
      break;
    }
    assert.equal(stream.state, 'closing');
  });

  it('keeps no process waiting by a server that has only WebSockets with heartbeats, once they are gone', () => {
    const script = `
      import { Server } from './lib/index.ts';
      import { connect } from 'node:net';
      const server = await new Server({ port: 0, host: '127.0.0.1', heartbeatIntervalMs: 60000, idleTimeoutMs: 60000 })
        .route('/', () => {});
      await server.run();
      const socket = connect(server.address().port, '127.0.0.1', () => socket.write(${JSON.stringify(upgradeRequest())}));
      socket.once('data', async () => {
        socket.destroy();
        console.log(JSON.stringify(await server.close()));
      });`;
    const args = ['--import', 'tsx', '--input-type=module', '--eval', script];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 });
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { closed: 1, cut: 0 });
  });
});
