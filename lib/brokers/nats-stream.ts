import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerError } from '../errors.ts';
import type { BrokerSettings } from '../topics/broker.ts';
import { headersOf, type NatsMessage } from './nats-connection.ts';
import { type NatsLink, NoRespondersError, unavailable } from './nats-link.ts';
import { lastWordOf, type NatsSubjects } from './nats-subjects.ts';

/** How JetStream is to keep messages. */
export interface NatsStreamOptions {
  /** Servers of a cluster that keep each message: 1, 3 or 5. 1 unless set. */
  readonly replicas?: number;
  /** `'file'` unless set; `'memory'` forgets with the server. */
  readonly storage?: 'file' | 'memory';
  /** Bytes on disk or in memory, of all topics: the oldest messages go first. No bound unless set. */
  readonly maxBytes?: number;
  /**
   * For how long messages are kept, and with them the memory of where a topic stands, in milliseconds. A day, or twice `historyMs`
   * where that is longer, unless set.
   */
  readonly keepMs?: number;
}

/** One message as it is kept. */
export interface KeptMessage {
  readonly seq: number;
  readonly data: Uint8Array;
}

interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly republish?: { readonly src: string; readonly dest: string };
  readonly max_msgs_per_subject: number;
  readonly max_age: number;
  readonly description?: string;
}

interface StreamInfo {
  readonly config: StreamConfig;
  readonly state: {
    readonly first_seq: number;
    readonly last_seq: number;
    readonly subjects?: Readonly<Record<string, number>>;
  };
}

const DAY_MS = 86_400_000;
const NS_PER_MS = 1_000_000;
/** For how long JetStream knows an id again. */
const ID_MS = 300_000;
/** How many marks of the time there are among what is kept. */
const CLOCKS = 4;
/** How long the deletion of a stream may take, in milliseconds. */
const DELETION_MS = 500;
const NO_STREAM = 10_059;
const NO_MESSAGE = 10_037;
const NAME_TAKEN = 10_058;

/**
 * The stream of a prefix: all messages of all topics, each topic a subject, in one count. It is asked by plain requests to the API
 * of JetStream, so that the user passes nothing but a connection.
 *
 * A stream forgets the oldest messages of a topic when there are more than its limit, and of all topics when they are older than
 * `keepMs`. To tell whether anything behind an offset was forgotten by age, `firstSeq` must not be pushed on by topics that forget
 * by number: so there are marks of the time among the messages, which stay until they are as old.
 */
export class NatsStream {
  /** Another one when what was kept is lost, even if only its end is. */
  epoch = '';
  /** A word of its own for each stream that was made: of a subject in it nobody takes another stream for this one. */
  life = '';
  /** As of the last check: the first message that is kept, and the last one there was. */
  firstSeq = 1;
  lastSeq = 0;
  /** How many messages of a topic are kept. */
  limit = 1;
  readonly keepMs: number;
  readonly #link: NatsLink;
  readonly #subjects: NatsSubjects;
  readonly #options: NatsStreamOptions;
  readonly #settings: BrokerSettings;
  /** The last message that this process knows of. */
  #seen = 0;
  #losses = 0;
  #clock = { time: 0, seq: 0 };

  constructor(link: NatsLink, subjects: NatsSubjects, options: NatsStreamOptions, settings: BrokerSettings) {
    this.#link = link;
    this.#subjects = subjects;
    this.#options = options;
    this.#settings = settings;
    this.keepMs = options.keepMs ?? Math.max(DAY_MS, 2 * settings.historyMs);
  }

