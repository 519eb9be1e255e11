import { type Body, Broadcast, type BroadcastReceiver, type WebSocketStream } from 'hyperlane-ws';
import { History } from './history.ts';
import type { ChatLimits } from './limits.ts';
import { encodeEvent } from './wire.ts';

/** One who is in a room. */
export interface Member {
  readonly name: string;
  /** A secret of the page, by which it is known again when it comes back before it was missed; empty for none. */
  readonly session: string;
  readonly stream: WebSocketStream;
  /** All that happens in the room from now on, ready to be sent. */
  readonly events: BroadcastReceiver<Body>;
}

/** The close code for a connection whose page has joined again on another one. */
const JOINED_AGAIN = 4001;

/** A room: who is in it, and what was said. Each event is encoded once, and then sent to all as it is. */
export class Room {
  readonly name: string;
  readonly #history: History;
  readonly #events: Broadcast<Body>;
  /** By name, in the form in which two names count as the same. */
  readonly #members = new Map<string, Member>();

  constructor(name: string, limits: ChatLimits) {
    this.name = name;
    this.#history = new History(limits.maxHistoryMessages, limits.maxHistoryBytes);
    this.#events = new Broadcast(limits.maxWaitingEvents);
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  /** The names of those who are here, in the order they came. */
  get people(): string[] {
    return [...this.#members.values()].map((member) => member.name);
  }

  /** Tells the others, and lets somebody in: under another name, if somebody has this one. */
  join(wantedName: string, session: string, stream: WebSocketStream): Member {
    if (session !== '') this.#dismiss(session);
    const name = this.#freeName(wantedName);
    this.#events.send(encodeEvent({ type: 'joined', name }));
    const member = { name, session, stream, events: this.#events.subscribe() };
    this.#members.set(foldName(name), member);
    return member;
  }

  /** Lets somebody out, and tells the others. Does nothing for one who is out. */
  leave(member: Member): void {
    if (!member.events.unsubscribe()) return;
    this.#members.delete(foldName(member.name));
    this.#events.send(encodeEvent({ type: 'left', name: member.name }));
  }

  /** Sends a message to all who are here, and keeps it for those who come later. */
  post(id: string, body: Body): void {
    this.#history.add(id, body);
    this.#events.send(body);
  }

  /** What was said after the message with this id; all that is kept, if it is unknown here. */
  historyAfter(id: string | undefined): Body[] {
    return this.#history.after(id);
  }

  /** Ends the connection that a page has lost, and the server has not missed yet; so its name is free. */
  #dismiss(session: string): void {
    for (const member of this.#members.values()) {
      if (member.session !== session) continue;
      this.leave(member);
      member.stream.close(JOINED_AGAIN, 'joined again');
    }
  }

  #freeName(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.#members.has(foldName(name)); i++) name = `${wanted} ${i}`;
    return name;
  }
}

function foldName(name: string): string {
  return name.normalize('NFKC').toLowerCase();
}
