import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { ConnectionClosedError } from '../../lib/errors.ts';
import type { LivenessLimits } from '../../lib/net/limits.ts';
import { Liveness, type LivenessHost } from '../../lib/net/liveness.ts';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { until } from '../support/watchdog.ts';

/** One beat, or one look at the idle time, at each tick of the wheel. */
const LIMITS: LivenessLimits = { heartbeatIntervalMs: 50, idleTimeoutMs: 0, closeTimeoutMs: 50 };

/** Watches over a peer that does what a spec says. */
function watch(limits: Partial<LivenessLimits> = {}) {
  const seen: string[] = [];
  const pings: Buffer[] = [];
  const host: LivenessHost & { isPaused: boolean } = {
    isPaused: false,
    sendPing: (payload) => void pings.push(Buffer.from(payload)),
    onIdle: () => void seen.push('idle'),
    onDead: () => void seen.push('dead'),
  };
  const liveness = new Liveness(host, { ...LIMITS, ...limits });
  onCleanUp(() => liveness.stop(new ConnectionClosedError(1006, '')));
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
    assert.deepEqual([pings.length, seen], [0, ['dead']]);
  });

  it('tells nothing once it was stopped', async () => {
    const { liveness, pings, seen } = watch();
    const { now } = timerWheel;
    watch({ heartbeatIntervalMs: 0, idleTimeoutMs: 1000 });
    liveness.stop(new ConnectionClosedError(1006, ''));
    await until('ticks', () => timerWheel.now > now + 3);
    assert.deepEqual([pings.length, seen], [0, []]);
  });
});
