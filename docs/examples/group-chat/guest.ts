import { randomUUID } from 'node:crypto';
import type { Body, Context } from 'hyperlane-ws';
import type { ChatLimits } from './limits.ts';
import { Rate } from './rate.ts';
import type { Member, Room } from './room.ts';
import { type ChatEvent, encodeEvent, encodePicture, parseCommand, pictureType } from './wire.ts';

/** A member of a room as the server talks to it: takes what it sends, and answers it alone. */
export class Guest {
  readonly #ctx: Context;
  readonly #room: Room;
  readonly #member: Member;
  readonly #limits: ChatLimits;
  readonly #rate: Rate;
  /** It was told that it has missed something, and has not asked for it yet. */
  #isBehind = false;

  constructor(ctx: Context, room: Room, member: Member, limits: ChatLimits) {
    this.#ctx = ctx;
    this.#room = room;
    this.#member = member;
    this.#limits = limits;
    this.#rate = new Rate(limits.burstMessages, limits.messagesPerSecond);
  }

  /** Tells it how it is called here, who is here, and what was said after the last message it knows. */
  async welcome(after: string | undefined): Promise<void> {
    const { maxTextLength, maxPictureBytes } = this.#limits;
    const { name } = this.#member;
    await this.#send({ type: 'welcome', name, room: this.#room.name, maxTextLength, maxPictureBytes });
    await this.#catchUp(after);
  }

  /** Takes one message. Whatever it holds, the worst that follows is a sentence that says what was wrong. */
  async receive(body: Body): Promise<void> {
    const command = typeof body === 'string' ? parseCommand(body) : undefined;
    const text = command?.type === 'text' ? command.text.trim() : '';
    if (command?.type === 'history' && this.#isBehind) await this.#catchUp(command.after);
    else if (!this.#rate.take()) await this.#refuse('Slow down a little, and send that again.', text);
    else if (typeof body !== 'string') await this.#receivePicture(body);
    else if (command === undefined) await this.#refuse('The server did not understand that.');
    else if (command.type === 'ping') await this.#send({ type: 'pong' });
    else if (text !== '') await this.#receiveText(text);
  }

  /** Tells it to ask for the history: it knows best what it has. */
  async tellLagged(missed: number): Promise<void> {
    this.#isBehind = true;
    await this.#send({ type: 'lagged', missed });
  }

  async #receiveText(text: string): Promise<void> {
    const { maxTextLength } = this.#limits;
    if (text.length > maxTextLength) {
      await this.#refuse(`A message has at most ${maxTextLength} characters; this one has ${text.length}.`, text);
      return;
    }
    const id = randomUUID();
    this.#room.post(id, encodeEvent({ type: 'text', id, at: Date.now(), name: this.#member.name, text }));
  }

  async #receivePicture(bytes: Uint8Array): Promise<void> {
    const { maxPictureBytes } = this.#limits;
    const mediaType = pictureType(bytes);
    if (mediaType === undefined) {
      await this.#refuse('Only PNG, JPEG, GIF and WebP pictures can be sent.');
    } else if (bytes.length > maxPictureBytes) {
      await this.#refuse(`A picture has at most ${Math.floor(maxPictureBytes / 1024)} KiB.`);
    } else {
      const id = randomUUID();
      const head = { type: 'picture', id, at: Date.now(), name: this.#member.name, mediaType } as const;
      this.#room.post(id, encodePicture(head, bytes));
    }
  }

  async #catchUp(after: string | undefined): Promise<void> {
    this.#isBehind = false;
    // Both are read now: what happens while this is being sent comes as an event.
    const history = this.#room.historyAfter(after);
    await this.#send({ type: 'people', names: this.#room.people });
    for (const body of history) await this.#ctx.sendResponseBody(body);
    await this.#send({ type: 'ready' });
  }

  #refuse(message: string, unsent: string = ''): Promise<void> {
    return this.#send(unsent === '' ? { type: 'problem', message } : { type: 'problem', message, unsent });
  }

  #send(event: ChatEvent): Promise<void> {
    return this.#ctx.sendResponseBody(encodeEvent(event));
  }
}
