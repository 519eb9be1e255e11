/** The load: rooms whose members are at both processes. It counts every delivery, and rests with nothing in flight. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Histogram } from '../e2e/histogram.ts';
import type { LoadMessage } from '../e2e/processes.ts';
import { Member } from './member.ts';
import type { Phase, PhaseResult, RedisLoadTask } from './messages.ts';

const CONNECT_AT_ONCE = 32;
/** Between the last delivery of a message and the next one, in the calm phase. */
const CALM_MS = 2;
/** How many different messages everybody has to publish. */
const DIFFERENT = 4;

const { work, ports, milliseconds } = JSON.parse(process.argv[2]!) as RedisLoadTask;

async function openMembers(): Promise<Member[]> {
  const members: Member[] = [];
  const count = work.rooms * work.members;
  const joinNext = async (): Promise<void> => {
    while (members.length < count) {
      const i = members.length;
      const member = new Member(work, Math.floor(i / work.members), i % 2, ports[i % 2]!);
      members.push(member);
      await member.join();
    }
  };
  await Promise.all(Array.from({ length: CONNECT_AT_ONCE }, joinNext));
  return members;
}

function makeText(seed: number): string {
  const letters = Array.from({ length: work.payloadBytes }, (_, i) => String.fromCharCode(0x61 + ((i + seed) % 26)));
  return `${String(seed).padStart(8, '0')}${letters.join('')}`.slice(0, work.payloadBytes);
}

/** Everybody publishes one message, and gets those of all others in the room; every byte is checked. */
async function checkExchange(members: readonly Member[]): Promise<void> {
  const texts = members.map((_, i) => makeText(i));
  const received = members.map((member) => member.receive(work.members - 1));
  for (const [i, member] of members.entries()) member.write(member.frameOf(texts[i]!));
  for (const [i, member] of members.entries()) {
    const got = (await received[i]!).map((text) => member.textOf(text));
    const expected = texts.filter((_, from) => from !== i && members[from]!.room === member.room);
    if (got.toSorted().join('\n') !== expected.toSorted().join('\n'))
      throw new Error('what came is not what was published');
  }
}

/** Has some publish, waits for all deliveries, and again. */
class Rounds {
  readonly #members: readonly Member[];
  readonly #frames: readonly (readonly Buffer[])[];
  readonly #everybody: readonly number[];
  readonly #latency = new Histogram();
  #round = 0;
  #missing = 0;
  #startedAt = 0;
  /** The process from which is published, if it is only one. */
  #from = -1;
  #onArrived: (() => void) | undefined;

  constructor(members: readonly Member[]) {
    this.#members = members;
    this.#everybody = members.map((_, i) => i);
    this.#frames = members.map((member, i) =>
      Array.from({ length: DIFFERENT }, (_, k) => member.frameOf(makeText(i * DIFFERENT + k))),
    );
    for (const member of members) member.count((messages) => this.#receive(member, messages));
  }

  async run(phase: Phase, ms: number): Promise<PhaseResult> {
    this.#latency.reset();
    const startedAt = performance.now();
    let published = 0;
    while (performance.now() - startedAt < ms) {
      const publishers = phase === 'busy' ? this.#everybody : [this.#round % this.#members.length];
      this.#from = phase === 'calm' ? this.#members[publishers[0]!]!.process : -1;
      await this.#publish(publishers);
      published += publishers.length;
      if (phase === 'calm') await sleep(CALM_MS);
    }
    return {
      published,
      deliveries: published * (work.members - 1),
      elapsedMs: performance.now() - startedAt,
      p50Micros: this.#latency.percentile(0.5),
      p99Micros: this.#latency.percentile(0.99),
    };
  }

  #publish(publishers: readonly number[]): Promise<void> {
    this.#round++;
    this.#missing = publishers.length * (work.members - 1);
    this.#startedAt = performance.now();
    for (const i of publishers) this.#members[i]!.write(this.#frames[i]![this.#round % DIFFERENT]!);
    return new Promise((resolve) => {
      this.#onArrived = resolve;
    });
  }

  #receive(member: Member, messages: number): void {
    if (member.process !== this.#from) this.#latency.add(performance.now() - this.#startedAt, messages);
    this.#missing -= messages;
    if (this.#missing < 0) throw new Error('more messages arrived than were published');
    if (this.#missing === 0) this.#onArrived!();
  }
}

function tell(message: LoadMessage<PhaseResult>): void {
  process.send!(message);
}

process.on('uncaughtException', (error) => {
  tell({ type: 'failed', message: error.message });
  setTimeout(() => process.exit(1), 100);
});
process.on('disconnect', () => process.exit(0));
const members = await openMembers();
await checkExchange(members);
const rounds = new Rounds(members);
await rounds.run('busy', milliseconds.busy / 2);
process.on('message', async (phase: Phase) => {
  tell({ type: 'done', result: await rounds.run(phase, milliseconds[phase]) });
});
tell({ type: 'ready' });
