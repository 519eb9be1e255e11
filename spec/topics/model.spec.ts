import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { positionsWire } from '../../lib/topics/positions-wire.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { seed } from '../support/seed.ts';
import { settle, until } from '../support/watchdog.ts';
import { type Fate, Hub, type HubBroker } from './faulty-broker.ts';
import { ClientLog, Log } from './log.ts';
import { TestConnection } from './test-connection.ts';

/** A topic in three processes over a hub that fails, against what was published. */

interface Model {
  /** How many messages were published. */
  count: number;
}

class Real {
  readonly hub = new Hub();
  readonly brokers: HubBroker[] = [];
  readonly topics: Topics[] = [];
  readonly logs: { readonly log: Log | ClientLog; readonly process: number; readonly after: string | undefined }[] = [];
  /** What was published, by position; of all lives of the topic. */
  readonly bodies = new Map<string, string>();
  /** Whether any message may be gone for good, or the epoch has changed. */
  hasForgotten = false;

  constructor(historyMessages: number) {
    for (let i = 0; i < 3; i++) {
      const broker = this.hub.broker();
      this.brokers.push(broker);
      this.topics.push(new Topics({ broker, historyMessages, capacity: 4 }));
    }
  }

  check(): void {
    for (const { log, after } of this.logs) log.check((position) => this.bodies.get(position), after ?? log.start);
  }

  /** Heals all, and asserts that everybody gets to the end. */
  async finish(): Promise<void> {
    for (const broker of this.brokers) {
      broker.fate = 'now';
      broker.before = undefined;
      broker.release();
      broker.up();
    }
    await settle();
    const top = await this.topics[0]!.publish('a', 'last');
    this.bodies.set(top, 'last');
    const isThere = ({ log, after }: Real['logs'][number]): boolean =>
      log.subscription.position === top ||
      log.check((position) => this.bodies.get(position), after ?? log.start) === top;
    await until('all have got the last message', () => this.logs.every(isThere));
    this.check();
    if (!this.hasForgotten) {
      const gaps = this.logs.flatMap(({ log }) => log.texts.filter((text) => text.startsWith('gap')));
      assert.deepEqual(gaps, [], 'nothing was lost, so there is no gap');
    }
    for (const topics of this.topics) await topics.close();
  }
}

type Command = fc.AsyncCommand<Model, Real, boolean>;

abstract class Step {
  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    await this.act(real, model);
    await settle(2);
    real.check();
  }

  abstract act(real: Real, model: Model): void | Promise<void>;
}

class Publish extends Step {
  readonly process: number;
  readonly times: number;

  constructor(process: number, times: number) {
    super();
    this.process = process;
    this.times = times;
  }

  override async act(real: Real, model: Model): Promise<void> {
    for (let i = 0; i < this.times; i++) {
      const body = String(++model.count);
      const { epoch, offset } = real.hub.topic('a');
      // It is told in the turn in which it is published, before its publisher hears of it.
      if (real.brokers[this.process]!.isUp) real.bodies.set(`${epoch}.${offset + 1}`, body);
      await real.topics[this.process]!.publish('a', body).catch(() => {});
    }
  }

  override toString(): string {
    return `${this.times} from ${this.process}`;
  }
}

class Subscribe extends Step {
  readonly process: number;
  readonly back: number;

  constructor(process: number, back: number) {
    super();
    this.process = process;
    this.back = back;
  }

  override async act(real: Real): Promise<void> {
    const after = this.back === 0 ? undefined : [...real.bodies.keys()].at(-this.back);
    const subscription = await real.topics[this.process]!.subscribe('a', { after, whenBehind: 'catchUp' }).catch(
      () => {},
    );
    if (subscription) real.logs.push({ log: new Log(subscription), process: this.process, after });
  }

  override toString(): string {
    return `subscribe at ${this.process}, ${this.back} back`;
  }
}

/** A client comes, or one comes back with the position that it had last, to any process. */
class Connect extends Step {
  readonly process: number;
  readonly which: number | undefined;

  constructor(process: number, which: number | undefined) {
    super();
    this.process = process;
    this.which = which;
  }

