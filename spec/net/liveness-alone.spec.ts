import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionClosedError, type ConnectionEndError, TimeoutError } from '../../lib/errors.ts';
import type { LivenessLimits } from '../../lib/net/limits.ts';
import { Liveness, type LivenessHost } from '../../lib/net/liveness.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { holdWheel, pass, TICK_MS } from '../support/held-wheel.ts';

holdWheel();

class Host implements LivenessHost {
  isPaused = false;
  hasUnsent = false;
  leftBytes = 0;
  readonly told: string[] = [];
  readonly pings: Buffer[] = [];
  error: Error | undefined;

  sendPing(payload: Uint8Array): void {
    if (this.error !== undefined) throw this.error;
    this.pings.push(Buffer.from(payload));
    this.told.push('ping');
  }

  closedError(): ConnectionClosedError {
    return new ConnectionClosedError(4000, 'over');
  }

  onIdle({ code }: ConnectionEndError): void {
    assert.equal(code, 'WS_ERR_IDLE');
    this.told.push('idle');
  }

  onDead({ code }: ConnectionEndError): void {
    assert.equal(code, 'WS_ERR_HEARTBEAT');
    this.told.push('dead');
  }

  onCloseTimeout(): void {
    this.told.push('late');
  }

  /** What it was told since it was last asked. */
  take(): string[] {
    return this.told.splice(0);
  }
}

function watch(limits: Partial<LivenessLimits> = {}): { liveness: Liveness; host: Host } {
  const host = new Host();
  const liveness = new Liveness(host, { heartbeatIntervalMs: 0, idleTimeoutMs: 0, closeTimeoutMs: TICK_MS, ...limits });
  onCleanUp(() => liveness.stop());
  liveness.start();
  return { liveness, host };
}