  /** A message with this number was stored. */
  saw(seq: number): void {
    if (seq > this.#seen) this.#seen = seq;
  }

  /**
   * Looks at the stream, and makes it where there is none.
   *
   * @param onAnother - is told in the moment in which the epoch becomes another one
   */
  async check(onAnother: () => void): Promise<void> {
    const before = this.#seen;
    let info = await this.#lookOrMake();
    const life = this.#lifeOf(info);
    info = await this.#keepEnough(info);
    const { epoch } = this;
    const seen = life === this.life ? before : 0;
    // A new leader of a cluster may take a moment until it has them all.
    for (let tries = 0; tries < 3 && info.state.last_seq < seen; tries++) {
      await sleep(200);
      info = await this.#look();
    }
    // Unless another process has counted it already.
    if (info.state.last_seq < seen && lossesOf(info) === this.#losses) info = await this.#countLoss(info);
    this.#losses = lossesOf(info);
    this.epoch = `${life}-${this.#losses}`;
    if (this.epoch !== epoch) this.#seen = 0;
    this.life = life;
    this.#take(info);
    if (epoch !== '' && epoch !== this.epoch) onAnother();
    await this.#markTime();
  }

  #take({ config, state }: StreamInfo): void {
    this.limit = config.max_msgs_per_subject;
    this.firstSeq = Math.max(1, state.first_seq);
    this.lastSeq = state.last_seq;
    this.saw(state.last_seq);
  }

  async #lookOrMake(): Promise<StreamInfo> {
    try {
      return await this.#look();
    } catch (error) {
      if (error instanceof NoRespondersError) {
        throw unavailable(
          'JetStream does not answer: start nats-server with -js, or have no history (historyMessages: 0)',
          error,
        );
      }
      if (!isApiError(error, NO_STREAM)) throw error;
      // Of a stream that is being deleted a server may still remove files when it has another one of the same name already.
      if (this.life !== '') await sleep(DELETION_MS);
      return this.#make();
    }
  }

