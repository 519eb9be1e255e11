import type { ChildProcess } from 'node:child_process';
import cluster, { type Worker } from 'node:cluster';
import { BrokerError } from '../errors.ts';
import type { BrokerSettings } from '../topics/broker.ts';
import { checkNames } from '../wording.ts';
import {
  fromMessage,
  Outbox,
  type Packed,
  type PackedMessage,
  type Place,
  pack,
  type ToPrimary,
  type ToWorker,
  toMessage,
} from './cluster-channel.ts';
import { checkLimits } from './cluster-limits.ts';
import { ClusterTopics } from './cluster-topics.ts';

/** How much a primary keeps, at most. */
export interface ClusterPrimaryOptions {
  /** For messages that are kept as history, in bytes; beyond it the oldest of the quietest topics go first. 64 MiB unless set. */
  readonly maxHistoryBytes?: number;
  /** How many topics to know that nobody is subscribed to. One that is forgotten begins with a new epoch. 100,000 unless set. */
  readonly maxTopics?: number;
  /** How many ids of messages to remember; beyond it the oldest are forgotten before their five minutes. 200,000 unless set. */
  readonly maxIds?: number;
  /**
   * How many bytes may wait for one worker that does not read. Beyond it messages are left out for it, and it is told: what is
   * above asks for them again, once it reads. 16 MiB unless set.
   */
  readonly maxQueuedBytes?: number;
}

/** The primary's part of `clusterBroker`. */
export interface ClusterPrimary {
  /** Takes in a child of `child_process.fork`, which must have a channel. Workers of `node:cluster` are taken in by themselves. */
  attach(child: ChildProcess): void;
  /** Lets go of everything: the workers are told, and cannot publish any more. */
  close(): void;
  /** What there is now. */
  stats(): ClusterPrimaryStats;
}

/** Counters of a primary. */
export interface ClusterPrimaryStats {
  /** Brokers of workers that are open. */
  readonly brokers: number;
  /** Topics that are known. */
  readonly topics: number;
  /** Memory that messages take which are kept, in bytes. */
  readonly historyBytes: number;
  /** Ids that are remembered. */
  readonly ids: number;
  /** What waits for workers to read it, in bytes, of all together. */
  readonly queuedBytes: number;
  /** How often messages were left out for a worker that did not read. */
  readonly overflows: number;
}

let current: Primary | undefined;

/**
 * Has this process order and keep the messages of its workers' `clusterBroker()`s. Call it once, before the first fork.
 *
 * @throws {BrokerError} in a worker of node:cluster, and when it was called before
 * @throws {TypeError} for an option that does not exist
 * @throws {RangeError} for an option that is no whole number from 1 on
 */
export function setUpPrimary(options: ClusterPrimaryOptions = {}): ClusterPrimary {
  checkNames('setUpPrimary', options, ['maxHistoryBytes', 'maxTopics', 'maxIds', 'maxQueuedBytes']);
  const limits = {
    maxHistoryBytes: options.maxHistoryBytes ?? 64 * 1024 * 1024,
    maxTopics: options.maxTopics ?? 100_000,
    maxIds: options.maxIds ?? 200_000,
    maxQueuedBytes: options.maxQueuedBytes ?? 16 * 1024 * 1024,
  };
  checkLimits(limits);
  if (cluster.isWorker)
    throw new BrokerError(
      'WS_ERR_BROKER_UNAVAILABLE',
      'setUpPrimary() is for the primary: call it where cluster.isPrimary',
    );
  if (current !== undefined)
    throw new BrokerError(
      'WS_ERR_BROKER_UNAVAILABLE',
      'setUpPrimary() was called already: call it once, and keep what it returns',
    );
  current = new Primary(limits);
  return current;
}

/** One broker of a worker. */
interface Member {
  readonly child: ChildProcess;
  readonly isBinary: boolean;
  readonly settings: BrokerSettings;
  readonly outbox: Outbox<ToWorker>;
  readonly topics: Set<string>;
}

type Limits = Required<ClusterPrimaryOptions>;

class Primary implements ClusterPrimary {
  readonly #limits: Limits;
  readonly #topics: ClusterTopics<Member>;
  readonly #members = new Map<string, Member>();
  /** What lets go of each child. */
  readonly #children = new Map<ChildProcess, () => void>();
  #overflows = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#topics = new ClusterTopics(limits);
    cluster.on('fork', this.#attachWorker);
    for (const worker of Object.values(cluster.workers!)) this.#attachWorker(worker!);
  }

  stats(): ClusterPrimaryStats {
    const queued = [...this.#members.values()].map(({ outbox }) => outbox.bytes);
    return {
      brokers: this.#members.size,
      ...this.#topics.stats(),
      queuedBytes: queued.reduce((sum, bytes) => sum + bytes, 0),
      overflows: this.#overflows,
    };
  }

  readonly #attachWorker = (worker: Worker): void => this.attach(worker.process);

  attach(child: ChildProcess): void {
    if (this.#children.has(child)) return;
    const receive = (message: unknown): void => this.#receive(child, message);
    const leave = (): void => this.#forgetChild(child);
    child.on('message', receive);
    child.on('disconnect', leave);
    this.#children.set(child, () => {
      child.off('message', receive);
      child.off('disconnect', leave);
    });
  }

