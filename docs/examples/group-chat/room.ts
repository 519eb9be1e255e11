import { type Body, Broadcast, type BroadcastReceiver, type WebSocketStream } from 'hyperlane-ws';
import { History } from './history.ts';
import type { ChatLimits } from './limits.ts';
import { Presence } from './presence.ts';
import { Typing } from './typing.ts';
import { type ChatEvent, encodeEvent } from './wire.ts';

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
  readonly #events: Broadcast<Body>;
  readonly #history: History;
  readonly #presence = new Presence<Member>();
  readonly #typing: Typing;

  constructor(name: string, limits: ChatLimits) {
    this.name = name;
    this.#events = new Broadcast(limits.maxWaitingEvents);
    this.#history = new History(limits.maxHistoryMessages, limits.maxHistoryBytes);
    this.#typing = new Typing(limits, (names) => this.#tell({ type: 'typing', names }));
  }

  get isEmpty(): boolean {
    return this.#presence.isEmpty;
  }

  /** The names of those who are here, in the order they came. */
  get people(): string[] {
    return this.#presence.names;
  }

  /** Tells the others, and lets somebody in: under another name, if somebody has this one. */
  join(wantedName: string, session: string, stream: WebSocketStream): Member {
    this.#dismiss(session);
    const name = this.#presence.freeName(wantedName);
    this.#tell({ type: 'joined', name });
    const member = { name, session, stream, events: this.#events.subscribe() };
    this.#presence.add(member);
    return member;
  }

  /** Lets somebody out, and tells the others. Does nothing for one who is out. */
  leave(member: Member): void {
    if (!this.#presence.remove(member)) return;
    member.events.unsubscribe();
    this.#typing.set(member.name, false);
    this.#tell({ type: 'left', name: member.name });
  }

  /** Sends a message to all who are here, and keeps it for those who come later. */
  post(id: string, body: Body): void {
    this.#history.add(id, body);
    this.#events.send(body);
  }

  /** Those who write now, as the others were told. */
  get typing(): readonly string[] {
    return this.#typing.told;
  }

  /** Takes down whether a member writes. The others are told soon. */
  setTyping(member: Member, isTyping: boolean): void {
    this.#typing.set(member.name, isTyping);
  }

  /** What was said after the message with this id; all that is kept, if it is unknown here. */
  historyAfter(id: string | undefined): Body[] {
    return this.#history.after(id);
  }

  #tell(event: ChatEvent): void {
    this.#events.send(encodeEvent(event));
  }

  /** Ends the connection that a page has lost, and the server has not missed yet; so its name is free. */
  #dismiss(session: string): void {
    const lost = this.#presence.ofSession(session);
    if (lost === undefined) return;
    this.leave(lost);
    lost.stream.close(JOINED_AGAIN, 'joined again');
  }
}
