import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PresenceBook } from '../../lib/topics/presence-book.ts';
import { MAX_MEMBERS, MAX_PROCESSES } from '../../lib/topics/presence-limits.ts';
import { decodeSignal, encodeSignal, type PresenceSignal, type Seat } from '../../lib/topics/presence-signal.ts';
import { Replay, World, type WorldProcess } from '../support/presence-world.ts';

const ann = { name: 'ann' };
const bob = { name: 'bob' };

/** As many processes, which have known each other for a while. */
function makeWorld(count: number): { world: World; processes: WorldProcess[] } {
  const world = new World(1);
  const processes = Array.from({ length: count }, () => world.start());
  world.pass(10_000);
  return { world, processes };
}

/** One book alone, whose other processes are made up. */
function makeBook(): {
  book: PresenceBook;
  sent: PresenceSignal[];
  hear(signal: PresenceSignal, topic?: string): void;
} {
  const sent: PresenceSignal[] = [];
  const book = new PresenceBook({ process: 'aa'.repeat(8), send: (_topic, bytes) => sent.push(decodeSignal(bytes)!) });
  book.tick(0);
  return { book, sent, hear: (signal, topic) => book.receive(topic, encodeSignal(signal)) };
}

function watch(book: PresenceBook, topic: string): Replay {
  const replay = new Replay();
  const room = book.watch(topic);
  room.watchers.add(replay);
  if (room.isReady) replay.onReady();
  return replay;
}

/** Lets time pass for a book as its owner does. */
function pass(book: PresenceBook, from: number, ms: number): number {
  for (let now = from; now <= from + ms; now += 250) book.tick(now);
  return from + ms;
}

function seats(...keys: string[]): Map<string, Seat> {
  return new Map(keys.map((key) => [key, { json: '', info: undefined, stamp: 1 }]));
}

const peer = 'bb'.repeat(8);

describe('PresenceBook, alone', () => {
  it('is synchronous and exact', () => {
    const book = new PresenceBook({ process: 'p' });
    const replay = watch(book, 't');
    assert.equal(replay.isReady, true);
    book.join('t', ann, 'a', { n: 1 });
    assert.deepEqual([...book.watch('t').members()], [['a', { n: 1 }]]);
    book.join('t', bob, 'b');
    book.leave('t', ann);
    assert.deepEqual(replay.log, ['join a', 'join b', 'leave a']);
    assert.deepEqual(book.stats(), { processes: 0, topics: 1, watched: 1, ignored: 0 });
    book.unwatch('t', replay);
    book.unwatch('t', replay);
    book.leave('t', bob);
    assert.deepEqual(book.stats(), { processes: 0, topics: 0, watched: 0, ignored: 0 });
    book.flush();
    book.tick(0);
    book.up();
    book.close();
  });

  it('tells those who watch that it closes, once', () => {
    const book = new PresenceBook({ process: 'p' });
    const replay = watch(book, 't');
    book.close();
    book.close();
    assert.equal(replay.hasEnded, true);
    book.up();
    book.receive(undefined, new Uint8Array(3));
    assert.equal(book.stats().ignored, 0);
  });
});

