import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex, duplexPair } from 'node:stream';
import { afterEach, describe, it } from 'node:test';
import { Transport, type TransportEvents } from '../../lib/net/transport.ts';
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
