import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { Duplex, duplexPair } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { receiveBuffer } from '../../lib/codec/mask-simd.ts';
import { surviveErrors, Transport, type TransportEvents } from '../../lib/net/transport.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { countWrites, type Pair, TRANSPORTS, tcpPair } from '../support/connections.ts';
import { settle, soon, until } from '../support/watchdog.ts';

afterEach(cleanUp);

/** Writes down what a transport tells. */
class Events implements TransportEvents {
  readonly told: string[] = [];
  received = Buffer.alloc(0);
  onReceived: (() => void) | undefined;

  onData(bytes: Buffer, start: number, end: number): void {
    this.received = Buffer.concat([this.received, bytes.subarray(start, end)]);
    // The bytes are the receiver's to change.
    bytes.fill(0xee, start, end);
    this.onReceived?.();
  }

  onDrain(): void {
    this.told.push('drain');
  }

  onEnd(): void {
    this.told.push('end');
  }

  onClose(): void {
    this.told.push('close');
  }
}

async function make(
  makePair: () => Promise<Pair>,
): Promise<{ transport: Transport; events: Events; here: Duplex; there: Duplex }> {
  const [here, there] = await makePair();
  const events = new Events();
  const transport = new Transport(here, events);
  onCleanUp(() => {
    here.destroy();
    there.destroy();
  });
  there.on('error', () => {});
  return { transport, events, here, there };
}

/** A stream that keeps what is written, until it is told to let it go. */
class Held extends Duplex {
  readonly written: string[] = [];
  #done: (() => void)[] = [];

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(chunk.toString());
    this.#done.push(done);
  }

  let(): void {
    for (const done of this.#done.splice(0)) done();
  }
}

/** A transport over a stream, which has started unless told otherwise. */
function over<S extends Duplex>(here: S, isStarted: boolean = true): { transport: Transport; events: Events; here: S } {
  const events = new Events();
  const transport = new Transport(here, events);
  if (isStarted) transport.start(Buffer.alloc(0));
  onCleanUp(() => here.destroy());
  return { transport, events, here };
}