describe('Liveness, tick by tick', () => {
  afterEach(cleanUp);

  it('waits for nothing where there is nothing to wait for', () => {
    const { liveness, host } = watch();
    assert.equal(liveness.wheelSlot, -1);
    liveness.heard();
    liveness.active();
    liveness.pongReceived(Buffer.from('x'));
    liveness.endPings();
    assert.equal(liveness.latencyMs, undefined);
    // As a wheel does that it is taken out of too late.
    liveness.onTimer();
    assert.deepEqual([host.take(), liveness.wheelSlot], [[], -1]);
  });

  it('beats in the tick in which its interval is over, and takes a silent peer for dead one later', () => {
    const { host } = watch({ heartbeatIntervalMs: 2 * TICK_MS + 1 });
    pass(2);
    assert.deepEqual(host.take(), []);
    pass(1);
    assert.deepEqual(host.take(), ['ping']);
    pass(2);
    assert.deepEqual(host.take(), []);
    pass(1);
    assert.deepEqual(host.take(), ['dead']);
  });

  it('beats on for who is heard between two heartbeats, and blames no one for the first', () => {
    const { liveness, host } = watch({ heartbeatIntervalMs: TICK_MS });
    for (let beat = 0; beat < 3; beat++) {
      pass(1);
      assert.deepEqual(host.take(), ['ping']);
      liveness.heard();
    }
    pass(2);
    assert.deepEqual(host.take(), ['ping', 'dead']);
    const [first, second] = host.pings;
    assert.notDeepEqual(first, second);
  });

  it('measures a heartbeat', () => {
    const { liveness, host } = watch({ heartbeatIntervalMs: TICK_MS });
    pass(1);
    liveness.pongReceived(host.pings[0]!);
    assert.ok(liveness.latencyMs! >= 0);
  });

  it('tells who is idle in the tick in which that time is over, from the last message on', () => {
    const { liveness, host } = watch({ idleTimeoutMs: 3 * TICK_MS });
    pass(2);
    liveness.active();
    pass(2);
    assert.deepEqual(host.take(), []);
    pass(1);
    assert.deepEqual(host.take(), ['idle']);
    pass(5);
    assert.deepEqual(host.take(), [], 'once');
  });

  it('looks at both times, whichever comes first', () => {
    for (const [heartbeat, idle, told] of [
      [2, 3, [[], ['ping'], ['idle']]],
      [3, 2, [[], ['idle'], []]],
      [2, 2, [[], ['idle'], []]],
    ] as const) {
      const { host } = watch({ heartbeatIntervalMs: heartbeat * TICK_MS, idleTimeoutMs: idle * TICK_MS });
      for (const each of told) {
        pass(1);
        assert.deepEqual(host.take(), each);
      }
    }
  });

  it('looks no more often than it has to', (t) => {
    for (const limits of [{ heartbeatIntervalMs: 5 * TICK_MS }, { idleTimeoutMs: 5 * TICK_MS }]) {
      const { liveness } = watch(limits);
      const look = t.mock.method(liveness, 'onTimer');
      pass(4);
      assert.equal(look.mock.callCount(), 0);
      pass(1);
      assert.equal(look.mock.callCount(), 1);
    }
  });

  it('sends no heartbeat before it is due, because it looked at the idle time', () => {
    const { liveness, host } = watch({ heartbeatIntervalMs: 4 * TICK_MS, idleTimeoutMs: 2 * TICK_MS });
    for (let tick = 1; tick <= 8; tick++) {
      liveness.active();
      liveness.heard();
      pass(1);
      assert.deepEqual(host.take(), tick % 4 === 0 ? ['ping'] : [], `tick ${tick}`);
    }
  });

  it('neither asks nor blames who is made to wait, and asks once more afterwards', () => {
    const { host } = watch({ heartbeatIntervalMs: TICK_MS });
    pass(1);
    host.isPaused = true;
    pass(5);
    assert.deepEqual(host.take(), ['ping']);
    host.isPaused = false;
    pass(1);
    assert.deepEqual(host.take(), ['ping']);
    pass(1);
    assert.deepEqual(host.take(), ['dead']);
  });

  it('gives up Pings that wait for an interval already, while the peer is made to wait', async () => {
    const { liveness, host } = watch({ heartbeatIntervalMs: 5 });
    const ping = assert.rejects(liveness.ping(undefined, 0), TimeoutError);
    host.isPaused = true;
    await sleep(10);
    pass(1);
    await ping;
    const free = watch({ heartbeatIntervalMs: 5 });
    const pending = free.liveness.ping(Buffer.from('mine'), 0);
    await sleep(10);
    pass(1);
    free.liveness.pongReceived(Buffer.from('mine'));
    assert.ok((await pending) >= 5);
  });

  it('takes who reads for alive, and who has read nothing from one heartbeat to the next for dead', () => {
    for (const isPaused of [false, true]) {
      const { liveness, host } = watch({ heartbeatIntervalMs: TICK_MS });
      Object.assign(host, { isPaused, hasUnsent: true });
      for (let beat = 0; beat < 4; beat++) {
        pass(1);
        host.leftBytes++;
      }
      assert.deepEqual(host.take(), isPaused ? [] : Array(4).fill('ping'));
      pass(1);
      assert.deepEqual(host.take(), isPaused ? [] : ['ping']);
      liveness.heard();
      pass(1);
      assert.deepEqual(host.take(), ['dead'], 'whatever it sends');
    }
  });

  it('does not blame for what waits now who had nothing to read before, or has read all of that', () => {
    const { liveness, host } = watch({ heartbeatIntervalMs: TICK_MS });
    pass(1);
    liveness.heard();
    host.hasUnsent = true;
    pass(1);
    liveness.heard();
    host.hasUnsent = false;
    pass(1);
    liveness.heard();
    host.hasUnsent = true;
    pass(1);
    assert.deepEqual(host.take(), Array(4).fill('ping'));
    host.leftBytes = 1;
    host.hasUnsent = false;
    pass(1);
    assert.deepEqual(host.take(), ['ping'], 'it has read, and said nothing');
    host.leftBytes = 2;
    pass(1);
    assert.deepEqual(host.take(), ['dead'], 'what leaves at once is no sign of life');
  });

  it('takes nobody for idle who is made to wait, unless that one reads nothing itself', () => {
    const { host } = watch({ idleTimeoutMs: 2 * TICK_MS });
    host.isPaused = true;
    pass(6);
    assert.deepEqual(host.take(), []);
    host.hasUnsent = true;
    pass(2);
    for (let look = 0; look < 3; look++) {
      host.leftBytes++;
      pass(2);
    }
    assert.deepEqual(host.take(), []);
    pass(1);
    assert.deepEqual(host.take(), [], 'has its time anew');
    pass(1);
    assert.deepEqual(host.take(), ['idle']);
    const read = watch({ idleTimeoutMs: TICK_MS });
    Object.assign(read.host, { isPaused: true, hasUnsent: true });
    pass(1);
    read.host.hasUnsent = false;
    pass(3);
    assert.deepEqual(read.host.take(), [], 'it has read all');
  });

  it('leaves it to the heartbeats who is dead of those that are made to wait', () => {
    const { host } = watch({ heartbeatIntervalMs: 10 * TICK_MS, idleTimeoutMs: TICK_MS });
    Object.assign(host, { isPaused: true, hasUnsent: true });
    pass(19);
    assert.deepEqual(host.take(), []);
    pass(1);
    assert.deepEqual(host.take(), ['dead']);
  });

  it('gives a peer its time to close, from the first call on, and anew when told to', () => {
    const { liveness, host } = watch({
      heartbeatIntervalMs: TICK_MS,
      idleTimeoutMs: TICK_MS,
      closeTimeoutMs: 3 * TICK_MS,
    });
    liveness.startClosing();
    pass(2);
    assert.deepEqual(host.take(), []);
    liveness.startClosing();
    pass(1);
    assert.deepEqual(host.take(), ['late']);
    liveness.extendClosing();
    pass(2);
    assert.deepEqual(host.take(), []);
    pass(1);
    assert.deepEqual(host.take(), ['late']);
  });

  it('waits for nothing once it was stopped', async () => {
    const { liveness, host } = watch({ heartbeatIntervalMs: TICK_MS });
    const ping = assert.rejects(liveness.ping(undefined, 0), { closeCode: 4000 });
    host.take();
    liveness.stop();
    await ping;
    liveness.startClosing();
    assert.equal(liveness.wheelSlot, -1);
    pass(3);
    assert.deepEqual(host.take(), []);
  });

  it('tells who waits for a Pong that none will come, and waits on for the peer', async () => {
    const { liveness, host } = watch({ heartbeatIntervalMs: TICK_MS });
    const ping = assert.rejects(liveness.ping(undefined, 0), ConnectionClosedError);
    liveness.endPings();
    await ping;
    host.take();
    pass(1);
    assert.deepEqual(host.take(), ['ping']);
  });

  it('sends a Ping as it was when it was asked for, each with a payload of its own unless it has one', async () => {
    const { liveness, host } = watch();
    const payload = Buffer.from('mine');
    const ping = liveness.ping(payload, 0);
    payload.fill('x');
    liveness.pongReceived(Buffer.from('mine'));
    assert.equal(await ping, liveness.latencyMs);
    const others = [liveness.ping(undefined, 0), liveness.ping(undefined, 0)];
    assert.notDeepEqual(host.pings[1], host.pings[2]);
    liveness.pongReceived(host.pings[2]!);
    for (const latency of await Promise.all(others)) assert.ok(latency >= 0);
    await assert.rejects(liveness.ping(undefined, 1), TimeoutError);
  });

  it('does not wait for the Pong of a Ping that was not sent', async () => {
    const { liveness, host } = watch();
    host.error = new RangeError('too long');
    await assert.rejects(liveness.ping(Buffer.from('x'), 0), host.error);
    liveness.pongReceived(Buffer.from('x'));
    assert.equal(liveness.latencyMs, undefined);
  });
});
