import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LimitError } from '../../lib/errors.ts';
import { MAX_MEMBERS, MAX_SIGNAL_BYTES } from '../../lib/topics/presence-limits.ts';
import { PresenceSeats } from '../../lib/topics/presence-seats.ts';
import { type ChangeSignal, encodeSignal, type LeaseSignal } from '../../lib/topics/presence-signal.ts';

const ann = { name: 'ann' };
const bob = { name: 'bob' };
const cat = { name: 'cat' };

function makeSeats(isShared: boolean = true): { seats: PresenceSeats; told: string[] } {
  const told: string[] = [];
  const seats = new PresenceSeats('p', isShared, (topic, key, seat) => {
    told.push(`${topic} ${key} ${seat === undefined ? 'gone' : seat.json}`);
  });
  return { seats, told };
}

function take(seats: PresenceSeats): { changes: [string, ChangeSignal][]; leases: LeaseSignal[] } {
  const changes: [string, ChangeSignal][] = [];
  const leases: LeaseSignal[] = [];
  seats.tellChanges((topic, signal) => {
    if (signal.kind === 'lease') leases.push(signal);
    else changes.push([topic!, signal]);
  });
  return { changes, leases };
}

/** Tells what has changed: `topic since>version key=json,…`. */
function tell(seats: PresenceSeats): string[] {
  return take(seats).changes.map(([topic, { since, version, seats: keys }]) => {
    const list = [...keys].map(([key, seat]) => (seat === undefined ? `-${key}` : `${key}=${seat.json}`));
    return `${topic} ${since}>${version} ${list.join(',')}`;
  });
}

function lease(seats: PresenceSeats): string {
  const { from, version, changed } = seats.makeLease();
  return `${from}>${version} ${[...changed].map(([topic, at]) => `${topic}@${at}`).join(',')}`;
}