describe('PresenceBook, among others', () => {
  it('has a snapshot as soon as all have answered, once it knows who they are', () => {
    const { world, processes } = makeWorld(3);
    const [p, q, r] = processes as [WorldProcess, WorldProcess, WorldProcess];
    p.join(world, ann, 't', 'a', 1);
    q.join(world, bob, 'u', 'b', 1);
    world.pass(10_000);
    r.watch('t');
    assert.equal(r.watches.get('t')!.isReady, false);
    world.pass(750);
    assert.equal(r.watches.get('t')!.isReady, true);
    assert.deepEqual([...r.watches.get('t')!.members], [['a', 1]]);
    assert.equal(r.book.stats().processes, 2);
  });

  it('waits for one that does not answer, and no longer than a second', () => {
    const { world, processes } = makeWorld(3);
    const [p, q, r] = processes as [WorldProcess, WorldProcess, WorldProcess];
    p.join(world, ann, 't', 'a', 1);
    q.join(world, ann, 't', 'b', 1);
    world.pass(10_000);
    q.isPaused = true;
    r.watch('t');
    world.pass(750);
    assert.equal(r.watches.get('t')!.isReady, false);
    world.pass(500);
    assert.equal(r.watches.get('t')!.isReady, true);
    q.isPaused = false;
    world.pass(1000);
    assert.deepEqual(r.watches.get('t')!.log, ['join a', 'join b']);
  });

  it('does not wait for one that closes', () => {
    const { world, processes } = makeWorld(2);
    const [p, r] = processes as [WorldProcess, WorldProcess];
    p.join(world, ann, 't', 'a', 1);
    world.pass(10_000);
    p.isPaused = true;
    r.watch('t');
    world.pass(250);
    world.close(p);
    world.pass(250);
    assert.equal(r.watches.get('t')!.isReady, true);
    assert.equal(r.book.stats().processes, 0);
  });

  it('knows within 20 s that a process was killed, and at once that one has closed', () => {
    const { world, processes } = makeWorld(3);
    const [p, q, r] = processes as [WorldProcess, WorldProcess, WorldProcess];
    p.join(world, ann, 't', 'a', 1);
    q.join(world, bob, 't', 'b', 1);
    r.watch('t');
    world.pass(4750);
    world.crash(p);
    world.close(q);
    world.pass(250);
    assert.deepEqual([...r.watches.get('t')!.members.keys()], ['a']);
    world.pass(20_000);
    assert.deepEqual(r.watches.get('t')!.log.slice(-2), ['leave b', 'leave a']);
  });

  it('takes nothing that comes late from one that has closed, even if it was never heard of', () => {
    for (const isKnown of [true, false]) {
      const { book, hear } = makeBook();
      const replay = watch(book, 't');
      if (isKnown)
        hear({
          kind: 'state',
          process: peer,
          version: 1,
          states: [{ topic: 't', part: 0, parts: 1, seats: seats('a') }],
        });
      hear({ kind: 'bye', process: peer });
      hear({ kind: 'bye', process: peer });
      hear({ kind: 'change', process: peer, since: 1, version: 2, seats: seats('b') }, 't');
      hear({ kind: 'lease', process: peer, from: 0, version: 2, changed: new Map([['t', 2]]) });
      assert.deepEqual([...replay.members], []);
      assert.equal(book.retained, 2, 'it is remembered, and everybody is to be asked');
      book.flush();
      pass(book, 0, 16_000);
      assert.equal(book.retained, 0);
    }
  });

  it('keeps those of a process that stood still for 10 s, and of those it did not hear meanwhile', () => {
    const { world, processes } = makeWorld(2);
    const [p, q] = processes as [WorldProcess, WorldProcess];
    p.join(world, ann, 't', 'a', 1);
    q.join(world, bob, 't', 'b', 1);
    p.watch('t');
    q.watch('t');
    world.pass(7000);
    const told = q.watches.get('t')!.log.length;
    for (let i = 0; i < 5; i++) {
      q.isPaused = true;
      world.pass(10_000);
      q.isPaused = false;
      world.pass(250 * (i + 1));
    }
    world.pass(10_000);
    assert.equal(q.watches.get('t')!.log.length, told);
    assert.deepEqual(p.watches.get('t')!.log, ['join b'], 'its own was there before');
  });

  it('does not take it for death that the broker is away', () => {
    const { world, processes } = makeWorld(2);
    const [p, q] = processes as [WorldProcess, WorldProcess];
    p.join(world, ann, 't', 'a', 1);
    q.watch('t');
    world.pass(1000);
    for (const process of processes) world.cut(process, true);
    world.pass(60_000);
    p.join(world, bob, 't', 'b', 1);
    world.pass(60_000);
    for (const process of processes) world.heal(process);
    world.pass(6000);
    assert.deepEqual(q.watches.get('t')!.log, ['join a', 'join b']);
  });

  it('hears nobody while it does not know that it is cut off, and says so', () => {
    const { world, processes } = makeWorld(2);
    const [p, q] = processes as [WorldProcess, WorldProcess];
    p.join(world, ann, 't', 'a', 1);
    q.watch('t');
    world.pass(1000);
    world.cut(q, false);
    world.pass(20_000);
    world.heal(q);
    world.pass(6000);
    assert.deepEqual(q.watches.get('t')!.log, ['join a', 'leave a', 'join a']);
  });

  it('asks once for what it has missed, and has it with the next lease', () => {
    const { world, processes } = makeWorld(2);
    const [p, q] = processes as [WorldProcess, WorldProcess];
    p.join(world, ann, 't', 'a', 1);
    q.watch('t');
    world.pass(6000);
    world.loss = 1;
    p.join(world, bob, 't', 'b', 1);
    world.pass(250);
    world.loss = 0;
    world.signals = 0;
    world.pass(5500);
    assert.deepEqual(q.watches.get('t')!.log, ['join a', 'join b']);
    assert.equal(world.signals, 3, 'a lease, an ask, an answer');
  });

  it('takes no change behind one that it has missed', () => {
    const { world, processes } = makeWorld(2);
    const [p, q] = processes as [WorldProcess, WorldProcess];
    p.join(world, ann, 't', 'a', 1);
    q.watch('t');
    world.pass(6000);
    world.loss = 1;
    p.leave(ann);
    world.pass(250);
    world.loss = 0;
    p.join(world, bob, 't', 'b', 1);
    world.pass(250);
    assert.deepEqual(q.watches.get('t')!.log, ['join a']);
    world.pass(1000);
    assert.deepEqual(q.watches.get('t')!.log, ['join a', 'leave a', 'join b']);
  });

  it('asks nobody while nothing is missing, whatever changes elsewhere', () => {
    const { world, processes } = makeWorld(2);
    const [p, q] = processes as [WorldProcess, WorldProcess];
    p.join(world, ann, 't', 'a', 1);
    q.watch('t');
    world.pass(10_000);
    world.signals = 0;
    for (let i = 0; i < 20; i++) {
      p.join(world, { i }, `other ${i}`, 'x', i);
      p.join(world, bob, 't', 'b', i);
      world.pass(500);
    }
    assert.equal(world.signals, 20 + 20 + 2, 'the changes, two a turn, and two leases');
  });

  it('takes a large topic in parts', () => {
    const { world, processes } = makeWorld(2);
    const [p, q] = processes as [WorldProcess, WorldProcess];
    for (let i = 0; i < 300; i++) p.join(world, { i }, 't', `k${i}`, 'x'.repeat(900));
    world.pass(1000);
    world.maxDelayMs = 2000;
    q.watch('t');
    world.pass(10_000);
    assert.equal(q.watches.get('t')!.members.size, 300);
    world.check();
  });

  it('lets go of all that it knew of topics and processes that come and go', () => {
    const { world, processes } = makeWorld(2);
    const [p, q] = processes as [WorldProcess, WorldProcess];
    world.loss = 0.2;
    for (let i = 0; i < 300; i++) {
      if (i === 100) world.cut(q, true);
      if (i === 200) world.heal(q);
      p.join(world, ann, `t${i}`, 'a', 1);
      q.watch(`t${i}`);
      q.join(world, bob, `t${i}`, 'b', 1);
      world.pass(250);
      p.leave(ann);
      q.leave(bob);
      q.unwatch(`t${i}`);
    }
    world.calm();
    world.pass(25_000);
    for (const { book } of processes) {
      assert.deepEqual(book.stats(), { processes: 1, topics: 0, watched: 0, ignored: 0 });
      assert.equal(book.retained, 1);
    }
    world.crash(p);
    world.pass(20_000);
    assert.equal(q.book.retained, 0);
  });
});

