import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Intake, type IntakeHost } from '../../lib/net/intake.ts';
import type { Transport } from '../../lib/net/transport.ts';
import type { Protocol } from '../../lib/protocol/protocol.ts';

/** A connection as its intake sees it: reads all it is given, or stops behind a "|", as behind a message that has to wait. */
class Host implements IntakeHost {
  readonly calls: string[] = [];
  readonly intake: Intake;
  mustPause = false;
  /** Is called with what is read, before the intake goes on. */
  onRead: ((text: string) => void) | undefined;

  constructor() {
    const protocol = {
      pauseReceiving: () => this.calls.push('protocol pauses'),
      resumeReceiving: () => this.calls.push('protocol resumes'),
    };
    const transport = {
      isPaused: false,
      pause: () => {
        if (!transport.isPaused) this.calls.push('transport pauses');
        transport.isPaused = true;
      },
      resume: () => {
        transport.isPaused = false;
        this.calls.push('transport resumes');
      },
    };
    this.intake = new Intake(this, protocol as unknown as Protocol, transport as unknown as Transport);
  }

  receiveBytes(bytes: Buffer, start: number, end: number): number {
    const bar = bytes.indexOf('|', start);
    const read = bar === -1 || bar >= end ? end : bar + 1;
    const text = bytes.toString('latin1', start, read);
    this.calls.push(text);
    if (text.endsWith('|')) this.intake.pause();
    this.onRead?.(text);
    return read;
  }

  onReadOn(): void {
    this.calls.push('read on');
  }