describe('PresenceSeats', () => {
  it('shows the newest seat of a key, and the one before when that is given up', () => {
    const { seats, told } = makeSeats();
    seats.join('t', ann, 'k', 1, 100);
    seats.join('t', bob, 'k', 2, 100);
    seats.join('t', cat, 'k', 3, 100);
    seats.leave('t', bob);
    assert.deepEqual([...seats.seatsOf('t')], [['k', { key: 'k', json: '3', info: 3, stamp: 102 }]]);
    seats.leave('t', cat);
    seats.leave('t', ann);
    assert.deepEqual(told, ['t k 1', 't k 2', 't k 3', 't k 1', 't k gone']);
    assert.deepEqual([...seats.seatsOf('t')], []);
  });

  it('changes the seat of who has one, and makes it the newest', () => {
    const { seats, told } = makeSeats();
    seats.join('t', ann, 'k', 1, 100);
    seats.join('t', bob, 'k', 2, 100);
    seats.join('t', ann, 'k', 3, 100);
    seats.leave('t', ann);
    assert.deepEqual(told, ['t k 1', 't k 2', 't k 3', 't k 2']);
    seats.leave('t', ann);
    seats.leave('u', ann);
    assert.equal(told.length, 4);
  });

  it('gives up the seat of who takes one with another key', () => {
    const { seats, told } = makeSeats();
    seats.join('t', ann, 'k', 1, 100);
    seats.join('t', ann, 'l', 2, 100);
    assert.deepEqual(told, ['t k 1', 't k gone', 't l 2']);
  });

  it('does not see what becomes of an info later', () => {
    const { seats } = makeSeats();
    const info = { n: 1 };
    seats.join('t', ann, 'k', info, 100);
    info.n = 2;
    assert.deepEqual([...seats.seatsOf('t')][0]![1].info, { n: 1 });
  });

  it('refuses what cannot be sent', () => {
    const { seats, told } = makeSeats();
    const circle: { self?: object } = {};
    circle.self = circle;
    const refused: [unknown, unknown, RegExp][] = [
      ['', 1, /the key of a member is a string that is not empty/],
      [undefined, 1, /and this is undefined/],
      [5, 1, /and this is the number 5/],
      ['\ud800', 1, /can be sent/],
      ['k'.repeat(257), 1, /has 257 bytes: give at most 256/],
      ['k', () => {}, /the info of a member is JSON, and this is a function/],
      ['k', circle, /circular/i],
      ['k', 'x'.repeat(1023), /has 1025 bytes of JSON: give at most 1024/],
    ];
    for (const [key, info, message] of refused) {
      assert.throws(() => seats.join('t', ann, key as string, info, 100), message);
    }
    assert.deepEqual(told, []);
    seats.join('t', ann, 'é'.repeat(128), 'x'.repeat(1022), 100);
  });

  it('takes as many members of a topic as may be, and more seats of those', () => {
    const { seats } = makeSeats();
    for (let i = 0; i < MAX_MEMBERS; i++) seats.join('t', { i }, `k${i}`, undefined, 100);
    assert.throws(
      () => seats.join('t', ann, 'more', undefined, 100),
      (error) => error instanceof LimitError && error.code === 'WS_ERR_PRESENCE_FULL',
    );
    seats.join('t', ann, 'k7', undefined, 100);
    seats.join('u', ann, 'more', undefined, 100);
  });

  it('tells what has changed since, once, and behind what', () => {
    const { seats } = makeSeats();
    seats.join('t', ann, 'a', 1, 100);
    seats.join('t', bob, 'b', undefined, 100);
    seats.join('u', bob, 'b', undefined, 100);
    assert.equal(seats.hasUntold, true);
    assert.deepEqual(tell(seats), ['t 0>1 a=1,b=', 'u 0>2 b=']);
    assert.equal(seats.hasUntold, false);
    assert.deepEqual(tell(seats), []);
    seats.leave('t', ann);
    seats.join('t', cat, 'c', 3, 100);
    seats.leave('t', cat);
    assert.deepEqual(tell(seats), ['t 1>3 -a,-c']);
    assert.equal(seats.version, 3);
  });

  it('names changes in three leases, and the topics that were changed meanwhile', () => {
    const { seats } = makeSeats();
    seats.join('t', ann, 'a', 1, 100);
    seats.join('u', ann, 'a', 1, 100);
    tell(seats);
    assert.equal(lease(seats), '0>2 t@1,u@2');
    seats.join('t', bob, 'b', 1, 100);
    tell(seats);
    assert.equal(lease(seats), '0>3 u@2,t@3');
    assert.equal(lease(seats), '0>3 u@2,t@3');
    assert.equal(lease(seats), '2>3 t@3');
    assert.equal(lease(seats), '3>3 ');
  });

  it('goes on behind what it last said of a topic that was empty, or behind all that it remembers', () => {
    const { seats } = makeSeats();
    seats.join('t', ann, 'a', 1, 100);
    seats.join('u', ann, 'a', 1, 100);
    tell(seats);
    seats.leave('t', ann);
    tell(seats);
    assert.equal(seats.topics, 1);
    seats.join('u', bob, 'b', 1, 100);
    tell(seats);
    seats.join('t', ann, 'a', 1, 100);
    assert.deepEqual(tell(seats), ['t 3>5 a=1']);
    seats.leave('t', ann);
    tell(seats);
    for (let i = 0; i < 3; i++) lease(seats);
    assert.equal(lease(seats), '6>6 ');
    seats.join('t', ann, 'a', 1, 100);
    assert.deepEqual(tell(seats), ['t 6>7 a=1']);
  });

  it('tells much in signals of their size, and leases before they would be too large', () => {
    const { seats } = makeSeats();
    for (let i = 0; i < 100; i++) seats.join('t', { i }, `k${i}`, 'x'.repeat(1000), 100);
    for (let i = 0; i < 2000; i++) seats.join(`topic ${i}`, { i }, 'k', undefined, 100);
    const { changes, leases } = take(seats);
    const ofT = changes.filter(([topic]) => topic === 't').map(([, signal]) => signal);
    assert.equal(ofT.length, 4);
    assert.deepEqual(
      ofT.map(({ since, version }) => [since, version]),
      [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 4],
      ],
    );
    assert.equal(
      ofT.reduce((sum, { seats: some }) => sum + some.size, 0),
      100,
    );
    for (const [, signal] of changes) assert.ok(encodeSignal(signal).length <= MAX_SIGNAL_BYTES + 64);
    // Each lease reaches back to the one before: who has heard all has missed nothing.
    leases.push(seats.makeLease());
    let heard = 0;
    for (const signal of leases) {
      assert.ok(signal.from <= heard);
      assert.ok(encodeSignal(signal).length <= MAX_SIGNAL_BYTES + 64);
      heard = signal.version;
    }
    assert.equal(heard, seats.version);
    assert.ok(leases.length >= 3);
    assert.ok(leases.at(-1)!.from > 0);
  });

  it('tells a topic as it is, in parts', () => {
    const { seats } = makeSeats();
    for (let i = 0; i < 100; i++) seats.join('t', { i }, `k${i}`, 'x'.repeat(1000), 100);
    const parts = seats.stateOf('t');
    assert.equal(parts.length, 4);
    assert.deepEqual(
      parts.map(({ part, parts: of }) => [part, of]),
      [
        [0, 4],
        [1, 4],
        [2, 4],
        [3, 4],
      ],
    );
    assert.deepEqual(seats.stateOf('u'), [{ topic: 'u', part: 0, parts: 1, seats: new Map() }]);
  });

  it('has nothing to tell when it is alone', () => {
    const { seats, told } = makeSeats(false);
    seats.join('t', ann, 'a', 1, 100);
    seats.leave('t', ann);
    assert.equal(seats.hasUntold, false);
    assert.equal(seats.topics, 0);
    assert.deepEqual(told, ['t a 1', 't a gone']);
  });
});