describe('Transport, alone', () => {
  // First of all: nothing has been received in this process.
  it('tells of what is not read in place by a copy in the receive buffer, unless it is too long for that', async () => {
    const { transport, events } = over(new Held());
    const seen: [inPlace: boolean, start: number, end: number][] = [];
    events.onData = (bytes, start, end) => {
      seen.push([bytes === receiveBuffer, start, end]);
      if (seen.length === 2) throw new Error('of a handler');
    };
    const { length } = receiveBuffer;
    transport.receive(Buffer.alloc(3));
    assert.throws(() => transport.receive(Buffer.alloc(4)));
    transport.receive(Buffer.alloc(length));
    transport.receive(Buffer.alloc(length + 1));
    const copied = [
      [true, 0, 3],
      [true, 0, 4],
      [true, 0, length],
      [false, 0, length + 1],
    ];
    assert.deepEqual(seen, copied);
  });

  it('knows its stream, reads it, and has lost nothing', () => {
    const { transport, here } = over(new Held());
    assert.equal(transport.socket, here);
    const { isPaused, hasLost, blocked, pendingBytes, leftBytes } = transport;
    assert.deepEqual([isPaused, hasLost, blocked, pendingBytes, leftBytes], [false, false, false, 0, 0]);
    transport.pause();
    assert.deepEqual([transport.isPaused, here.isPaused()], [true, true]);
    transport.resume();
    assert.deepEqual([transport.isPaused, here.isPaused()], [false, false]);
  });

  it('tells of the head, of what was read before, and of what comes meanwhile, in this order', async () => {
    const { transport, events, here } = over(new Held(), false);
    here.push('early');
    events.onReceived = () => {
      events.onReceived = undefined;
      here.push('late');
    };
    transport.start(Buffer.from('head '));
    assert.equal(events.received.toString(), 'head early');
    await settle(2);
    assert.equal(events.received.toString(), 'head earlylate');
  });

  it('asks a stream for nothing that has read nothing', (t) => {
    const { transport, here } = over(new Held(), false);
    const read = t.mock.method(here, 'read');
    transport.start(Buffer.alloc(0));
    assert.equal(read.mock.callCount(), 0);
  });

  it('waits for a stream that has something and does not give it', async () => {
    const { transport, events, here } = over(new Held(), false);
    here.push('early');
    const read = here.read;
    here.read = () => null;
    transport.start(Buffer.alloc(0));
    assert.equal(events.received.length, 0);
    here.read = read;
    await settle(2);
    assert.equal(events.received.toString(), 'early');
  });

  it('stays paused where that was called for by what it told first', async () => {
    const { transport, events, here } = over(new Held(), false);
    events.onReceived = () => transport.pause();
    transport.start(Buffer.from('head'));
    here.push('late');
    await settle(2);
    assert.deepEqual([here.isPaused(), events.received.toString()], [true, 'head']);
  });

  it('reads a plain socket in place, and any other by its events', async () => {
    for (const [name, makePair] of TRANSPORTS) {
      const { transport, events, here, there } = await make(makePair);
      transport.start(Buffer.alloc(0));
      let told = 0;
      here.on('data', () => told++);
      there.write('a');
      await until('the bytes', () => events.received.length === 1);
      assert.equal(told, name === 'TCP' ? 0 : 1, name);
    }
  });

  it('keeps both sides of a socket apart, and takes off the listener that is idle then', async () => {
    const [socket] = await tcpPair();
    socket.allowHalfOpen = false;
    assert.equal(socket.listenerCount('end'), 1);
    over(socket);
    assert.deepEqual([socket.allowHalfOpen, socket.listenerCount('end')], [true, 1]);
    const [none] = await tcpPair();
    none.removeAllListeners('end');
    over(none);
    assert.equal(none.listenerCount('end'), 1);
    const [others] = await tcpPair();
    others.on('end', () => {});
    over(others);
    assert.equal(others.listenerCount('end'), 3, 'of several it does not know which');
    const foreign = new Held();
    foreign.on('end', () => {});
    over(foreign);
    assert.equal(foreign.listenerCount('end'), 2, 'that of somebody else');
  });

  it('hears errors once, whoever else sees to that', () => {
    const here = new Held();
    surviveErrors(here);
    surviveErrors(here);
    assert.equal(here.listenerCount('error'), 1);
    here.emit('error', new Error('of the stream'));
  });

  it('notices at once that it had gone before it was started', async () => {
    const { transport, events, here } = over(new Held(), false);
    here.destroy();
    await settle(2);
    transport.start(Buffer.alloc(0));
    assert.deepEqual(events.told, ['close']);
  });

  it('counts the bytes that have left', async () => {
    const { transport, here } = over(new Held());
    transport.write([Buffer.from('abc'), Buffer.from('de')]);
    assert.deepEqual([transport.pendingBytes, transport.leftBytes], [5, 0]);
    here.let();
    here.let();
    assert.deepEqual([transport.pendingBytes, transport.leftBytes], [0, 5]);
  });

  it('writes nothing to what takes nothing, and keeps no memory for it', async () => {
    const { transport, here } = over(new Held());
    here.end();
    assert.equal(transport.write([Buffer.from('a')]), true);
    await settle(2);
    assert.deepEqual([here.written, here.destroyed, transport.leftBytes], [[], false, 0]);
  });

  it('is cut when its stream throws', async () => {
    for (const chunks of [[Buffer.from('a')], [Buffer.from('a'), Buffer.from('b')]]) {
      const { transport, events, here } = over(new Held());
      here.write = () => {
        throw new Error('of the stream');
      };
      assert.equal(transport.write(chunks), false);
      assert.equal(here.destroyed, true);
      await settle(2);
      assert.deepEqual(events.told, ['close']);
    }
  });

  it('calls back once, when what was written before has left, and never before it returns', async () => {
    const { transport, here } = over(new Held());
    const called: string[] = [];
    transport.write([Buffer.from('a')]);
    transport.afterWrites(() => called.push('first'));
    await settle(1);
    assert.equal(called.join(), '');
    here.let();
    here.let();
    await settle(1);
    assert.equal(called.join(), 'first');
    transport.write([Buffer.from('b')]);
    transport.afterWrites(() => called.push('cut'));
    transport.destroy();
    assert.equal(called.join(), 'first');
    await settle(2);
    here.let();
    await settle(2);
    assert.equal(called.join(), 'first,cut');
    transport.afterWrites(() => called.push('late'));
    assert.equal(called.join(), 'first,cut');
    await settle(1);
    assert.equal(called.join(), 'first,cut,late');
  });

  it('does not call back while its last bytes are leaving', async () => {
    const { transport, here } = over(new Held());
    let called = 0;
    transport.write([Buffer.from('a')]);
    transport.end();
    transport.afterWrites(() => called++);
    await settle(2);
    assert.deepEqual([called, here.destroyed], [0, false]);
    here.let();
    here.push(null);
    await until('the callback', () => called === 1);
  });

  it('says that it has lost what had not left when it was cut, by this side or another', async () => {
    for (const cut of ['destroy', 'reset', 'stream'] as const) {
      for (const hasWritten of [true, false]) {
        const { transport, events, here } = over(new Held());
        if (hasWritten) transport.write([Buffer.from('a')]);
        if (cut === 'stream') here.destroy();
        else transport[cut]();
        assert.equal(here.destroyed, true);
        if (cut !== 'stream') assert.equal(transport.hasLost, hasWritten, 'at once');
        await settle(2);
        assert.deepEqual([transport.hasLost, events.told], [hasWritten, ['close']]);
      }
    }
    const left = over(new Held());
    left.transport.write([Buffer.from('a')]);
    left.here.let();
    left.transport.destroy();
    assert.equal(left.transport.hasLost, false);
  });

  it('knows what it has lost though its stream forgets it', async () => {
    const { transport, here } = over(new Held());
    transport.write([Buffer.from('a')]);
    transport.destroy();
    Object.defineProperty(here, 'writableLength', { value: 0 });
    await settle(2);
    assert.equal(transport.hasLost, true);
  });

  it('has lost what is written to a socket that takes no more', () => {
    const { transport, here } = over(new Held());
    here.destroy();
    assert.equal(transport.write([Buffer.from('a')]), true);
    assert.equal(transport.hasLost, true);
  });

  it('knows what a reset has lost though its socket forgets it', () => {
    const { transport, here } = over(new Socket());
    Object.defineProperty(here, 'writableLength', { value: 1, configurable: true });
    here.resetAndDestroy = () => Object.defineProperty(here, 'writableLength', { value: 0 });
    transport.reset();
    assert.equal(transport.hasLost, true);
  });

  it('waits for the close of a socket, and for nothing that a stream may never say', async () => {
    for (const [here, told] of [
      [new Socket(), []],
      [new Held(), ['close']],
    ] as const) {
      here._destroy = () => {};
      const { transport, events } = over(here);
      transport.destroy();
      assert.deepEqual(events.told, []);
      await settle(2);
      assert.deepEqual(events.told, told);
    }
  });

  it('resets a socket, and cuts what cannot be reset', async (t) => {
    const [socket, there] = await tcpPair();
    there.on('error', () => {});
    const reset = t.mock.method(socket, 'resetAndDestroy');
    const { transport, events } = over(socket);
    transport.reset();
    assert.equal(reset.mock.callCount(), 1);
    await until('close', () => events.told.length > 0);
    assert.deepEqual(events.told, ['close']);

    let asked = 0;
    const stream = Object.assign(new Held(), { resetAndDestroy: () => asked++ });
    over(stream).transport.reset();
    assert.deepEqual([asked, stream.destroyed], [0, true], 'is no socket');

    const pipe = new Socket();
    pipe.resetAndDestroy = () => {
      throw new Error('no TCP');
    };
    over(pipe).transport.reset();
    assert.equal(pipe.destroyed, true);
  });

  it('tells nothing any more once it has told of its end', async () => {
    const { transport, events, here } = over(new Held());
    transport.destroy();
    await settle(2);
    for (const name of ['drain', 'end', 'close']) here.emit(name);
    here.emit('data', Buffer.from('late'));
    assert.deepEqual([events.told, events.received.length], [['close'], 0]);
  });
});

