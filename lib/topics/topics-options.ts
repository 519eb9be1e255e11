import { DEFAULT_CAPACITY } from '../broadcast/broadcast.ts';
import { checkNames, kindOf, show } from '../wording.ts';
import type { Broker } from './broker.ts';

/** Options of topics; each has a default. */
export interface TopicsOptions {
  /** What carries messages from process to process. Default: none, and topics are those of this process. */
  readonly broker?: Broker | undefined;
  /** How many messages of each topic are kept, at least, for those who come later. Default 0. */
  readonly historyMessages?: number | undefined;
  /** For how long they are kept, in milliseconds. Default 5 minutes. */
  readonly historyMs?: number | undefined;
  /** How many messages of a topic wait for its slowest subscriber here before its `whenBehind` decides. Default 1024. */
  readonly capacity?: number | undefined;
}

/** Options with the defaults filled in. */
export interface ResolvedTopicsOptions {
  readonly broker: Broker | undefined;
  readonly historyMessages: number;
  readonly historyMs: number;
  readonly capacity: number;
}

/** Those of a topic, by name: how often it may not be there is no concern of its types. */
const BROKER_METHODS: readonly (keyof Broker)[] = [
  'open',
  'subscribe',
  'unsubscribe',
  'publish',
  'read',
  'signal',
  'close',
];

/** A timer of a longer time fires at once. 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Fills in the defaults.
 *
 * @throws {TypeError} for an option that does not exist, or a broker that is none; {RangeError} for a value that an option cannot have
 */
export function resolveTopicsOptions(options: TopicsOptions): ResolvedTopicsOptions {
  checkNames('Topics', options, ['broker', 'historyMessages', 'historyMs', 'capacity']);
  const { broker, historyMessages = 0, historyMs = 300_000, capacity = DEFAULT_CAPACITY } = options;
  checkNumber('historyMessages', historyMessages, 0, 'a whole number of messages from 0 on');
  checkNumber('historyMs', historyMs, 1, 'whole milliseconds from 1 on');
  checkNumber('capacity', capacity, 1, 'a whole number of messages from 1 on');
  if (broker !== undefined) checkBroker(broker);
  return { broker, historyMessages, historyMs: Math.min(historyMs, MAX_TIMER_MS), capacity };
}

function checkNumber(name: string, value: unknown, least: number, advice: string): void {
  if (Number.isSafeInteger(value) && (value as number) >= least) return;
  throw new RangeError(`Topics: ${name} is ${show(value)}: give ${advice}`);
}

function checkBroker(broker: Broker): void {
  const missing = BROKER_METHODS.find((name) => typeof (broker as Partial<Broker> | null)?.[name] !== 'function');
  if (missing === undefined) return;
  throw new TypeError(
    `Topics: the broker is ${kindOf(broker)} without a method "${missing}": give what redisBroker({ client }) or natsBroker({ connection }) returns`,
  );
}
