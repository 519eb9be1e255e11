import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConnectionClosedError, TimeoutError } from '../../lib/errors.ts';
import { Pings } from '../../lib/net/pings.ts';
import { soon } from '../support/watchdog.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

describe('Pings', () => {
  it('makes payloads that differ', () => {
    const pings = new Pings();
    const made = Array.from({ length: 300 }, () => pings.makePayload());
    assert.ok(made.every(({ length }) => length === 4));
    assert.equal(new Set(made.map((payload) => payload.toString('hex'))).size, 300);
  });

  it('measures from a Ping to its own Pong', async () => {
    const pings = new Pings();
    assert.equal(pings.latencyMs, undefined);
    const answer = pings.answer(bytes('a'), 0);
    assert.ok(pings.waiting);
    pings.received(bytes('b'));
    pings.received(bytes(''));
    assert.ok(pings.waiting, 'a Pong that answers no Ping is none');
    assert.equal(pings.latencyMs, undefined);
    pings.received(bytes('a'));
    assert.ok((await soon('the Pong', answer)) >= 0);
    assert.equal(pings.latencyMs, await answer);
    assert.ok(!pings.waiting);
    pings.received(bytes('a'));
    assert.equal(pings.latencyMs, await answer, 'a second Pong measures nothing');
  });

  it('takes a Pong for the answer to all Pings before its own, and to none behind it', async () => {
    const pings = new Pings();
    const [a, b, c] = ['a', 'b', 'c'].map((text) => pings.answer(bytes(text), 0));
    pings.sent(bytes('heartbeat'));
    pings.received(bytes('b'));
    await soon('both', Promise.all([a, b]));
    assert.ok(pings.waiting);
    pings.received(bytes('heartbeat'));
    await soon('the third', c!);
    assert.ok(!pings.waiting);
  });

  it('answers the oldest of Pings with one payload', async () => {
    const pings = new Pings();
    const [first, second] = [pings.answer(bytes('x'), 0), pings.answer(bytes('x'), 0)];
    pings.received(bytes('x'));
    await soon('the first', first);
    assert.ok(pings.waiting);
    pings.received(bytes('x'));
    await soon('the second', second);
  });

  it('rejects after the time that was given, and forgets the Ping', async () => {
    const pings = new Pings();
    await assert.rejects(soon('a rejection', pings.answer(bytes('a'), 5)), (error) => {
      assert.ok(error instanceof TimeoutError);
      assert.equal(error.timeoutMs, 5);
      return true;
    });
    assert.ok(!pings.waiting);
    pings.received(bytes('a'));
    assert.equal(pings.latencyMs, undefined);
  });

  it('rejects what waits when the connection is over', async () => {
    const pings = new Pings();
    const answers = [pings.answer(bytes('a'), 0), pings.answer(bytes('b'), 10_000)];
    pings.sent(bytes('heartbeat'));
    const error = new ConnectionClosedError(1006, '');
    pings.close(error);
    for (const answer of answers) await assert.rejects(answer, error);
    assert.ok(!pings.waiting);
  });

  it('remembers no more than a few heartbeats of a peer that answers none, and all that somebody waits for', async () => {
    const pings = new Pings();
    const wanted = pings.answer(bytes('wanted'), 0);
    for (let i = 0; i < 200; i++) pings.sent(bytes(`${i}`));
    pings.received(bytes('0'));
    assert.equal(pings.latencyMs, undefined, 'the first heartbeats are forgotten');
    pings.received(bytes('199'));
    await soon('the Pong', wanted);
    assert.ok(!pings.waiting);
  });

  it('remembers 64 heartbeats, and forgets the first at the next', () => {
    const pings = new Pings();
    for (let i = 0; i < 64; i++) pings.sent(bytes(`${i}`));
    pings.received(bytes('0'));
    assert.notEqual(pings.latencyMs, undefined);
    const others = new Pings();
    for (let i = 0; i < 65; i++) others.sent(bytes(`${i}`));
    others.received(bytes('0'));
    assert.equal(others.latencyMs, undefined);
  });

  it('forgets no Ping that somebody waits for, however many there are', async () => {
    const pings = new Pings();
    const answers = Array.from({ length: 70 }, (_, i) => pings.answer(bytes(`${i}`), 0));
    pings.received(bytes('69'));
    assert.equal((await soon('all', Promise.all(answers))).length, 70);
  });

  it('forgets the Ping whose time is over, and not the one before it', async () => {
    const pings = new Pings();
    const patient = pings.answer(bytes('patient'), 0);
    await assert.rejects(soon('a rejection', pings.answer(bytes('hasty'), 5)), { code: 'WS_ERR_TIMEOUT' });
    pings.received(bytes('hasty'));
    assert.ok(pings.waiting, 'a Pong that comes too late is none');
    pings.received(bytes('patient'));
    assert.ok((await soon('the Pong', patient)) >= 0);
  });

  it('leaves no timer behind, neither of an answer nor of the end', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const pings = new Pings();
    const answers = [pings.answer(bytes('a'), 10_000), pings.answer(bytes('b'), 10_000)];
    assert.equal(timers(), before + 2);
    pings.received(bytes('a'));
    assert.equal(timers(), before + 1);
    pings.close(new ConnectionClosedError(1006, ''));
    assert.equal(timers(), before);
    await answers[0];
    await assert.rejects(answers[1]!);
  });

  it('waits for ever for 0, and for what no timer can count', (t) => {
    const setTimer = t.mock.method(globalThis, 'setTimeout', () => undefined as never);
    const pings = new Pings();
    for (const timeoutMs of [0, 2 ** 31, Number.POSITIVE_INFINITY]) void pings.answer(bytes('a'), timeoutMs);
    assert.equal(setTimer.mock.callCount(), 0);
    void pings.answer(bytes('a'), 2 ** 31 - 1);
    assert.equal(setTimer.mock.callCount(), 1);
  });
});