describe('PresenceBook, told what makes no sense', () => {
  it('counts it', () => {
    const { book, hear } = makeBook();
    watch(book, 't');
    book.receive('t', new Uint8Array(3));
    hear({ kind: 'change', process: peer, since: 0, version: 1, seats: seats('a') });
    assert.equal(book.stats().ignored, 2);
    hear({ kind: 'lease', process: 'aa'.repeat(8), from: 0, version: 9, changed: new Map() });
    assert.equal(book.stats().ignored, 2, 'it hears itself, which is right');
    assert.equal(book.stats().processes, 1);
  });

  it('knows no more processes than may be, and forgets them', () => {
    const { book, hear } = makeBook();
    for (let i = 1; i <= MAX_PROCESSES + 5; i++) {
      const process = i.toString(16).padStart(16, '0');
      hear({ kind: i % 2 === 0 ? 'lease' : 'bye', process, from: 0, version: 9, changed: new Map() } as PresenceSignal);
    }
    assert.equal(book.retained, MAX_PROCESSES);
    assert.equal(book.stats().ignored, 2);
    pass(book, 0, 16_000);
    assert.equal(book.retained, 0);
  });

  it('takes no more members of a process than may be, in changes and states', () => {
    const { book, hear } = makeBook();
    const replay = watch(book, 't');
    const state = (version: number, part: number, parts: number, some: Map<string, Seat>): void =>
      hear({ kind: 'state', process: peer, version, states: [{ topic: 't', part, parts, seats: some }] });
    const names = (from: number, count: number): string[] => Array.from({ length: count }, (_, i) => `k${from + i}`);
    const half = MAX_MEMBERS / 2;
    for (let i = 0; i < 16; i++) state(1, i, 16, seats(...names((i * MAX_MEMBERS) / 16, MAX_MEMBERS / 16)));
    assert.equal(replay.members.size, MAX_MEMBERS);
    hear({ kind: 'change', process: peer, since: 1, version: 2, seats: seats('k0', 'more') }, 't');
    assert.equal(replay.members.size, MAX_MEMBERS);
    assert.equal(book.stats().ignored, 1);
    for (let i = 0; i < 17; i++) state(3, i, 17, seats(...names(i * (half / 8), half / 8)));
    assert.equal(book.stats().ignored, 2);
    assert.equal(replay.members.size, MAX_MEMBERS);
    state(4, 0, 1, seats('a'));
    assert.equal(replay.members.size, 1);
  });

  it('takes parts in any order, twice, and only of one version', () => {
    const { book, hear } = makeBook();
    const replay = watch(book, 't');
    const state = (version: number, part: number, key: string): void =>
      hear({ kind: 'state', process: peer, version, states: [{ topic: 't', part, parts: 2, seats: seats(key) }] });
    state(3, 1, 'b');
    state(3, 1, 'b');
    assert.equal(replay.members.size, 0);
    state(2, 0, 'x');
    state(4, 1, 'c');
    state(3, 0, 'a');
    assert.equal(replay.members.size, 0);
    state(4, 0, 'd');
    assert.deepEqual([...replay.members.keys()].sort(), ['c', 'd']);
    state(4, 0, 'e');
    assert.deepEqual([...replay.members.keys()].sort(), ['c', 'd']);
  });

  it('takes no state of a topic that nobody watches, and answers only what it is asked itself', () => {
    const { book, sent, hear } = makeBook();
    hear({ kind: 'state', process: peer, version: 4, states: [{ topic: 'u', part: 0, parts: 1, seats: seats('a') }] });
    hear({ kind: 'change', process: peer, since: 4, version: 5, seats: seats('b') }, 'u');
    assert.equal(book.retained, 1);
    hear({ kind: 'ask', process: peer, target: undefined, topics: ['t'] });
    book.flush();
    assert.deepEqual(sent, [], 'without any member, ever, it is nobody');
    book.join('t', ann, 'a');
    book.flush();
    sent.length = 0;
    hear({ kind: 'ask', process: peer, target: 'cc'.repeat(8), topics: ['t'] });
    book.flush();
    assert.deepEqual(sent, []);
    hear({ kind: 'ask', process: peer, target: 'aa'.repeat(8), topics: ['t', 'u'] });
    hear({ kind: 'ask', process: peer, target: undefined, topics: ['t'] });
    book.flush();
    assert.equal(sent.length, 1);
    const [answer] = sent as PresenceSignal[];
    assert.deepEqual(answer?.kind === 'state' && answer.states.map(({ topic, seats: some }) => [topic, some.size]), [
      ['t', 1],
      ['u', 0],
    ]);
    book.down();
    hear({ kind: 'ask', process: peer, target: undefined, topics: ['t'] });
    assert.equal(book.retained, 1);
  });

  it('asks for many topics, and answers, in signals of their size', () => {
    const { book, sent, hear } = makeBook();
    for (let i = 0; i < 400; i++) watch(book, String(i).padStart(200, 't'));
    book.flush();
    assert.equal(sent.length, 3);
    book.join('t', ann, 'a');
    for (let i = 0; i < 4; i++) book.join('t', { i }, `b${i}`, 'x'.repeat(1000));
    book.flush();
    sent.length = 0;
    hear({
      kind: 'ask',
      process: peer,
      target: undefined,
      topics: Array.from({ length: 400 }, (_, i) => String(i).padStart(200, 't')),
    });
    hear({ kind: 'ask', process: peer, target: undefined, topics: ['t'] });
    book.flush();
    assert.equal(sent.length, 3);
  });

  it('asks again for what was not answered, with the next lease and no sooner than after a second', () => {
    const { book, sent, hear } = makeBook();
    watch(book, 't');
    book.flush();
    const lease = (version: number): void => {
      sent.length = 0;
      hear({ kind: 'lease', process: peer, from: version - 1, version, changed: new Map([['t', version]]) });
      book.flush();
    };
    lease(1);
    assert.equal(sent.length, 1);
    lease(2);
    assert.equal(sent.length, 0);
    pass(book, 0, 1250);
    lease(2);
    assert.equal(sent.length, 1);
    // One that reaches no further back than what is known.
    pass(book, 1250, 2000);
    lease(9);
    assert.equal(sent.length, 1);
  });
});
