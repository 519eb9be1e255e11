import type { ChildProcess } from 'node:child_process';
import { after, before, describe } from 'node:test';
import { testBroker } from '../../lib/brokers/broker-testing.ts';
import { type ClusterPrimary, setUpPrimary } from '../../lib/brokers/cluster-primary.ts';
import { endChild, forkChild, forkWorker, RemoteBroker } from '../support/cluster-workers.ts';

/** Two brokers of a test are in processes of their own. */
const KINDS = [
  { name: 'workers of node:cluster, as json', start: () => forkWorker('json') },
  { name: 'children of child_process.fork, as advanced', start: () => forkChild('advanced') },
];

for (const { name, start } of KINDS) {
  describe(name, () => {
    let primary: ClusterPrimary;
    let children: ChildProcess[];
    let made = 0;

    function setUp(): void {
      primary = setUpPrimary();
      for (const child of children) primary.attach(child);
    }

    before(async () => {
      children = await Promise.all([start(), start()]);
      setUp();
    });
    after(async () => {
      primary.close();
      await Promise.all(children.map(endChild));
    });

    testBroker({
      name: 'cluster',
      makeBroker() {
        const broker = new RemoteBroker(children[made++ % children.length]!);
        return { broker, end: () => broker.end() };
      },
      loseData() {
        primary.close();
        setUp();
      },
    });
  });
}
