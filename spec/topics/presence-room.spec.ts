import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type PresenceChange, PresenceRoom, type RoomWatcher } from '../../lib/topics/presence-room.ts';
import type { Seat } from '../../lib/topics/presence-signal.ts';

class Log implements RoomWatcher {
  readonly told: string[] = [];
  onReady(): void {
    this.told.push('ready');
  }
  onChange({ type, key, info }: PresenceChange): void {
    this.told.push(`${type} ${key} ${info}`);
  }
  onEnd(): void {
    this.told.push('end');
  }
  take(): string[] {
    return this.told.splice(0);
  }
}

function seat(info: number, stamp: number): Seat {
  return { json: String(info), info, stamp };
}

function makeRoom(): [PresenceRoom, Log] {
  const room = new PresenceRoom();
  const log = new Log();
  room.watchers.add(log);
  return [room, log];
}

describe('PresenceRoom', () => {
  it('tells one join and one leave of a key that is in several processes', () => {
    const [room, log] = makeRoom();
    room.set('p', 'ann', seat(1, 10));
    room.set('q', 'ann', seat(1, 20));
    room.set('p', 'ann', undefined);
    assert.deepEqual(log.take(), ['join ann 1']);
    room.set('q', 'ann', undefined);
    assert.deepEqual(log.take(), ['leave ann 1']);
    assert.equal(room.size, 0);
  });

  it('shows the seat that was taken last, wherever', () => {
    const [room, log] = makeRoom();
    room.set('p', 'ann', seat(1, 10));
    room.set('q', 'ann', seat(2, 20));
    room.set('r', 'ann', seat(3, 15));
    assert.deepEqual(log.take(), ['join ann 1', 'update ann 2']);
    room.set('q', 'ann', undefined);
    assert.deepEqual(log.take(), ['update ann 3']);
    room.set('r', 'ann', seat(4, 5));
    assert.deepEqual(log.take(), ['update ann 1']);
    room.set('p', 'ann', undefined);
    assert.deepEqual(log.take(), ['update ann 4']);
    assert.deepEqual([...room.members()], [['ann', 4]]);
  });

  it('decides by the greater id between seats of the same time, in whatever order they are told', () => {
    for (const order of ['pqr', 'rqp', 'qrp']) {
      const [room] = makeRoom();
      for (const source of order) room.set(source, 'ann', seat(source.charCodeAt(0), 10));
      assert.deepEqual(room.members().get('ann'), 'r'.charCodeAt(0));
      room.set('r', 'ann', undefined);
      assert.deepEqual(room.members().get('ann'), 'q'.charCodeAt(0));
    }
  });

  it('tells nothing where nothing is another', () => {
    const [room, log] = makeRoom();
    room.set('p', 'ann', undefined);
    room.set('p', 'ann', seat(1, 10));
    log.take();
    room.set('p', 'ann', seat(1, 12));
    room.set('p', 'bob', undefined);
    room.set('q', 'ann', undefined);
    room.replace('p', new Map([['ann', seat(1, 14)]]));
    room.replace('q', new Map());
    assert.deepEqual(log.take(), []);
  });

  it('takes over all that a process says, telling what is another', () => {
    const [room, log] = makeRoom();
    room.replace(
      'p',
      new Map([
        ['ann', seat(1, 10)],
        ['bob', seat(2, 11)],
        ['cat', seat(3, 12)],
      ]),
    );
    log.take();
    room.replace(
      'p',
      new Map([
        ['bob', seat(2, 11)],
        ['cat', seat(4, 13)],
        ['dan', seat(5, 14)],
      ]),
    );
    assert.deepEqual(log.take(), ['leave ann 1', 'update cat 4', 'join dan 5']);
    assert.equal(room.sizeOf('p'), 3);
    assert.equal(room.sizeOf('q'), 0);
    assert.ok(room.has('p', 'bob'));
    assert.ok(!room.has('p', 'ann'));
    assert.ok(!room.has('q', 'bob'));
  });

  it('becomes ready, and ends', () => {
    const [room, log] = makeRoom();
    assert.equal(room.isReady, false);
    room.becomeReady();
    assert.equal(room.isReady, true);
    room.end();
    assert.deepEqual(log.take(), ['ready', 'end']);
    assert.equal(room.watchers.size, 0);
  });
});
