import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, afterEach, before, describe, it } from 'node:test';
import { follow, Peer, textOf } from '../../lib/brokers/broker-testing-run.ts';
import { type ClusterPrimary, setUpPrimary } from '../../lib/brokers/cluster-primary.ts';
import type { BrokerTop } from '../../lib/topics/broker.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { endChild, forkChild, forkWorker, RemoteBroker } from '../support/cluster-workers.ts';
import { until } from '../support/watchdog.ts';

/** Processes of their own, which are stopped and killed. */

const HISTORY = { historyMessages: 20_000, historyMs: 600_000 };
const TIMEOUT = { timeout: 60_000 };

describe('a cluster of four workers', TIMEOUT, () => {
  let primary: ClusterPrimary;
  let children: ChildProcess[];

  before(async () => {
    children = await Promise.all([
      forkWorker('json'),
      forkWorker('advanced'),
      forkWorker('json'),
      forkChild('advanced'),
    ]);
  });
  afterEach(cleanUp);
  after(() => Promise.all(children.map(endChild)));

  async function openAll(options?: Parameters<typeof setUpPrimary>[0]): Promise<Peer[]> {
    primary = setUpPrimary(options);
    for (const child of children) primary.attach(child);
    return Promise.all(
      children.map(async (child) => {
        const broker = new RemoteBroker(child);
        const peer = new Peer({ broker, end: () => broker.end() }, 20_000);
        await peer.open(HISTORY);
        onCleanUp(() => peer.end());
        onCleanUp(() => (child.connected ? peer.close() : undefined));
        return peer;
      }),
    );
  }

  afterEach(() => primary.close());

  async function publishMany(peers: readonly Peer[], topics: readonly string[], count: number): Promise<BrokerTop[]> {
    const publishing = peers.map(async (peer, number) => {
      let last: BrokerTop[] = [];
      for (let i = 0; i < count; i += 10) {
        const some = Array.from({ length: 10 }, (_, j) =>
          topics.map((topic) => peer.publish(topic, `${number}:${i + j}`)),
        );
        last = await Promise.all(some.flat());
      }
      return last;
    });
    return (await Promise.all(publishing)).flat();
  }

  it('gives every worker each message once, all in the same order', async () => {
    const peers = await openAll();
    const topics = ['a', 'b'];
    const tops = await Promise.all(topics.map((topic) => Promise.all(peers.map((peer) => peer.subscribe(topic)))));
    await publishMany(peers, topics, 100);
    for (const [i, topic] of topics.entries()) {
      const last = { ...tops[i]![0]!, offset: 400 };
      const logs = await Promise.all(peers.map((peer, j) => peer.follow(topic, tops[i]![j]!, last)));
      const texts = logs.map((log) => log.map(({ data }) => textOf(data)));
      for (const log of texts) assert.deepEqual(log, texts[0]);
      assert.equal(new Set(texts[0]).size, 400);
      for (const peer of peers) assert.equal(peer.toldOf(topic).length, 400, 'none was told twice');
    }
    assert.equal(primary.stats().overflows, 0);
  });

  it('leaves out messages for a worker that is stopped, and has it read them once it goes on', async () => {
    const limit = 400_000;
    const peers = await openAll({ maxQueuedBytes: limit });
    const [stopped, ...others] = peers as [Peer, ...Peer[]];
    const tops = await Promise.all(peers.map((peer) => peer.subscribe('a')));
    children[0]!.kill('SIGSTOP');
    onCleanUp(() => children[0]!.kill('SIGCONT'));
    const large = 'x'.repeat(20_000);
    let last = await others[0]!.publish('a', large);
    while (primary.stats().overflows < 2) {
      for (let i = 0; i < 5; i++) last = await others[0]!.publish('a', large);
      // The others keep up: nothing is left out for them.
      for (const [i, peer] of others.entries()) await peer.follow('a', tops[i + 1]!, last);
      assert.ok(primary.stats().queuedBytes < 2 * limit, `${primary.stats().queuedBytes} bytes wait`);
    }
    assert.deepEqual(
      peers.map(({ ups }) => ups),
      [0, 0, 0, 0],
    );
    children[0]!.kill('SIGCONT');
    await stopped.until('it is told that messages were left out', () => stopped.ups > 0);
    // As what is above a broker does then.
    const top = await stopped.subscribe('a');
    assert.ok(top.offset >= last.offset);
    const told = stopped.toldOf('a').map(({ message }) => message);
    const seen = contiguous(told, tops[0]!.offset);
    const read = await stopped.readAll('a', seen, 100);
    assert.equal(follow('read', seen, read).at(-1)!.offset, top.offset);
    assert.ok(read.length > 0, 'some were left out');
  });

  it('forgets a worker that is killed, while the others go on', async () => {
    const peers = await openAll();
    const [killed, ...others] = peers as [Peer, ...Peer[]];
    const tops = await Promise.all(peers.map((peer) => peer.subscribe('a')));
    // What it is asked for is never answered.
    const publishing = publishMany(others, ['a'], 200);
    await killed.publish('a', 'last words');
    children[0]!.kill('SIGKILL');
    const places = await publishing;
    const last = places.reduce((one, other) => (other.offset > one.offset ? other : one));
    assert.equal(last.offset, 601);
    for (const [i, peer] of others.entries())
      assert.equal((await peer.follow('a', tops[i + 1]!, last)).length, 601, 'each has every message');
    await until('the primary has forgotten it', () => primary.stats().brokers === 3);
    assert.equal(primary.stats().queuedBytes, 0);
  });
});

/** How far messages go without a hole. */
function contiguous(messages: readonly { offset: number; previous: number }[], after: number): number {
  let last = after;
  for (const { offset, previous } of messages) if (previous <= last && offset > last) last = offset;
  return last;
}