for (const [name, makePair] of TRANSPORTS) {
  describe(`Transport over ${name}`, () => {
    it('tells of the head first, and then of what arrives', async () => {
      const { transport, events, there } = await make(makePair);
      there.write('bcd');
      const head = Buffer.from('a');
      transport.start(head);
      assert.match(events.received.toString(), /^a/);
      assert.equal(head.toString(), 'a', 'the head is not changed');
      await until('all bytes', () => events.received.length === 4);
      there.write('efg');
      await until('more bytes', () => events.received.length === 7);
      assert.equal(events.received.toString(), 'abcdefg');
    });

    it('leaves received bytes alone while others are received because of them', async () => {
      const inner = new Duplex({ read() {}, write() {} });
      const innerEvents = new Events();
      new Transport(inner, innerEvents).start(Buffer.alloc(0));
      await settle(1);
      const { transport, events, there } = await make(makePair);
      const seen: string[] = [];
      events.onData = (bytes, start, end) => {
        inner.push('inner');
        assert.equal(innerEvents.received.toString(), 'inner', 'was told at once, from inside');
        seen.push(bytes.toString('latin1', start, end));
      };
      transport.start(Buffer.alloc(0));
      there.write('outer bytes');
      await until('the bytes', () => seen.length > 0);
      assert.deepEqual(seen, ['outer bytes']);
      inner.destroy();
    });

    it('reads what arrived before it was started, paused or not', async () => {
      for (const isPaused of [false, true]) {
        const { transport, events, here, there } = await make(makePair);
        if (isPaused) here.pause();
        there.write('early');
        await settle(20);
        transport.start(Buffer.alloc(0));
        await until('the bytes', () => events.received.toString() === 'early');
      }
    });

    it('notices an end that came before it was started', async () => {
      const { transport, events, here, there } = await make(makePair);
      here.resume();
      there.end();
      await soon('the end', once(here, 'end'));
      transport.start(Buffer.alloc(0));
      await until('the end', () => events.told.includes('end'));
    });

    it('notices that it was cut before it was started', async () => {
      const { transport, events, here } = await make(makePair);
      here.on('error', () => {});
      here.destroy();
      transport.start(Buffer.alloc(0));
      await settle();
      assert.deepEqual(events.told, ['close'], 'told once');
    });

    it('stops reading when it is paused, and goes on where it was', async () => {
      const { transport, events, there } = await make(makePair);
      events.onReceived = () => transport.pause();
      transport.start(Buffer.alloc(0));
      there.write('a');
      await until('the first bytes', () => events.received.length === 1);
      const rest = Buffer.alloc(2_000_000, 'x');
      there.write(rest);
      await settle(20);
      assert.ok(events.received.length <= 1 + 65536, 'at most what was read already');
      events.onReceived = undefined;
      transport.resume();
      await until('the rest', () => events.received.length === 1 + rest.length);
      assert.ok(events.received.subarray(1).equals(rest));
    });

    it('writes several chunks in order, and says when they have left', async () => {
      const { transport, there } = await make(makePair);
      transport.start(Buffer.alloc(0));
      transport.write([Buffer.from('a'), Buffer.from('b')]);
      transport.write([Buffer.from('c')]);
      await new Promise<void>((resolve) => transport.afterWrites(resolve));
      assert.equal(transport.pendingBytes, 0);
      there.setEncoding('utf8');
      let received = '';
      there.on('data', (text) => {
        received += text;
      });
      await until('all chunks', () => received === 'abc');
    });

    it('says when it is blocked, and when no longer', async () => {
      const { transport, events, there } = await make(makePair);
      transport.start(Buffer.alloc(0));
      const chunk = Buffer.alloc(1_000_000);
      for (let i = 0; i < 100 && !transport.blocked; i++) {
        assert.equal(transport.write([chunk]), transport.pendingBytes === 0 && name === 'TCP');
        await settle(1);
      }
      assert.ok(transport.blocked);
      assert.ok(transport.pendingBytes > 0);
      events.told.length = 0;
      const { leftBytes } = transport;
      there.resume();
      await until('drain', () => events.told.includes('drain'));
      assert.equal(transport.blocked, false);
      assert.ok(transport.leftBytes > leftBytes);
    });

    it('calls back for writes that will never leave', async () => {
      const { transport, there } = await make(makePair);
      transport.start(Buffer.alloc(0));
      for (let i = 0; i < 20; i++) transport.write([Buffer.alloc(1_000_000)]);
      const pending = new Promise<void>((resolve) => transport.afterWrites(resolve));
      transport.destroy();
      await soon('the callback', pending);
      there.destroy();
      transport.write([Buffer.from('into the void')]);
    });

    it('calls back behind its end', async () => {
      const { transport, there } = await make(makePair);
      transport.start(Buffer.alloc(0));
      there.resume();
      transport.end();
      const pending = new Promise<void>((resolve) => transport.afterWrites(resolve));
      there.end();
      await soon('the callback', pending);
    });

    it('sends everything before its end', async () => {
      const { transport, events, there } = await make(makePair);
      transport.start(Buffer.alloc(0));
      transport.write([Buffer.alloc(3_000_000, 'x'), Buffer.from('y')]);
      transport.end();
      let length = 0;
      there.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      await soon('the end', once(there, 'end'));
      assert.equal(length, 3_000_001);
      there.end();
      await until('close', () => events.told.includes('close'));
      assert.deepEqual(
        events.told.filter((event) => event !== 'drain'),
        ['end', 'close'],
      );
    });

    it('swallows errors, since close follows each', async () => {
      const { transport, events, here } = await make(makePair);
      transport.start(Buffer.alloc(0));
      here.destroy(new Error('cut'));
      await until('close', () => events.told.includes('close'));
      assert.deepEqual(events.told, ['close']);
    });
  });
}