  #look(): Promise<StreamInfo> {
    return this.#api(`STREAM.INFO.${this.#subjects.stream}`);
  }

  async #make(): Promise<StreamInfo> {
    const { stream } = this.#subjects;
    const { kept, clocks, passedOn } = this.#subjects.ofStream(randomBytes(6).toString('hex'));
    try {
      return await this.#api(`STREAM.CREATE.${stream}`, {
        name: stream,
        description: describeLosses(0),
        subjects: [kept, clocks],
        retention: 'limits',
        discard: 'old',
        storage: this.#options.storage ?? 'file',
        num_replicas: this.#options.replicas ?? 1,
        max_bytes: this.#options.maxBytes ?? -1,
        max_msgs_per_subject: Math.max(1, this.#settings.historyMessages),
        max_age: this.keepMs * NS_PER_MS,
        duplicate_window: Math.min(ID_MS, this.keepMs) * NS_PER_MS,
        republish: { src: kept, dest: passedOn },
      });
    } catch (error) {
      // Another process was faster, with other settings.
      if (isApiError(error, NAME_TAKEN)) return this.#look();
      throw error;
    }
  }

  /** @throws {BrokerError} when the stream is none of ours */
  #lifeOf({ config: { name, subjects, republish } }: StreamInfo): string {
    const life = lastWordOf(republish?.dest ?? '');
    const { kept, clocks, passedOn } = this.#subjects.ofStream(life);
    const isOurs = subjects.includes(kept) && subjects.includes(clocks) && republish?.dest === passedOn;
    if (isOurs) return life;
    throw unavailable(
      `the stream ${name} at NATS was made by something else: choose another prefix for natsBroker, or delete that stream`,
    );
  }

  /** Processes with other settings may be there, as during a deployment: whoever wants more has it, and nobody takes it away. */
  async #keepEnough(info: StreamInfo): Promise<StreamInfo> {
    const { max_msgs_per_subject: messages, max_age: age } = info.config;
    const max_msgs_per_subject = Math.max(messages, this.#settings.historyMessages);
    const max_age = Math.max(age, this.keepMs * NS_PER_MS);
    if (max_msgs_per_subject === messages && max_age === age) return info;
    return this.#update(info, { max_msgs_per_subject, max_age });
  }

  /**
   * The stream has fewer messages than were seen: the server has lost the end of it, as when its machine loses power before all is
   * on disk. It gives the same numbers again, to other messages; so the epoch becomes another one, of which all processes learn
   * with their next check.
   */
  #countLoss(info: StreamInfo): Promise<StreamInfo> {
    return this.#update(info, { description: describeLosses(lossesOf(info) + 1) });
  }

  #update({ config }: StreamInfo, changes: Partial<StreamConfig>): Promise<StreamInfo> {
    return this.#api(`STREAM.UPDATE.${config.name}`, { ...config, ...changes });
  }

  async #markTime(): Promise<void> {
    const time = Math.floor(Date.now() / (this.keepMs / CLOCKS));
    if (time === this.#clock.time && this.#clock.seq >= this.firstSeq) return;
    const subject = this.#subjects.clockOf(time, this.life);
    // Only the first of all processes: a later one would take its place.
    const headers = headersOf('Nats-Expected-Last-Subject-Sequence', '0');
    const answer = parse<PublishAnswer>(await this.#link.request(subject, EMPTY, headers));
    if (answer.seq > 0) this.saw(answer.seq);
    const seq = answer.seq > 0 ? answer.seq : (await this.last(subject))?.seq;
    this.#clock = { time, seq: seq ?? this.lastSeq };
  }

  /** The subject of a topic, as long as the stream is this one. */
  subjectOf(topic: string): string {
    return this.#subjects.keptOf(topic, this.life);
  }

  /**
   * Where a topic stands of which nothing is kept: the same for all processes, and for long, so that who comes back has missed
   * nothing where nothing was. What came behind the last mark of the time would be there still.
   */
  get quietTop(): number {
    return this.firstSeq <= 1 ? 0 : Math.max(this.#clock.seq, this.firstSeq - 1);
  }

  /** Stores a message. @returns its number, or that of the first with the same id */
  async publish(subject: string, data: Uint8Array, id: string | undefined): Promise<number> {
    const headers = id === undefined ? undefined : headersOf('Nats-Msg-Id', id);
    const { seq, error } = parse<PublishAnswer>(await this.#link.request(subject, data, headers));
    if (error !== undefined) throw new NatsApiError(error);
    this.saw(seq);
    return seq;
  }

  /** The last message of a subject, if any is kept. */
  last(subject: string): Promise<KeptMessage | undefined> {
    return this.#get({ last_by_subj: subject });
  }

  /** The first message of a subject that is kept, from a number on. */
  next(subject: string, from: number): Promise<KeptMessage | undefined> {
    return this.#get({ seq: from, next_by_subj: subject });
  }

  /**
   * Behind which number all messages of a subject are kept still. It is `after` where that is certain, and else the one before
   * the oldest that is kept: it is always the oldest of a subject that is forgotten.
   */
  async allBehind(subject: string, after: number): Promise<{ behind: number; oldest: KeptMessage | undefined }> {
    const oldest = await this.next(subject, 1);
    if (oldest !== undefined && oldest.seq <= after) return { behind: after, oldest };
    const info = await this.#api<StreamInfo>(`STREAM.INFO.${this.#subjects.stream}`, { subjects_filter: subject });
    if (this.#lifeOf(info) !== this.life) throw new StreamGoneError();
    this.#take(info);
    // By age, or with a purge, goes what is before the first of all topics; by number only what is one too many of its topic.
    const hasAll = after >= info.state.first_seq - 1 && (info.state.subjects?.[subject] ?? 0) < this.limit;
    const before = oldest === undefined ? Number.POSITIVE_INFINITY : oldest.seq - 1;
    return { behind: hasAll ? after : before, oldest };
  }

  /** From the leader alone: the others of a cluster may be behind. */
  async #get(what: object): Promise<KeptMessage | undefined> {
    try {
      const name = `STREAM.MSG.GET.${this.#subjects.stream}`;
      const { message } = await this.#api<{ message: { seq: number; data?: string } }>(name, what);
      return { seq: message.seq, data: Buffer.from(message.data ?? '', 'base64') };
    } catch (error) {
      if (isApiError(error, NO_MESSAGE)) return undefined;
      throw error;
    }
  }

  /** Reads messages of a subject behind a number: at most `limit`, and none behind `until`. */
  async page(subject: string, after: number, until: number, limit: number): Promise<KeptMessage[]> {
    const { stream } = this.#subjects;
    const { name, num_pending } = await this.#api<{ name: string; num_pending: number }>(`CONSUMER.CREATE.${stream}`, {
      stream_name: stream,
      config: {
        deliver_policy: 'by_start_sequence',
        opt_start_seq: after + 1,
        ack_policy: 'none',
        filter_subject: subject,
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: 10_000 * NS_PER_MS,
      },
    });
    const messages: KeptMessage[] = [];
    const batch = Math.min(limit, num_pending);
    if (batch > 0) {
      const next = Buffer.from(JSON.stringify({ batch, no_wait: true }));
      await this.#link.collect(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`, next, (message) => {
        // A word of the server, that there are no more.
        if (message.headers !== undefined && message.headers.code > 0) return true;
        const kept = { seq: sequenceOf(message), data: new Uint8Array(message.data) };
        messages.push(kept);
        return messages.length === batch || kept.seq >= until;
      });
    }
    // It would go by itself, after a while.
    this.#link.publish(`$JS.API.CONSUMER.DELETE.${stream}.${name}`, EMPTY);
    return messages;
  }

  async #api<T = StreamInfo>(name: string, body?: object): Promise<T> {
    const payload = body === undefined ? EMPTY : Buffer.from(JSON.stringify(body));
    const answer = parse<T & { error?: ApiError }>(await this.#link.request(`$JS.API.${name}`, payload));
    if (answer.error !== undefined) throw new NatsApiError(answer.error);
    return answer;
  }
}

