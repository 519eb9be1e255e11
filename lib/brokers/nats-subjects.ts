import type { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';

/** How topics and ids are named at NATS, whose subjects are tokens of printable characters with dots between them. */

/** Longer ones are named by their hash: a server refuses subjects that do not fit on its command line of 4 KiB. */
const MAX_TOKEN_LENGTH = 180;
const PREFIX = /^[\w-]+(?:\.[\w-]+)*$/;

/** The subjects of one prefix. Whoever has it to themselves needs no permission for any other but those of JetStream. */
export class NatsSubjects {
  readonly prefix: string;
  /** Signals to all processes. */
  readonly everyone: string;

  /** @throws {TypeError} when the prefix is none */
  constructor(prefix: string) {
    if (typeof prefix !== 'string' || prefix.length > 100 || !PREFIX.test(prefix)) {
      throw new TypeError(
        `prefix is the beginning of all subjects: letters, digits, "-" and "_", with dots between such words, at most 100; not ${JSON.stringify(prefix)}`,
      );
    }
    this.prefix = prefix;
    this.everyone = `${prefix}.all`;
  }

  /** The name of the stream, which may have no dots. */
  get stream(): string {
    return this.prefix.replaceAll('.', '_');
  }

  /** What a stream keeps in one life: the messages of all topics, marks of the time, and where it passes messages on. */
  ofStream(life: string): { readonly kept: string; readonly clocks: string; readonly passedOn: string } {
    const { prefix } = this;
    return {
      kept: `${prefix}.kept.${life}.*`,
      clocks: `${prefix}.clock.${life}.*`,
      passedOn: `${prefix}.topic.$1.${life}`,
    };
  }

  keptOf(topic: string, life: string): string {
    return `${this.prefix}.kept.${life}.${topicToken(topic)}`;
  }

  clockOf(time: number, life: string): string {
    return `${this.prefix}.clock.${life}.${time}`;
  }

  /** Both of a topic's: its messages and its signals. */
  allOf(topic: string): string {
    return `${this.prefix}.topic.${topicToken(topic)}.*`;
  }

  /** Messages that no stream keeps. */
  messagesOf(topic: string): string {
    return `${this.prefix}.topic.${topicToken(topic)}.message`;
  }

  signalsOf(topic: string): string {
    return `${this.prefix}.topic.${topicToken(topic)}.signal`;
  }
}

/** The last word of a subject: what kind of message it is. */
export function lastWordOf(subject: string): string {
  return subject.slice(subject.lastIndexOf('.') + 1);
}

/** The token of a topic: another one for each, whatever it is made of. `room/7` is `room=2F7`. */
function topicToken(topic: string): string {
  // By units of UTF-16: a half of a pair is no character, and a name all the same.
  const token = topic.replace(/[^\w-]/g, escapeUnit);
  if (token.length <= MAX_TOKEN_LENGTH && token !== '') return token;
  return `~${createHash('sha256').update(topic, 'utf16le').digest('base64url')}`;
}

function escapeUnit(unit: string): string {
  const code = unit.charCodeAt(0).toString(16).toUpperCase();
  return code.length <= 2 ? `=${code.padStart(2, '0')}` : `=u${code.padStart(4, '0')}`;
}

/** What is told apart by an id in a topic: ids are of their topic alone, and may be any string. */
export function hashOfId(topic: string, id: string): Buffer {
  return createHash('sha256').update(`${topic.length}:${topic}${id}`, 'utf16le').digest().subarray(0, 16);
}
