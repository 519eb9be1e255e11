import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ConnectionClosedError } from '../../lib/errors.ts';
import { flushSoon } from '../../lib/net/flush-queue.ts';
import type { ConnectionLimits } from '../../lib/net/limits.ts';
import { Outbox } from '../../lib/net/outbox.ts';
import { RESOLVED } from '../../lib/net/promises.ts';
import type { Transport } from '../../lib/net/transport.ts';
import { takeMemory } from '../../lib/codec/message-memory.ts';
import type { Protocol } from '../../lib/protocol/protocol.ts';

const HIGH_WATER_MARK = 10;

/** A connection as its outbox sees it: frames are the texts that are sent, and the transport keeps them until `leave`. */
class Wire {
  readonly calls: string[] = [];
  readonly outbox: Outbox;
  compressing: Promise<void> | undefined;
  /** Whether the transport asks to wait, and whether it lets what is written leave at once. */
  blocked = false;
  isFast = true;
  /** Whether it is known when bytes have left, and memory that may be used again then. */
  isPlain = true;
  copies: readonly Buffer[] = [];
  #output: string[] = [];
  #pending = 0;
  #afterWrites: (() => void)[] = [];

  constructor() {
    const wire = this;
    const protocol = {
      get outputBytes() {
        return wire.#output.join('').length;
      },
      get compressing() {
        return wire.compressing;
      },
      sendMessage(data: string, compress?: boolean) {
        wire.calls.push(compress === undefined ? `send ${data}` : `send ${data} ${compress}`);
        wire.#output.push(data);
      },
      takeOutput: () => wire.#output.splice(0).map((text) => Buffer.from(text)),
      holdOutput: () => wire.calls.push('hold'),
      outputReleased: () => wire.calls.push('released'),
      outputRetained: () => {
        wire.calls.push('retained');
        return wire.copies;
      },
      closedError: () => new ConnectionClosedError(4000, 'gone'),
    };
    const transport = {
      get isPlain() {
        return wire.isPlain;
      },
      get pendingBytes() {
        return wire.#pending;
      },
      get blocked() {
        return wire.blocked;
      },
      write(chunks: Buffer[]) {
        const text = Buffer.concat(chunks).toString();
        wire.calls.push(`write ${text}`);
        if (!wire.isFast) wire.#pending += text.length;
        return wire.isFast;
      },
      afterWrites(callback: () => void) {
        wire.calls.push('ask');
        wire.#afterWrites.push(callback);
      },
      end: () => wire.calls.push('end'),
    };
    const limits = { highWaterMarkBytes: HIGH_WATER_MARK } as ConnectionLimits;
    this.outbox = new Outbox(protocol as unknown as Protocol, transport as unknown as Transport, limits);
  }

  /** Lets what was written leave, but for so many bytes. */
  leave(left: number = 0): void {
    this.#pending = left;
    for (const callback of this.#afterWrites.splice(0)) callback();
  }

  /** What was called since it was asked for last. */
  take(): string[] {
    return this.calls.splice(0);
  }
}

/** Whether a promise has settled by the end of this turn. */
async function hasSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  await nextTurn();
  return settled;
}

describe('Outbox.schedule', () => {
  it('writes at the end of this turn, in one write', async () => {
    const wire = new Wire();
    const { outbox } = wire;
    assert.equal(outbox.send('a'), RESOLVED);
    outbox.schedule();
    outbox.send('b', true);
    outbox.schedule();
    assert.equal(outbox.bufferedBytes, 2);
    assert.deepEqual(wire.take(), ['send a', 'send b true']);
    await nextTurn();
    assert.deepEqual(wire.take(), ['write ab', 'released']);
    assert.equal(outbox.bufferedBytes, 0);
    outbox.send('c');
    outbox.schedule();
    await nextTurn();
    assert.deepEqual(wire.take(), ['send c', 'write c', 'released']);
  });

  it('is asked for its output once', async (t) => {
    const { outbox } = new Wire();
    const flush = t.mock.method(outbox, 'flushOutput');
    outbox.schedule();
    outbox.schedule();
    await nextTurn();
    assert.equal(flush.mock.callCount(), 1);
  });

  for (const isPlain of [true, false]) {
    it(`has memory used again ${isPlain ? 'when what was in it has left' : 'never, where nobody knows when it has left'}`, () => {
      const wire = new Wire();
      wire.isFast = false;
      wire.isPlain = isPlain;
      wire.copies = [Buffer.alloc(70_001)];
      void wire.outbox.send('a');
      wire.outbox.flushOutput();
      assert.notEqual(takeMemory(70_001), wire.copies[0]);
      wire.leave();
      assert.equal(takeMemory(70_001) === wire.copies[0], isPlain);
    });
  }

  it('writes nothing where there is nothing, and holds what has to wait for the peer', async () => {
    const wire = new Wire();
    wire.outbox.schedule();
    await nextTurn();
    assert.deepEqual(wire.take(), []);
    wire.blocked = true;
    wire.outbox.send('a');
    wire.outbox.flushOutput();
    assert.deepEqual(wire.take(), ['send a', 'hold']);
    wire.blocked = false;
    wire.isFast = false;
    wire.outbox.flushOutput();
    assert.deepEqual(wire.take(), ['write a', 'retained']);
    wire.outbox.send('b');
    wire.outbox.flushOutput();
    assert.deepEqual(wire.take(), ['send b', 'hold', 'write b', 'retained'], 'behind what has not left it waits, too');
    assert.equal(wire.outbox.bufferedBytes, 2);
  });
});