  close(): void {
    cluster.off('fork', this.#attachWorker);
    for (const { outbox } of this.#members.values()) {
      outbox.clear();
      outbox.push(['bye'], 0);
    }
    for (const letGo of this.#children.values()) letGo();
    this.#members.clear();
    if (current === this) current = undefined;
  }

  #forgetChild(child: ChildProcess): void {
    this.#children.get(child)!();
    this.#children.delete(child);
    for (const [id, member] of this.#members) if (member.child === child) this.#forget(id, member);
  }

  #forget(id: string, member: Member): void {
    this.#members.delete(id);
    member.outbox.clear();
    for (const topic of member.topics) this.#topics.unsubscribe(topic, member);
  }

  #receive(child: ChildProcess, message: unknown): void {
    const batch = fromMessage<ToPrimary>(message);
    if (batch === undefined) return;
    // Frames of another version are not understood; that ours is another one is all there is to say.
    if (batch.isOtherVersion) send(child, batch.broker, [], () => {});
    for (const frame of batch.frames) this.#take(child, batch.broker, frame);
  }

  #take(child: ChildProcess, id: string, frame: ToPrimary): void {
    const member = this.#members.get(id);
    if (frame[0] === 'hello') this.#welcome(child, id, frame[1], frame[2]);
    else if (member === undefined) send(child, id, [['unknown']], () => {});
    else if (frame[0] === 'bye') this.#forget(id, member);
    else if (frame[0] === 'signal') this.#signal(frame[1], frame[2]);
    else this.#answer(member, frame);
  }

  #welcome(child: ChildProcess, id: string, settings: BrokerSettings, probe: Packed): void {
    // It may have said hello twice before it was answered.
    let member = this.#members.get(id);
    if (member === undefined) {
      const outbox = new Outbox<ToWorker>((frames, sent) => send(child, id, frames, sent));
      // What went as bytes came as bytes only where the channel can carry them.
      member = { child, isBinary: probe instanceof Uint8Array, settings, outbox, topics: new Set() };
      this.#members.set(id, member);
    }
    this.#tell(member, ['welcome', member.isBinary], 0);
  }

  #answer(member: Member, frame: Exclude<ToPrimary, readonly ['hello' | 'bye' | 'signal', ...unknown[]]>): void {
    const [method, call, topic] = frame;
    if (method === 'publish') {
      const { place, message, subscribers } = this.#topics.publish(topic, frame[3], frame[4], member.settings);
      if (message !== undefined) this.#pass(topic, place, message, subscribers);
      this.#tell(member, ['answer', call, place], 0);
    } else if (method === 'read') {
      const { place, messages } = this.#topics.read(topic, frame[3], frame[4]);
      const bytes = messages.reduce((sum, [, , data]) => sum + data.length, 0);
      this.#tell(member, ['answer', call, place, messages.map((one) => repack(one, member.isBinary))], bytes);
    } else if (method === 'subscribe') {
      member.topics.add(topic);
      this.#tell(member, ['answer', call, this.#topics.subscribe(topic, member)], 0);
    } else {
      member.topics.delete(topic);
      this.#topics.unsubscribe(topic, member);
      this.#tell(member, ['answer', call, null], 0);
    }
  }

  #pass(topic: string, [epoch]: Place, message: PackedMessage, subscribers: Iterable<Member>): void {
    for (const member of subscribers) {
      const packed = repack(message, member.isBinary);
      this.#tell(member, ['message', topic, epoch, packed], topic.length + packed[2].length, true);
    }
  }

  #signal(topic: string | null, data: Packed): void {
    const members = topic === null ? this.#members.values() : this.#topics.subscribersOf(topic);
    for (const member of members) this.#tell(member, ['signal', topic, pack(data, member.isBinary)], data.length, true);
  }

  #tell({ outbox }: Member, frame: ToWorker, bytes: number, canBeLost: boolean = false): void {
    outbox.push(frame, bytes, canBeLost);
    if (outbox.bytes <= this.#limits.maxQueuedBytes || !outbox.loseSome()) return;
    this.#overflows++;
    outbox.push(['lost'], 0, true);
  }
}

/** Sends to a child, if it is there still: its end is told by an event. */
function send(child: ChildProcess, id: string, frames: readonly ToWorker[], sent: () => void): void {
  if (child.connected) child.send(toMessage(id, frames), undefined, undefined, sent);
}

function repack(message: PackedMessage, isBinary: boolean): PackedMessage {
  const [offset, previous, data] = message;
  const packed = pack(data, isBinary);
  return packed === data ? message : [offset, previous, packed];
}
