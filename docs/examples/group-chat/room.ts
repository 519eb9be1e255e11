import type { HistoryPage, Presence, PresenceEvent, Server } from 'hyperlane-ws';
import type { ChatLimits } from './limits.ts';
import { findNamesakes, freeName, type Member, type Members, namesOf, writersOf } from './names.ts';
import { type ChatEvent, encodeEvent } from './wire.ts';

/** Somebody in a room who is connected to this process. */
export interface Listener {
  /** By what all processes know them. */
  readonly key: string;
  /** Is told what happens in the room besides messages. */
  hear(event: string): void;
  /** Takes another name: somebody else had this one first. */
  rename(): void;
}

/** A room as this process knows it: who is in it, here and in other processes, and those here who are told of it. */
export class Room {
  readonly name: string;
  readonly topic: string;
  /** Until when something that was said here is kept, as `performance.now()` has it. */
  keptUntil: number;
  readonly #server: Server;
  readonly #limits: ChatLimits;
  readonly #presence: Presence<Member>;
  readonly #listeners = new Set<Listener>();
  /** The names that the others were told, by key. */
  readonly #told = new Map<string, string>();
  #typing: readonly string[] = [];
  #typingTimer: NodeJS.Timeout | undefined;

  constructor(name: string, keptUntil: number, server: Server, limits: ChatLimits) {
    this.name = name;
    this.topic = `room/${name}`;
    this.keptUntil = keptUntil;
    this.#server = server;
    this.#limits = limits;
    this.#presence = server.topics.presence(this.topic);
    void this.#follow();
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  /** Resolves when it is known who is here. */
  get ready(): Promise<void> {
    return this.#presence.ready;
  }

  /** The names of those who are here, in the order they came. */
  get people(): string[] {
    return namesOf(this.#members);
  }

  /** The names of those who write, as the others were told. */
  get typing(): readonly string[] {
    return this.#typing;
  }

  /** Who is here under this key. */
  member(key: string): Member | undefined {
    return this.#members.get(key);
  }

  freeName(key: string, wanted: string): string {
    return freeName(this.#members, key, wanted);
  }

  add(listener: Listener): void {
    this.#listeners.add(listener);
  }

  remove(listener: Listener): void {
    this.#listeners.delete(listener);
  }

  /** Ends it, once it is empty. */
  close(): void {
    this.#presence.unsubscribe();
    clearTimeout(this.#typingTimer);
  }

  /** Sends a message to all who are here, and keeps it for those who come later: once, however often it is tried. */
  async post(body: string | Uint8Array, id: string): Promise<void> {
    await this.#server.publish(this.topic, body, { id });
    this.keptUntil = performance.now() + this.#limits.historyMs;
  }

  /** What is kept behind a position; without one, all. */
  history(after: string | undefined): Promise<HistoryPage> {
    return this.#server.topics.history(this.topic, after);
  }

  get #members(): Members {
    return this.#presence.members();
  }

  async #follow(): Promise<void> {
    for await (const event of this.#presence) {
      this.#tellMove(event);
      this.#tellTypingSoon();
      if (event.type === 'leave') continue;
      const namesakes = findNamesakes(this.#members);
      for (const listener of this.#listeners) if (namesakes.delete(listener.key)) listener.rename();
    }
  }

  #tellMove(event: PresenceEvent<Member>): void {
    if (event.type === 'snapshot') {
      this.#told.clear();
      for (const [key, { name }] of event.members) this.#told.set(key, name);
      this.#tell({ type: 'people', names: this.people });
      return;
    }
    const { key, info } = event;
    const before = this.#told.get(key);
    if (event.type === 'leave') {
      this.#told.delete(key);
      this.#tell({ type: 'left', name: info.name });
      return;
    }
    this.#told.set(key, info.name);
    if (before === undefined) this.#tell({ type: 'joined', name: info.name }, key);
    else if (before !== info.name) {
      for (const listener of this.#listeners) {
        if (listener.key === key) listener.hear(encodeEvent({ type: 'renamed', name: info.name }));
      }
      this.#tell({ type: 'people', names: this.people });
    }
  }

  /** Changes are told together: the others hear little of it however many write and however often they stop. */
  #tellTypingSoon(): void {
    // The timer of a room must not keep a process that has nothing else to do.
    this.#typingTimer ??= setTimeout(() => {
      this.#typingTimer = undefined;
      const names = writersOf(this.#members).slice(0, this.#limits.maxTypingNames);
      if (names.join('\n') === this.#typing.join('\n')) return;
      this.#typing = names;
      this.#tell({ type: 'typing', names });
    }, this.#limits.typingToldEveryMs).unref();
  }

  /** Tells all who are here, but for one. It is encoded once. */
  #tell(event: ChatEvent, exceptKey?: string): void {
    const encoded = encodeEvent(event);
    for (const listener of this.#listeners) if (listener.key !== exceptKey) listener.hear(encoded);
  }
}
