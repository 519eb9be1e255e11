import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { upgradeRequest } from '../support/ws-client.ts';
import { Finding, ORACLE } from './finding.ts';
import { SOCKET } from './link.ts';
import type { Peer } from './peer.ts';
import { World } from './world.ts';

// Each oracle speaks when it is told of what must not be.

const OPTIONS = {
  perMessageDeflate: false,
  backpressurePolicy: 'close',
  maxQueuedMessages: 64,
  maxQueuedBytes: 2000,
  maxBackpressureBytes: 20_000,
  highWaterMarkBytes: 1000,
  idleTimeoutMs: 0,
  maxConnections: 10,
  maxPipelinedRequests: 2,
  hasHook: true,
} as const;

const PLAIN = { isBinary: false, isCompressed: false, fragmentBytes: 0, hasPing: false };

describe('Oracles', () => {
  let world: World;
  let peer: Peer;

  beforeEach(async () => {
    world = new World(OPTIONS);
    await world.start();
    peer = world.addPeer(SOCKET, 0, true);
    world.connect(peer, 'run');
    peer.requests.push({ id: 0, kind: 'upgrade', method: 'GET' });
    peer.link.send(Buffer.from(upgradeRequest('/ws?peer=1')));
    peer.link.deliver(1000);
    await world.settle();
  });

  afterEach(() => world.stop());

  /** The oracle that speaks when nothing is wrong but this. */
  function speaks(oracle: string, check: () => unknown): void {
    assert.throws(check, (error) => error instanceof Finding && error.oracle === oracle);
  }

  async function speaksLater(oracle: string, check: () => Promise<unknown>): Promise<void> {
    await assert.rejects(check, (error) => error instanceof Finding && error.oracle === oracle);
  }

  /** Sends a message that asks for such answers. */
  async function ask(kind: string, count: number = 1, bytes: number = 10): Promise<void> {
    peer.sendMessage({ body: `1|${kind}|${count}|${bytes}|` }, PLAIN);
    peer.link.deliver(1000);
    await world.settle();
  }

  const conversation = () => world.application.conversations.get(1)!;

  it('say nothing when nothing is wrong', async () => {
    await ask('many', 3);
    assert.equal(peer.received.length, 3);
    await world.drain();
    world.oracles.checkArrival();
    world.silence();
    await world.end();
  });

  it('tell of what was thrown', () => {
    world.escaped.push(new Error('thrown'));
    speaks(ORACLE.escaped, () => world.oracles.check());
  });

  it('tell of a message that was not sent, or sent otherwise', async () => {
    peer.messages.push({ body: 'something else' });
    await speaksLater(ORACLE.order, () => ask('echo'));
  });

  it('tell of a message that was not handled', () => {
    peer.messages.push({ body: '1|echo|1|1|' });
    speaks(ORACLE.order, () => world.oracles.checkArrival());
  });

  it('tell of two handlers at once', async () => {
    conversation().running++;
    await speaksLater(ORACLE.alone, () => ask('echo'));
  });

  it('tell of an answer that comes changed, or twice, or out of order', () => {
    peer.received.push('never sent');
    speaks(ORACLE.content, () => world.oracles.check());
    conversation().sends.push({ body: 'first', state: 'sent', isDropped: false, isAnswer: true });
    conversation().sends.push({ body: 'second', state: 'sent', isDropped: false, isAnswer: true });
    conversation().arrived = 0;
    peer.received.push('second');
    speaks(ORACLE.content, () => world.oracles.check());
  });

  it('tell of an answer that is lost', () => {
    conversation().sends.push({ body: 'lost', state: 'sent', isDropped: false, isAnswer: true });
    speaks(ORACLE.arrival, () => world.oracles.checkArrival());
  });

  it('tell of a response that is lost', () => {
    peer.requests.push({ id: 1, kind: 'plain', method: 'GET' });
    speaks(ORACLE.arrival, () => world.oracles.checkArrival());
  });

  it('tell of a connection that is cut for nothing', async () => {
    peer.link.socket!.destroy();
    await world.settle();
    speaks(ORACLE.arrival, () => world.oracles.checkArrival());
  });

  it('tell of an answer that was refused, and of a Close without one', () => {
    peer.closeSent = 1000;
    speaks(ORACLE.close, () => world.oracles.checkArrival());
    conversation().sends.push({ body: 'refused', state: 'rejected', isDropped: false, isAnswer: true });
    speaks(ORACLE.close, () => world.oracles.checkArrival());
  });

  it('tell of a response to another request', () => {
    peer.requests.push({ id: 1, kind: 'plain', method: 'GET' });
    const headers = new Map([['x-id', '2']]);
    peer.responses.push({ status: 200, headers, body: Buffer.alloc(0), isWhole: true });
    speaks(ORACLE.http, () => world.oracles.check());
  });

  it('tell of bytes that are no frames', () => {
    peer.onBytes(Buffer.from('8181000000', 'hex'));
    speaks(ORACLE.bytes, () => world.oracles.check());
  });

  it('tell of more requests at once than there may be', () => {
    world.application.responsesOf(peer).running = 3;
    speaks(ORACLE.retained, () => world.oracles.check());
  });

  it('tell of a stream that keeps too much', () => {
    peer.link.socket!.push(Buffer.alloc(1));
    Object.defineProperty(peer.link.socket, 'readableLength', { value: 1_000_000 });
    speaks(ORACLE.retained, () => world.oracles.check());
  });

  it('tell of a head that takes too long', async () => {
    const slow = world.addPeer(SOCKET, 0, true);
    world.connect(slow, 'run');
    Object.defineProperty(slow.link, 'isGone', { value: false });
    await speaksLater(ORACLE.ends, () => world.advance(3200));
  });

  it('tell of a close that takes too long, or miscounts', async () => {
    world.close(100);
    const [closing] = world.closings;
    await world.settle();
    closing!.result = { closed: -1, cut: 2 };
    speaks(ORACLE.counts, () => world.oracles.check());
    closing!.result = undefined;
    world.time.now += 10_000;
    speaks(ORACLE.ends, () => world.oracles.checkClosingTimes());
  });

  it('tell of an end that is told not at all, twice, too early, or for no cause', async () => {
    peer.link.reset();
    await world.settle();
    world.close(100);
    await world.advance(200);
    const { ends, findings } = world.application;
    const end = ends.get(1)!;
    for (const changed of [
      { ...end, cause: 'idle' as const },
      { ...end, cause: 'peer' as const },
      { ...end, wasClean: true },
    ]) {
      ends.set(1, changed);
      speaks(ORACLE.told, () => world.oracles.checkNothingLeft());
    }
    ends.delete(1);
    speaks(ORACLE.told, () => world.oracles.checkNothingLeft());
    conversation().running++;
    world.application.noteEnd(peer, end);
    conversation().running--;
    speaks(ORACLE.told, () => world.oracles.check());
    findings.length = 0;
    world.oracles.checkNothingLeft();
    world.application.noteEnd(peer, end);
    speaks(ORACLE.told, () => world.oracles.check());
  });

  it('tell of timers, handlers and sends that are left', async () => {
    peer.link.reset();
    await world.settle();
    world.close(100);
    await world.advance(200);
    world.oracles.checkNothingLeft();
    const timer = setTimeout(() => {}, 100);
    speaks(ORACLE.left, () => world.oracles.checkNothingLeft());
    clearTimeout(timer);
    process.on('SIGUSR2', nobody);
    speaks(ORACLE.left, () => world.oracles.checkNothingLeft());
    process.off('SIGUSR2', nobody);
    conversation().sends.push({ body: 'pending', state: 'pending', isDropped: false, isAnswer: true });
    speaks(ORACLE.ends, () => world.oracles.checkNothingLeft());
    conversation().running++;
    speaks(ORACLE.ends, () => world.oracles.checkNothingLeft());
  });
});

function nobody(): void {}
