import { randomUUID } from 'node:crypto';
import type { Body, Context } from 'hyperlane-ws';
import type { ChatLimits } from './limits.ts';
import { Rate } from './rate.ts';
import type { Member, Room } from './room.ts';
import { Upload } from './upload.ts';
import { type ChatEvent, type Command, encodeEvent, encodePicture, parseCommand, pictureType } from './wire.ts';

/** A page says it every few seconds. What comes faster is let go without a word: the next one tells the same. */
const TYPING_BURST = 6;
const TYPING_PER_SECOND = 1;

/** A member of a room as the server talks to it: takes what it sends, and answers it alone. */
export class Guest {
  readonly #ctx: Context;
  readonly #room: Room;
  readonly #member: Member;
  readonly #limits: ChatLimits;
  readonly #rate: Rate;
  readonly #typingRate = new Rate(TYPING_BURST, TYPING_PER_SECOND);
  /** The picture that it is sending. */
  #upload: Upload | undefined;
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
    const { maxTextLength, maxPictureBytes, pieceBytes } = this.#limits;
    const { name } = this.#member;
    const room = this.#room.name;
    await this.#tell({ type: 'welcome', name, room, maxTextLength, maxPictureBytes, pieceBytes });
    await this.#catchUp(after);
  }

  /** Takes one message. Whatever it holds, the worst that follows is a sentence that says what was wrong. */
  async receive(body: Body): Promise<void> {
    if (typeof body !== 'string') return this.#receivePiece(body);
    const command = parseCommand(body);
    if (command?.type === 'history' && this.#isBehind) await this.#catchUp(command.after);
    else if (command?.type === 'typing') this.#setTyping(command.isTyping);
    else if (this.#rate.take()) await this.#obey(command);
    else await this.#refuse('Slow down a little, and send that again.', command);
  }

  /** Sends what happened in the room. A large one goes in pieces, so that the page can tell how far it is. */
  async send(body: Body): Promise<void> {
    if (typeof body === 'string') return this.#ctx.sendResponseBody(body);
    const { pieceBytes } = this.#limits;
    for (let i = 0; i < body.length; i += pieceBytes) {
      await this.#ctx.sendResponseBody(body.subarray(i, i + pieceBytes));
    }
  }

  /** Tells it to ask for the history: it knows best what it has. */
  async tellLagged(missed: number): Promise<void> {
    this.#isBehind = true;
    await this.#tell({ type: 'lagged', missed });
  }

  async #obey(command: Command | undefined): Promise<void> {
    switch (command?.type) {
      case 'ping':
        return this.#tell({ type: 'pong' });
      case 'text':
        return this.#receiveText(command.text.trim(), command);
      case 'picture':
        return this.#beginPicture(command.number, command.size);
      case 'cancel':
        this.#upload = undefined;
        return;
      case undefined:
        return this.#refuse('The server did not understand that.');
    }
  }

  #setTyping(isTyping: boolean): void {
    if (this.#typingRate.take()) this.#room.setTyping(this.#member, isTyping);
  }

  async #receiveText(text: string, command: Command): Promise<void> {
    const { maxTextLength } = this.#limits;
    if (text === '') return;
    if (text.length > maxTextLength) {
      await this.#refuse(`A message has at most ${maxTextLength} characters; this one has ${text.length}.`, command);
      return;
    }
    const id = randomUUID();
    this.#room.setTyping(this.#member, false);
    this.#room.post(id, encodeEvent({ type: 'text', id, at: Date.now(), name: this.#member.name, text }));
  }

  async #beginPicture(number: number, size: number): Promise<void> {
    const { maxPictureBytes, pieceBytes } = this.#limits;
    if (size <= maxPictureBytes) this.#upload = new Upload(number, size, pieceBytes);
    else await this.#refusePicture(number, `A picture has at most ${Math.floor(maxPictureBytes / 1024)} KiB.`);
  }

  async #receivePiece(piece: Uint8Array): Promise<void> {
    const upload = this.#upload;
    // More of a picture that was refused or given up, and was on its way already.
    if (upload === undefined) return;
    const { number } = upload;
    const isFirst = upload.received === 0;
    if (!upload.add(piece)) await this.#refusePicture(number, 'The picture did not arrive whole: send it again.');
    else if (isFirst && pictureType(piece) === undefined) {
      await this.#refusePicture(number, 'Only PNG, JPEG, GIF and WebP pictures can be sent.');
    } else {
      if (upload.isWhole) this.#postPicture(upload.bytes());
      await this.#tell({ type: 'received', number, bytes: upload.received });
    }
  }

  #postPicture(bytes: Uint8Array): void {
    this.#upload = undefined;
    const id = randomUUID();
    const mediaType = pictureType(bytes)!;
    const { name } = this.#member;
    const head = { type: 'picture', id, at: Date.now(), name, mediaType, size: bytes.length } as const;
    this.#room.post(id, encodePicture(head, bytes));
  }

  #refusePicture(number: number, message: string): Promise<void> {
    this.#upload = undefined;
    return this.#tell({ type: 'problem', message, number });
  }

  async #catchUp(after: string | undefined): Promise<void> {
    this.#isBehind = false;
    // All are read now: what happens while this is being sent comes as an event.
    const { typing, people } = this.#room;
    const history = this.#room.historyAfter(after);
    await this.#tell({ type: 'typing', names: typing });
    await this.#tell({ type: 'people', names: people });
    for (const body of history) await this.send(body);
    await this.#tell({ type: 'ready' });
  }

  /** Says what was wrong, and gives back what was refused. */
  #refuse(message: string, refused?: Command): Promise<void> {
    if (refused?.type === 'text') return this.#tell({ type: 'problem', message, unsent: refused.text.trim() });
    if (refused?.type === 'picture') return this.#refusePicture(refused.number, message);
    return this.#tell({ type: 'problem', message });
  }

  #tell(event: ChatEvent): Promise<void> {
    return this.#ctx.sendResponseBody(encodeEvent(event));
  }
}
