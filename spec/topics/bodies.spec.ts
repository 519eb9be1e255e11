import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { afterEach, describe, it } from 'node:test';
import { positionsWire } from '../../lib/topics/positions-wire.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { settle } from '../support/watchdog.ts';
import { Hub } from './faulty-broker.ts';
import { TestConnection } from './test-connection.ts';

afterEach(cleanUp);

/** A connection that sends from where bytes lie, as one does from 16 KiB on. */
class Referring extends TestConnection {
  readonly bytes: (string | Uint8Array)[] = [];

  override offer(data: string | Uint8Array): boolean {
    const isSent = super.offer(data);
    if (isSent) this.bytes.push(typeof data === 'string' || data.length >= 16 * 1024 ? data : Buffer.from(data));
    return isSent;
  }
}

type Make = (size: number) => Uint8Array;

/** Bytes of which the caller has more than the message. */
const KINDS: readonly [what: string, make: Make, spoil: (bytes: Uint8Array) => void][] = [
  ['a Buffer', (size) => Buffer.alloc(size, 1), (bytes) => bytes.fill(2)],
  ['a view', (size) => new Uint8Array(size + 9).fill(1).subarray(5, 5 + size), (bytes) => bytes.fill(2)],
  ['memory that is shared', (size) => new Uint8Array(new SharedArrayBuffer(size)).fill(1), (bytes) => bytes.fill(2)],
  [
    'memory that is transferred',
    (size) => new Uint8Array(size).fill(1),
    (bytes) => structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] }),
  ],
  [
    'memory that shrinks',
    (size) =>
      new Uint8Array(Reflect.construct(ArrayBuffer, [size, { maxByteLength: 2 * size }]) as ArrayBuffer).fill(1),
    (bytes) => (bytes.buffer as unknown as { resize(size: number): void }).resize(0),
  ],
];

describe('the bytes of a message', () => {
  for (const [what, make, spoil] of KINDS) {
    for (const size of [0, 60, 16 * 1024, 1024 * 1024]) {
      for (const over of ['in one process', 'over a broker']) {
        it(`are those that were published: ${size} of ${what}, ${over}`, async () => {
          const broker = over === 'over a broker' ? new Hub().broker() : undefined;
          const topics = new Topics({ broker, historyMessages: 3 });
          onCleanUp(() => topics.close());
          const connections = [new Referring(), new Referring(), new Referring()];
          await topics.join(connections[0]!, 'a');
          await topics.join(connections[1]!, 'b', undefined, positionsWire);
          await topics.join(connections[2]!, 'a');
          connections[2]!.room = 0;
          const subscriptions = [await topics.subscribe('a'), await topics.subscribe('b')];
          const bodies = [make(size), make(size)];
          const expected = Buffer.alloc(size, 1);
          const published = ['a', 'b'].map((topic, i) => topics.publish(topic, bodies[i]!));
          for (const body of bodies) spoil(body);
          const [, position] = await Promise.all(published);
          await settle();
          await connections[2]!.read(10);
          assert.deepEqual(connections[0]!.bytes, [expected]);
          assert.deepEqual(connections[2]!.bytes, [expected]);
          assert.deepEqual(connections[1]!.bytes.at(-1), Buffer.concat([Buffer.from(`${position}\n`), expected]));
          for (const subscription of subscriptions) assert.deepEqual((await subscription.recv()).body, expected);
          assert.deepEqual(
            (await topics.history('a')).messages.map(({ body }) => body),
            [expected],
          );
        });
      }
    }
  }

  it('that are kept are alone in their memory', async () => {
    const topics = new Topics({ historyMessages: 3 });
    onCleanUp(() => topics.close());
    await topics.publish('a', Buffer.from('a few'));
    const [message] = (await topics.history('a')).messages;
    assert.equal((message!.body as Buffer).buffer.byteLength, 5);
  });
});