interface ApiError {
  readonly err_code: number;
  readonly description: string;
}

interface PublishAnswer {
  readonly seq: number;
  readonly error?: ApiError;
}

/** The stream is another one than at the last check. */
export class StreamGoneError extends BrokerError {
  constructor() {
    super('WS_ERR_BROKER_UNAVAILABLE', 'the stream at NATS was deleted, or its server has lost it');
  }
}

/** Whether an error says that there is no such stream any more. Nothing was stored then. */
export function saysGone(error: unknown): boolean {
  return error instanceof StreamGoneError || error instanceof NoRespondersError || isApiError(error, NO_STREAM);
}

/** JetStream says that it cannot do what it was asked. */
class NatsApiError extends BrokerError {
  readonly errCode: number;

  constructor({ err_code, description }: ApiError) {
    super('WS_ERR_BROKER_UNAVAILABLE', `JetStream answers: ${description}`);
    this.errCode = err_code;
  }
}

function isApiError(error: unknown, code: number): boolean {
  return error instanceof NatsApiError && error.errCode === code;
}

const EMPTY = new Uint8Array();

function parse<T>({ data }: NatsMessage): T {
  try {
    return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as T;
  } catch (error) {
    throw unavailable('the answer of NATS is no JSON', error);
  }
}

/** The number of a message in its stream: `$JS.ACK.stream.consumer.deliveries.number…`, with two words more since 2.10 or so. */
function sequenceOf({ reply = '' }: NatsMessage): number {
  const words = reply.split('.');
  return Number(words[words.length >= 11 ? 7 : 5]);
}

const LOSSES = / (\d+)$/;

function describeLosses(losses: number): string {
  return `Topics of hyperlane-ws. Times that the end of it was lost: ${losses}`;
}

function lossesOf({ config }: StreamInfo): number {
  return Number(LOSSES.exec(config.description ?? '')?.[1] ?? 0);
}
