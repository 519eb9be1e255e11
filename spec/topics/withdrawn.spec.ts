import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { afterEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Receive } from '../../lib/channel/receive.ts';
import { select } from '../../lib/channel/select.ts';
import type { TopicMessage } from '../../lib/topics/topic-entry.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { seed } from '../support/seed.ts';
import { settle, soon } from '../support/watchdog.ts';
import { Hub } from './faulty-broker.ts';

afterEach(cleanUp);

type Step = readonly ['publish' | 'recv' | 'abort' | 'select' | 'withdraw' | 'settle', number];

const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom('publish', 'recv', 'abort', 'select', 'withdraw', 'settle'),
  fc.integer({ min: 1, max: 6 }),
);

describe('receives of a topic that are given up', () => {
  for (const capacity of [2, 1024]) {
    for (const over of ['in one process', 'over a broker']) {
      it(`lose nothing: each message is received once, in order, ${over}, with a capacity of ${capacity}`, async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.array(fc.boolean()), async (steps, turns) => {
            const hub = new Hub();
            const broker = over === 'over a broker' ? hub.broker() : undefined;
            const topics = new Topics({ broker, historyMessages: 1000, capacity });
            onCleanUp(() => topics.close());
            const subscription = await topics.subscribe('a');
            const other = await topics.subscribe('other');
            const got: number[] = [];
            const take = ({ body }: TopicMessage): void => void got.push(Number(body));
            const waiting: Promise<unknown>[] = [];
            let count = 0;
            const publish = (): void => {
              if (broker === undefined) void topics.publish('a', String(count++));
              else hub.publish('a', Buffer.from(`\x01\x01${count++}`), undefined);
            };
            for (const [index, [what, times]] of steps.entries()) {
              if (what === 'settle') await settle(times);
              for (let i = 0; i < times; i++) {
                if (what === 'publish') publish();
                if (what === 'recv') waiting.push(subscription.recv().then(take));
                if (what === 'abort') {
                  const controller = new AbortController();
                  waiting.push(subscription.recv({ signal: controller.signal }).then(take, () => {}));
                  if (i % 2 === 0) controller.abort();
                  else queueMicrotask(() => controller.abort());
                }
                if (what === 'withdraw') {
                  const receive: Receive<TopicMessage> = subscription.recv();
                  publish();
                  receive.withdraw();
                }
                if (what === 'select') {
                  const ready = select({ a: subscription.recv(), other: other.recv() });
                  waiting.push(ready.then(({ key, value }) => (key === 'a' ? take(value) : undefined)));
                  if (i % 2 === 0) void topics.publish('other', 'x');
                }
              }
              if (turns[index] === true) await settle(1);
            }
            // Whatever still waits has something to receive.
            for (let i = 0; i < waiting.length; i++) {
              publish();
              void topics.publish('other', 'x');
            }
            await soon('all receives', Promise.all(waiting));
            while (got.length < count) take(await soon(`message ${got.length} of ${count}`, subscription.recv()));
            // Receives that are started together are told in their order, and so is what they got.
            assert.deepEqual(got, [...Array(count).keys()]);
            assert.equal(subscription.waiting, 0);
            await topics.close();
          }),
          { seed, numRuns: Number(process.env.FC_RUNS ?? 40) },
        );
      });
    }
  }
});