describe('Transport over TCP', () => {
  it('says that bytes have left once the kernel has them: their memory may be used again', async () => {
    const { transport, there } = await make(tcpPair);
    transport.start(Buffer.alloc(0));
    const chunk = Buffer.from('first');
    assert.equal(transport.write([chunk]), true);
    chunk.fill('x');
    there.setEncoding('utf8');
    assert.equal((await soon('bytes', once(there, 'data')))[0], 'first');
  });

  it('writes chunks in one go', async () => {
    const { transport, here } = await make(tcpPair);
    const counter = countWrites(here);
    transport.start(Buffer.alloc(0));
    transport.write([Buffer.from('a'), Buffer.from('b'), Buffer.from('c')]);
    assert.equal(counter.writes, 1);
  });

  it('is told of a reset once, as the end of all', async () => {
    const { transport, events, there } = await make(tcpPair);
    transport.start(Buffer.alloc(0));
    (there as unknown as { resetAndDestroy(): void }).resetAndDestroy();
    await until('close', () => events.told.includes('close'));
    assert.deepEqual(events.told, ['close']);
  });

  it('ends the idle timeout that its server gave the socket', async () => {
    const [here] = await tcpPair();
    here.setTimeout(10, () => assert.fail('does not time out'));
    new Transport(here, new Events()).start(Buffer.alloc(0));
    assert.equal(here.timeout, 0);
    here.destroy();
  });
});

describe('Transport over a Duplex', () => {
  it('does not change the chunks of whoever wrote them', async () => {
    const [here, there] = duplexPair();
    const events = new Events();
    new Transport(here, events).start(Buffer.alloc(0));
    const chunk = Buffer.from('theirs');
    there.write(chunk);
    await until('the bytes', () => events.received.toString() === 'theirs');
    assert.equal(chunk.toString(), 'theirs');
    there.destroy();
    here.destroy();
  });

  it('never says that bytes have left: somebody may still be reading them', async () => {
    const kept: Buffer[] = [];
    const here = new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        kept.push(chunk);
        done();
      },
    });
    const transport = new Transport(here, new Events());
    transport.start(Buffer.alloc(0));
    assert.equal(transport.write([Buffer.from('a')]), false);
    assert.equal(kept.length, 1);
    here.destroy();
  });
});
