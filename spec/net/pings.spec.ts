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
});