  override async act(real: Real): Promise<void> {
    let after: string | undefined;
    if (this.which !== undefined) {
      const before = real.logs.filter(({ log }) => log instanceof ClientLog);
      const left = before[this.which % Math.max(before.length, 1)];
      if (left === undefined) return;
      real.logs.splice(real.logs.indexOf(left), 1);
      after = left.log.check((position) => real.bodies.get(position), left.after ?? left.log.start);
      left.log.subscription.unsubscribe();
    }
    const connection = new TestConnection();
    const joined = real.topics[this.process]!.join(connection, 'a', { after, whenBehind: 'catchUp' }, positionsWire);
    const subscription = await joined.catch(() => {});
    if (subscription) real.logs.push({ log: new ClientLog(connection, subscription), process: this.process, after });
  }

  override toString(): string {
    return this.which === undefined ? `client at ${this.process}` : `client ${this.which} back at ${this.process}`;
  }
}

class Unsubscribe extends Step {
  readonly which: number;

  constructor(which: number) {
    super();
    this.which = which;
  }

  override act(real: Real): void {
    const [left] = real.logs.splice(this.which % Math.max(real.logs.length, 1), 1);
    left?.log.subscription.unsubscribe();
  }

  override toString(): string {
    return `unsubscribe ${this.which}`;
  }
}

class Fail extends Step {
  readonly process: number;
  readonly fault: Fate | 'release' | 'reversed' | 'down' | 'up' | 'slow' | 'forgetAll' | 'forgetHistory' | 'old';

  constructor(process: number, fault: Fail['fault']) {
    super();
    this.process = process;
    this.fault = fault;
  }

  override act(real: Real): void {
    const broker = real.brokers[this.process]!;
    switch (this.fault) {
      case 'release':
      case 'reversed':
        broker.release(this.fault === 'reversed');
        break;
      case 'down':
      case 'up':
        if ((this.fault === 'up') !== broker.isUp) broker[this.fault]();
        break;
      case 'slow':
        broker.before = () => settle(1);
        break;
      case 'forgetAll':
      case 'forgetHistory':
        real.hasForgotten = true;
        real.hub[this.fault]();
        break;
      case 'old': {
        const message = real.hub.topic('a').kept[0];
        if (message !== undefined) broker.tell('a', real.hub.topic('a').epoch, message);
        break;
      }
      default:
        broker.fate = this.fault;
    }
  }

  override toString(): string {
    return `${this.fault} at ${this.process}`;
  }
}

const process = fc.nat(2);
const faults = ['now', 'drop', 'twice', 'hold', 'release', 'reversed', 'down', 'up', 'slow', 'old'] as const;

function commands(more: readonly Fail['fault'][]): fc.Arbitrary<Iterable<Command>> {
  return fc.commands<Model, Real, boolean>(
    [
      fc.tuple(process, fc.integer({ min: 1, max: 8 })).map(([which, times]) => new Publish(which, times)),
      fc.tuple(process, fc.nat(6)).map(([which, back]) => new Subscribe(which, back)),
      process.map((which) => new Connect(which, undefined)),
      fc.tuple(process, fc.nat(9)).map(([which, client]) => new Connect(which, client)),
      fc.nat(9).map((which) => new Unsubscribe(which)),
      fc.tuple(process, fc.constantFrom(...faults, ...more)).map(([which, fault]) => new Fail(which, fault)),
      fc.tuple(process, fc.constantFrom(...faults)).map(([which, fault]) => new Fail(which, fault)),
    ],
    { maxCommands: 40, size: 'max' },
  );
}

describe('a topic, against its model', () => {
  for (const [what, historyMessages, more] of [
    ['that keeps all', 10_000, []],
    ['that forgets', 6, ['forgetAll', 'forgetHistory']],
    ['without a history', 0, ['forgetAll']],
  ] as const) {
    it(`is gapless, in order and once, or has a gap at the very place, over a broker ${what}`, async () => {
      await fc.assert(
        fc.asyncProperty(commands(more), async (steps) => {
          const real = new Real(historyMessages);
          real.hasForgotten = historyMessages < 10_000;
          // Somebody is there in each process, so that each has something to lose.
          for (let i = 0; i < 3; i++) await new Subscribe(i, 0).act(real);
          await fc.asyncModelRun(() => ({ model: { count: 0 }, real }), steps);
          await real.finish();
        }),
        { seed, numRuns: Number(globalThis.process.env.FC_RUNS ?? 50) },
      );
    });
  }
});