  /** What was called since it was asked for last. */
  take(): string[] {
    return this.calls.splice(0);
  }
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('Intake', () => {
  it('keeps a copy of what comes while others are being read, and reads it behind the rest of those', () => {
    const host = new Host();
    const { intake } = host;
    assert.deepEqual([intake.isPaused, intake.isWaiting, intake.unreadBytes], [false, false, 0]);
    const chunk = bytes('-later-');
    intake.keep(chunk, 1, 6);
    chunk.fill(0);
    assert.deepEqual([intake.isPaused, intake.isWaiting, intake.unreadBytes], [false, true, 5]);
    const first = bytes('[read, rest]');
    intake.leave(first, 7, 11);
    assert.deepEqual(host.take(), ['transport pauses', 'rest', 'later', 'transport resumes']);
    assert.deepEqual([intake.isWaiting, intake.unreadBytes], [false, 0]);
  });

  it('keeps nothing where there is nothing', () => {
    const host = new Host();
    host.intake.keep(bytes('abc'), 2, 2);
    host.intake.leave(bytes('abc'), 3, 3);
    assert.deepEqual([host.intake.isWaiting, host.take()], [false, []]);
  });

  it('makes the protocol wait, and the transport once what is being read is left', () => {
    const host = new Host();
    const { intake } = host;
    intake.pause();
    assert.deepEqual(host.take(), ['protocol pauses']);
    assert.deepEqual([intake.isPaused, intake.isWaiting], [true, true]);
    const chunk = bytes('read|left');
    intake.leave(chunk, 5, 9);
    chunk.fill(0);
    assert.deepEqual(host.take(), ['transport pauses']);
    intake.keep(bytes('more'), 0, 4);
    assert.equal(intake.unreadBytes, 8);
    intake.resume();
    assert.deepEqual(host.take(), ['protocol resumes', 'left', 'more', 'transport resumes', 'read on']);
    assert.deepEqual([intake.isPaused, intake.isWaiting, intake.unreadBytes], [false, false, 0]);
  });

  it('goes on in a tick of its own, once, and has the transport go on when all is read', async () => {
    const host = new Host();
    const { intake } = host;
    intake.pause();
    intake.leave(bytes('a'), 0, 1);
    host.take();
    intake.resumeSoon();
    intake.resumeSoon();
    assert.deepEqual(host.take(), []);
    await nextTurn();
    assert.deepEqual(host.take(), ['protocol resumes', 'a', 'transport resumes', 'read on']);
    intake.resumeSoon();
    await nextTurn();
    assert.deepEqual(host.take(), [], 'it does not wait');
    intake.pause();
    intake.resumeSoon();
    await nextTurn();
    assert.deepEqual(host.take(), ['protocol pauses', 'protocol resumes', 'transport resumes', 'read on']);
  });

  it('waits on while it must, and when it has gone on by itself meanwhile', async () => {
    const host = new Host();
    const { intake } = host;
    intake.pause();
    host.mustPause = true;
    intake.resumeSoon();
    await nextTurn();
    assert.deepEqual([intake.isPaused, host.take()], [true, ['protocol pauses']]);
    host.mustPause = false;
    intake.resumeSoon();
    intake.resume();
    assert.deepEqual(host.take(), ['protocol resumes', 'transport resumes', 'read on']);
    await nextTurn();
    assert.deepEqual(host.take(), []);
  });

  it('stops behind each message that has to wait, and counts what is left', async () => {
    const host = new Host();
    const { intake } = host;
    intake.pause();
    intake.leave(bytes('one|two|'), 0, 8);
    intake.keep(bytes('three'), 0, 5);
    host.take();
    for (const [read, left] of [
      ['one|', 9],
      ['two|', 5],
    ] as const) {
      intake.resumeSoon();
      intake.resumeSoon();
      await nextTurn();
      assert.deepEqual(host.take(), ['protocol resumes', read, 'protocol pauses']);
      assert.deepEqual([intake.isPaused, intake.unreadBytes], [true, left]);
    }
    intake.resumeSoon();
    await nextTurn();
    assert.deepEqual(host.take(), ['protocol resumes', 'three', 'transport resumes', 'read on']);
    assert.equal(intake.unreadBytes, 0);
  });

  it('pauses the transport again when what it left makes reading wait', () => {
    const host = new Host();
    host.intake.keep(bytes('a|b'), 0, 3);
    host.intake.leave(bytes('x'), 1, 1);
    assert.deepEqual(host.take(), ['transport pauses', 'a|', 'protocol pauses']);
    assert.equal(host.intake.unreadBytes, 1);
  });

  it('throws away what waits when it ends, and all that is to come', async () => {
    const host = new Host();
    const { intake } = host;
    intake.pause();
    intake.keep(bytes('a'), 0, 1);
    intake.resumeSoon();
    intake.end();
    assert.deepEqual([intake.isPaused, intake.isWaiting, intake.unreadBytes], [false, false, 0]);
    intake.keep(bytes('b'), 0, 1);
    intake.leave(bytes('c'), 0, 1);
    await nextTurn();
    assert.deepEqual([intake.isWaiting, intake.unreadBytes], [false, 0]);
    assert.deepEqual(host.take(), ['protocol pauses', 'transport pauses', 'transport resumes']);
  });

  it('waits for the next turn of the event loop when it is to, whoever says that it may go on', async () => {
    const host = new Host();
    const { intake } = host;
    intake.yieldTurn();
    intake.leave(bytes('a'), 0, 1);
    intake.resume();
    intake.resumeSoon();
    await null;
    assert.deepEqual([intake.isPaused, host.take()], [true, ['protocol pauses', 'transport pauses']]);
    await nextTurn();
    await nextTurn();
    assert.deepEqual(host.take(), ['protocol resumes', 'a', 'transport resumes', 'read on']);
  });

  it('can be ended by what it reads', () => {
    const host = new Host();
    host.onRead = () => host.intake.end();
    host.intake.pause();
    host.intake.keep(bytes('a'), 0, 1);
    host.intake.keep(bytes('b'), 0, 1);
    host.intake.resume();
    assert.deepEqual(host.take().slice(0, 4), ['protocol pauses', 'transport pauses', 'protocol resumes', 'a']);
    assert.equal(host.intake.unreadBytes, 0);
  });
});
