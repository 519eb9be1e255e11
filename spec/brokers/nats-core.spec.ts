import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { NatsMessage } from '../../lib/brokers/nats-connection.ts';
import { CoreOrder } from '../../lib/brokers/nats-core.ts';
import { decodeCoreMessage, encodeCoreMessage } from '../../lib/brokers/nats-core-message.ts';
import { NatsSubjects } from '../../lib/brokers/nats-subjects.ts';
import type { BrokerMessage } from '../../lib/topics/broker.ts';
import { cleanUp } from '../support/clean-up.ts';
import { hex } from '../support/hex.ts';

const TOPIC = 'room';
const SUBJECTS = new NatsSubjects('spec');

/** Core NATS between some processes, that loses what it is told to, and a clock for all of them. */
class Network {
  now = 1000;
  readonly processes: Process[] = [];
  /** Whether a message is lost on its way to a process. */
  isLost: (to: Process) => boolean = () => false;

  join(): Process {
    const process = new Process(this);
    this.processes.push(process);
    return process;
  }

  pass(subject: string, data: Uint8Array): void {
    for (const process of this.processes) {
      if (!this.isLost(process)) process.order.receive(TOPIC, { subject, data } as NatsMessage);
    }
  }

  async check(ms: number): Promise<void> {
    this.now += ms;
    for (const { order } of this.processes) await order.check();
  }
}

class Process {
  readonly order: CoreOrder;
  readonly told: (BrokerMessage & { readonly epoch: string })[] = [];
  missed = 0;

  constructor(network: Network) {
    const link = { publish: (subject: string, data: Uint8Array) => network.pass(subject, data), flush: async () => {} };
    const events = {
      message: (_topic: string, epoch: string, message: BrokerMessage) => this.told.push({ epoch, ...message }),
      missed: () => this.missed++,
    };
    this.order = new CoreOrder(link, SUBJECTS, events, () => network.now);
  }

  publish(text: string, id?: string) {
    return this.order.publish(TOPIC, Buffer.from(text), id);
  }

  texts(): string[] {
    return textsOf(this.told);
  }

  /** The messages before which something is missing. */
  holes(): string[] {
    return textsOf(this.told.filter(({ previous }, i) => previous !== (this.told[i - 1]?.offset ?? 0)));
  }
}

function textsOf(messages: readonly BrokerMessage[]): string[] {
  return messages.map(({ data }) => Buffer.from(data).toString());
}

async function open(count: number): Promise<[Network, ...Process[]]> {
  const network = new Network();
  const processes = Array.from({ length: count }, () => network.join());
  for (const { order } of processes) await order.subscribe(TOPIC);
  network.now += 10_000;
  return [network, ...processes];
}