describe('Outbox.uncork', () => {
  it('writes at once what was held back, where no more is to come', async () => {
    const wire = new Wire();
    wire.outbox.cork();
    wire.outbox.send('a');
    wire.outbox.schedule();
    await nextTurn();
    assert.deepEqual(wire.take(), ['send a']);
    wire.outbox.uncork(false);
    assert.deepEqual(wire.take(), ['write a', 'released']);
  });

  it('writes it at the end of this turn where more is to come, or others wait for that', async () => {
    for (const moreToCome of [true, false]) {
      const wire = new Wire();
      if (!moreToCome) flushSoon({ flushOutput() {} });
      wire.outbox.cork();
      wire.outbox.send('a');
      wire.outbox.uncork(moreToCome);
      assert.deepEqual(wire.take(), ['send a']);
      await nextTurn();
      assert.deepEqual(wire.take(), ['write a', 'released']);
    }
  });

  it('comes back to nothing, where nothing was sent', async () => {
    const wire = new Wire();
    wire.outbox.cork();
    wire.outbox.uncork(true);
    wire.outbox.send('a');
    await nextTurn();
    assert.deepEqual(wire.take(), ['send a']);
  });

  it('ends at once, whatever is to come', () => {
    const wire = new Wire();
    wire.outbox.cork();
    wire.outbox.send('a');
    wire.outbox.end();
    assert.deepEqual(wire.take(), ['send a']);
    wire.outbox.uncork(true);
    assert.deepEqual(wire.take(), ['write a', 'released', 'end']);
  });
});

describe('Outbox.send', () => {
  const text = 'x'.repeat(HIGH_WATER_MARK);

  it('need not wait up to the high-water mark', () => {
    const wire = new Wire();
    assert.equal(wire.outbox.send(text), RESOLVED);
    wire.isFast = false;
    wire.outbox.flushOutput();
    assert.deepEqual(wire.take(), [`send ${text}`, `write ${text}`, 'retained']);
  });

  it('writes at once above it, and waits if that was not enough, with all that are sent meanwhile', async () => {
    const fast = new Wire();
    assert.equal(await hasSettled(fast.outbox.send(`${text}a`)), true);
    assert.deepEqual(fast.take(), [`send ${text}a`, `write ${text}a`, 'released']);

    const slow = new Wire();
    slow.isFast = false;
    const sent = slow.outbox.send(`${text}a`);
    const later = slow.outbox.send('b');
    assert.equal(later, sent);
    assert.deepEqual(slow.take(), [`send ${text}a`, `write ${text}a`, 'retained', 'ask', 'send b']);
    assert.equal(await hasSettled(sent), false);
    slow.isFast = true;
    slow.leave();
    assert.equal(await hasSettled(sent), true);
    assert.deepEqual(slow.take(), ['write b', 'released']);
    assert.notEqual(slow.outbox.send(`${text}c`), sent);
  });

  it('need not wait where all leaves at once, up to 1 MiB in a turn; behind that others have theirs', async () => {
    const wire = new Wire();
    const long = 'x'.repeat(512 * 1024);
    await nextTurn();
    assert.equal(wire.outbox.send(long), RESOLVED);
    assert.equal(wire.outbox.send(long), RESOLVED);
    const steps: string[] = [];
    void wire.outbox.send(long).then(() => steps.push('goes on'));
    for (let i = 0; i < 10; i++) await null;
    steps.push('others');
    await nextTurn();
    assert.deepEqual(steps, ['others', 'goes on']);
    assert.equal(wire.outbox.send(long), RESOLVED);
  });

  it('asks the transport once at a time, and again while it is above the mark', () => {
    const wire = new Wire();
    wire.isFast = false;
    void wire.outbox.send(`${text}a`);
    wire.outbox.flushOutput();
    assert.deepEqual(wire.take(), [`send ${text}a`, `write ${text}a`, 'retained', 'ask', 'hold']);
    void wire.outbox.send(`${text}b`);
    wire.leave();
    assert.deepEqual(wire.take(), [`send ${text}b`, `write ${text}b`, 'retained', 'ask']);
  });

  it('waits no longer than until as much as the mark is left', async () => {
    for (const [left, isOver] of [
      [HIGH_WATER_MARK + 1, false],
      [HIGH_WATER_MARK, true],
    ] as const) {
      const wire = new Wire();
      wire.isFast = false;
      const sent = wire.outbox.send(`${text}abc`);
      wire.leave(left);
      assert.equal(await hasSettled(sent), isOver);
    }
  });

  it('asks nothing of a transport that says by itself when it goes on, nor for what is being compressed', async () => {
    const wire = new Wire();
    wire.isFast = false;
    wire.outbox.cork();
    wire.compressing = Promise.resolve();
    const sent = wire.outbox.send(`${text}a`);
    assert.deepEqual(wire.take(), [`send ${text}a`, `write ${text}a`, 'retained']);
    wire.compressing = undefined;
    wire.blocked = true;
    wire.outbox.flushOutput();
    assert.deepEqual(wire.take(), ['hold']);
    assert.equal(await hasSettled(sent), false);
    wire.blocked = false;
    wire.leave();
    wire.outbox.flushOutput();
    assert.equal(await hasSettled(sent), true);
  });

  it('writes at once above the mark, also while bytes are being read, and nothing below it', () => {
    const wire = new Wire();
    wire.outbox.cork();
    assert.equal(wire.outbox.send('a'), RESOLVED);
    assert.deepEqual(wire.take(), ['send a']);
    assert.equal(wire.outbox.send(text), RESOLVED);
    assert.deepEqual(wire.take(), [`send ${text}`, `write a${text}`, 'released']);
  });
});

describe('Outbox.flush', () => {
  it('writes at once, and need not wait for what has left', () => {
    const wire = new Wire();
    wire.outbox.send('a');
    assert.equal(wire.outbox.flush(), RESOLVED);
    assert.deepEqual(wire.take(), ['send a', 'write a', 'released']);
  });

  it('waits for what has not, also of a transport that asked to wait', async () => {
    const wire = new Wire();
    wire.isFast = false;
    wire.blocked = true;
    wire.outbox.send('a');
    const flushed = wire.outbox.flush();
    assert.deepEqual(wire.take(), ['send a', 'write a', 'retained', 'ask']);
    assert.equal(await hasSettled(flushed), false);
    wire.leave();
    assert.equal(await hasSettled(flushed), true);
  });

  it('waits for what was written before a transport took no more', async () => {
    const wire = new Wire();
    wire.isFast = false;
    wire.outbox.send('a');
    wire.outbox.flushOutput();
    // What is written to one that has ended is let go of at once.
    wire.isFast = true;
    wire.outbox.send('b');
    const flushed = wire.outbox.flush();
    assert.equal(wire.outbox.bufferedBytes, 1);
    assert.equal(await hasSettled(flushed), false);
    wire.leave();
    assert.equal(await hasSettled(flushed), true);
    assert.equal(wire.outbox.bufferedBytes, 0);
  });

  it('waits for what is being compressed first', async () => {
    const wire = new Wire();
    let finish!: () => void;
    wire.compressing = new Promise((resolve) => {
      finish = resolve;
    });
    wire.outbox.send('a');
    const flushed = wire.outbox.flush();
    assert.equal(await hasSettled(flushed), false);
    assert.deepEqual(wire.take(), ['send a']);
    wire.compressing = undefined;
    finish();
    assert.equal(await hasSettled(flushed), true);
    assert.deepEqual(wire.take(), ['write a', 'released']);
  });
});

describe('Outbox.end', () => {
  it('ends the transport behind the last byte', () => {
    const wire = new Wire();
    wire.outbox.send('a');
    wire.outbox.end();
    assert.deepEqual(wire.take(), ['send a', 'write a', 'released', 'end']);
  });

  it('waits for a transport that has asked to wait', () => {
    const wire = new Wire();
    wire.blocked = true;
    wire.outbox.send('a');
    wire.outbox.end();
    assert.deepEqual(wire.take(), ['send a', 'hold']);
    wire.blocked = false;
    wire.outbox.flushOutput();
    assert.deepEqual(wire.take(), ['write a', 'released', 'end']);
  });
});

describe('Outbox.close', () => {
  it('tells those who wait, and writes nothing more', async () => {
    const wire = new Wire();
    wire.isFast = false;
    const sent = wire.outbox.send('x'.repeat(HIGH_WATER_MARK + 1));
    wire.outbox.close();
    await assert.rejects(sent, { name: 'ConnectionClosedError', closeCode: 4000, reason: 'gone' });
    wire.take();
    wire.leave();
    wire.outbox.send('late');
    wire.outbox.flushOutput();
    wire.outbox.end();
    assert.deepEqual(wire.take(), ['send late']);
    assert.equal(wire.outbox.flush(), RESOLVED);
  });

  it('does no harm where nobody waits', () => {
    const { outbox } = new Wire();
    outbox.close();
    assert.equal(outbox.bufferedBytes, 0);
  });

  it('ends no process when nobody awaits them', async () => {
    const wire = new Wire();
    wire.isFast = false;
    void wire.outbox.send('x'.repeat(HIGH_WATER_MARK + 1));
    wire.outbox.close();
    await nextTurn();
  });
});