describe('CoreOrder', () => {
  afterEach(cleanUp);

  it('numbers what it hears, and publish resolves with the place that it has here', async () => {
    const [, a, b] = await open(2);
    const places = [await a!.publish('0'), await b!.publish('1'), await a!.publish('2')];
    assert.deepEqual(a!.texts(), ['0', '1', '2']);
    assert.deepEqual(b!.texts(), ['0', '1', '2']);
    assert.deepEqual(places[0], { epoch: a!.told[0]!.epoch, offset: 1 });
    assert.deepEqual(places[1], { epoch: b!.told[0]!.epoch, offset: 2 });
    assert.notEqual(places[0]!.epoch, places[1]!.epoch, 'nobody takes the order of one process for that of another');
    assert.deepEqual([...a!.holes(), ...b!.holes()], []);
  });

  it('has no place for what is published to a topic that is not subscribed here', async () => {
    const network = new Network();
    const place = await network.join().publish('alone');
    assert.ok(place.offset > 0);
    assert.match(place.epoch, /^[\w-]+$/);
  });

  it('shows where a message was lost, and what came behind can be read', async () => {
    const [network, a, b] = await open(2);
    for (let i = 0; i < 6; i++) {
      network.isLost = (to) => to === b && (i === 2 || i === 3);
      await a!.publish(`${i}`);
    }
    assert.deepEqual(b!.texts(), ['0', '1', '4', '5']);
    assert.deepEqual(b!.holes(), ['4']);
    const { messages, offset } = await b!.order.read(TOPIC, 2, 10);
    assert.deepEqual([textsOf(messages), messages[0]!.previous, offset], [['4', '5'], 4, 6]);
    assert.equal((await b!.order.read(TOPIC, 2, 1)).messages.length, 1);
    for (let i = 0; i < 3; i++) await network.check(1000);
    assert.deepEqual((await b!.order.read(TOPIC, 2, 10)).messages, [], 'it is not kept');
    assert.deepEqual(a!.holes(), []);
  });

  it('says that the last one was lost, though nothing comes behind it', async () => {
    const [network, a, b] = await open(2);
    await a!.publish('first');
    network.isLost = (to) => to === b;
    await a!.publish('last');
    network.isLost = () => false;
    await network.check(1000);
    assert.deepEqual([a!.missed, b!.missed], [0, 1]);
    const top = await b!.order.subscribe(TOPIC);
    assert.equal(top.offset, 2);
    assert.deepEqual(await b!.order.read(TOPIC, 1, 10), { ...top, messages: [] });
    for (let i = 0; i < 50; i++) await network.check(2000);
    assert.equal(b!.missed, 1, 'it is said once');
  });

  it('says that a message was lost also where the next is one that was known by its id', async () => {
    const [network, a, b] = await open(2);
    await a!.publish('first', 'id');
    network.isLost = (to) => to === b;
    await a!.publish('lost');
    network.isLost = () => false;
    await a!.publish('first', 'id');
    assert.deepEqual(b!.texts(), ['first']);
    assert.equal(b!.missed, 1);
  });

  it('says that the first message of a process was lost, if it was sent when all was heard here', async () => {
    const [network, a, b] = await open(2);
    network.isLost = (to) => to === b;
    await a!.publish('lost');
    network.isLost = () => false;
    network.now += 50;
    await a!.publish('heard');
    assert.deepEqual([b!.texts(), b!.holes()], [['heard'], ['heard']]);
  });

  it('does not miss what was sent before it has subscribed', async () => {
    const [network, a] = await open(1);
    for (let i = 0; i < 10; i++) await a!.publish('before');
    await network.check(300);
    const late = network.join();
    await late.order.subscribe(TOPIC);
    network.now += 5000;
    await network.check(0);
    await a!.publish('now');
    assert.deepEqual([late.texts(), late.holes(), late.missed], [['now'], [], 0]);
  });

  it('begins another epoch when the connection was lost, and knows ids all the same', async () => {
    const [, a, b] = await open(2);
    await a!.publish('once', 'id');
    const before = b!.told[0]!.epoch;
    b!.order.lost();
    await a!.publish('once', 'id');
    await a!.publish('next');
    const top = await b!.order.subscribe(TOPIC);
    assert.deepEqual(b!.texts(), ['once', 'next']);
    assert.deepEqual([top.epoch, top.offset], [b!.told[1]!.epoch, 1]);
    assert.notEqual(top.epoch, before);
  });

  it('resolves with the place of the first for an id, for five minutes', async () => {
    const [network, a, b] = await open(2);
    const first = await a!.publish('x', 'id');
    assert.deepEqual(await a!.publish('x', 'id'), first);
    await b!.publish('x', 'id');
    assert.deepEqual([a!.texts(), b!.texts()], [['x'], ['x']]);
    await network.check(301_000);
    await a!.publish('x', 'id');
    assert.deepEqual(b!.texts(), ['x', 'x']);
    assert.deepEqual(b!.holes(), []);
  });

  it('tells nothing of a topic that is not subscribed any more, nor of what is no message', async () => {
    const [network, a, b] = await open(2);
    b!.order.unsubscribe(TOPIC);
    await a!.publish('unheard');
    for (const bytes of ['', '0100', '02'.padEnd(60, '0'), '0100'.padEnd(40, '0'), '0101'.padEnd(40, '1')]) {
      network.pass('any', hex(bytes));
    }
    assert.deepEqual([b!.texts(), a!.texts()], [[], ['unheard']]);
    assert.equal((await b!.order.read(TOPIC, 0, 10)).offset, 0);
    a!.order.close();
    await b!.publish('unheard');
    assert.deepEqual(a!.texts(), ['unheard']);
  });

  it('knows no more than 10,000 senders of a topic, nor is one in more topics', async () => {
    const [network, a] = await open(1);
    const mark = (i: number, number: number) =>
      encodeCoreMessage(i.toString(16).padStart(16, '0'), number, 0, undefined, Buffer.from(`${i}`));
    for (let i = 0; i <= 10_000; i++) network.pass('any', mark(i, 1));
    const { length } = a!.told;
    network.now += 5000;
    // The first was forgotten: nobody knows whether there was one between.
    network.pass('any', mark(0, 3));
    network.pass('any', mark(5, 3));
    assert.deepEqual(
      a!.told.slice(length).map(({ offset, previous }) => offset - previous),
      [1, 1],
    );
    assert.equal(a!.told[length + 1]!.previous - a!.told[length]!.offset, 1, 'the other one has lost one');
    let marks = 0;
    network.pass = (_subject, data) => {
      if (decodeCoreMessage(data)!.data === undefined) marks++;
    };
    for (let i = 0; i <= 10_000; i++) void a!.order.publish(`topic ${i}`, Buffer.from('x'), undefined);
    assert.equal(marks, 1, 'who is forgotten says first which was the last');
  });

  it('forgets senders that are silent, which come again as others', async () => {
    const [network, a, b] = await open(2);
    await a!.publish('first');
    for (let i = 0; i < 200; i++) await network.check(2000);
    await a!.publish('second');
    assert.deepEqual([b!.texts(), b!.holes(), b!.missed], [['first', 'second'], [], 0]);
  });

  it('property: what is told is what was not lost, in order, with holes exactly where something was', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ from: fc.nat(1), isLost: fc.boolean() }) },
      { weight: 1, arbitrary: fc.constant('check' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const [network, ...processes] = await open(3);
        const reader = processes[2]!;
        const expected: string[] = [];
        const holes: string[] = [];
        // What is lost of a sender is noticed with the next of the same, or by what it says later.
        const pending = [0, 0];
        for (const [i, one] of steps.entries()) {
          if (one === 'check') {
            await network.check(60_000 + i);
            continue;
          }
          network.now += 1;
          network.isLost = (to) => to === reader && one.isLost;
          await processes[one.from]!.publish(`${i}`);
          network.isLost = () => false;
          if (one.isLost) {
            pending[one.from]!++;
            continue;
          }
          expected.push(`${i}`);
          if (pending[one.from]! > 0) holes.push(`${i}`);
          pending[one.from] = 0;
        }
        assert.deepEqual(reader.texts(), expected);
        await network.check(60_000);
        const lost = steps.filter((one) => one !== 'check' && one.isLost).length;
        assert.equal((await reader.order.subscribe(TOPIC)).offset >= expected.length + (lost > 0 ? 1 : 0), true);
        const found = reader.holes();
        if (!steps.includes('check')) assert.deepEqual(found, holes);
        if (lost === 0) assert.deepEqual([found, reader.missed], [[], 0]);
      }),
      { numRuns: 200 },
    );
  });

  it('property: a message is read as it was written', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.integer({ min: 1, max: 2 ** 48 - 1 }),
        fc.nat(2 ** 32),
        fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 }), { nil: undefined }),
        fc.option(fc.uint8Array({ maxLength: 100 }), { nil: undefined }),
        (sender, number, ageMs, hash, data) => {
          const id = sender.toString(16).padStart(16, '0');
          const message = decodeCoreMessage(encodeCoreMessage(id, number, ageMs, hash, data))!;
          assert.deepEqual(
            { ...message, data: message.data && [...message.data] },
            {
              sender: id,
              number,
              ageMs: ageMs >= 2 ** 32 - 1 ? Number.POSITIVE_INFINITY : ageMs,
              idHash: hash && Buffer.from(hash).toString('hex'),
              data: data && [...data],
            },
          );
        },
      ),
    );
  });

  it('property: any bytes are a message, or none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        decodeCoreMessage(bytes);
      }),
    );
  });
});
