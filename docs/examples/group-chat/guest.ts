import { setTimeout as sleep } from 'node:timers/promises';
import { type Body, BrokerError, type ConnectionSubscription, type Context, type WebSocketStream } from 'hyperlane-ws';
import type { ChatLimits } from './limits.ts';
import type { Member } from './names.ts';
import { Rate } from './rate.ts';
import type { Listener, Room } from './room.ts';
import { Upload } from './upload.ts';
import {
  type ChatEvent,
  type Command,
  encodeAt,
  encodeEvent,
  encodeGap,
  encodePiece,
  encodeReply,
  parseCommand,
  pictureType,
} from './wire.ts';

/** A page says it every few seconds. What comes faster is let go without a word: the next one tells the same. */
const TYPING_BURST = 6;
const TYPING_PER_SECOND = 1;

/** How long to wait before something is tried again, while the broker cannot be reached. */
const RETRY_MS = 250;

/** A page in a room as the server talks to it: takes what it sends, and answers it alone. */
export class Guest implements Listener {
  readonly key: string;
  readonly #ctx: Context;
  readonly #stream: WebSocketStream;
  readonly #room: Room;
  readonly #wantedName: string;
  readonly #since = Date.now();
  readonly #limits: ChatLimits;
  readonly #rate: Rate;
  readonly #typingRate = new Rate(TYPING_BURST, TYPING_PER_SECOND);
  #typingSince: number | undefined;
  #typingTimer: NodeJS.Timeout | undefined;
  /** The picture that it is sending. */
  #upload: Upload | undefined;
  /** It knows who is here: from now on it is told what happens. */
  #isIn = false;

  constructor(ctx: Context, stream: WebSocketStream, room: Room, key: string, wantedName: string, limits: ChatLimits) {
    this.#ctx = ctx;
    this.#stream = stream;
    this.#room = room;
    this.key = key;
    this.#wantedName = wantedName;
    this.#limits = limits;
    this.#rate = new Rate(limits.burstMessages, limits.messagesPerSecond);
  }

  /** Sends it what was said behind the position it knows, and then what is said from now on; and tells it who is here. */
  async welcome(after: string | undefined): Promise<void> {
    const { maxTextLength, maxPictureBytes, pieceBytes } = this.#limits;
    const room = this.#room.name;
    await this.#tell({ type: 'welcome', key: this.key, room, maxTextLength, maxPictureBytes, pieceBytes });
    await this.#room.ready;
    const { messages, position, gap } = await this.#untilDone(() => this.#room.history(after));
    if (gap !== undefined) await this.#ctx.sendResponseBody(encodeGap(gap.position));
    for (const message of messages) await this.#ctx.sendResponseBody(encodeAt(message.position, message.body));
    await this.#untilDone(() => this.#subscribe(this.#freeName(), position));

    this.#isIn = true;
    void this.#tell({ type: 'people', names: this.#room.people });
    void this.#tell({ type: 'typing', names: this.#room.typing });
    await this.#tell({ type: 'ready', name: this.#name });
  }

  /** Takes one message. Whatever it holds, the worst that follows is a sentence that says what was wrong. */
  async receive(body: Body): Promise<void> {
    if (typeof body !== 'string') return this.#receivePiece(body);
    const command = parseCommand(body);
    if (command?.type === 'typing') this.#receiveTyping(command.isTyping);
    else if (this.#rate.take()) await this.#obey(command);
    else await this.#refuse('Slow down a little, and send that again.', command);
  }

  hear(event: string): void {
    // One that cannot be sent anything any more is about to leave.
    if (this.#isIn) this.#ctx.sendResponseBody(encodeReply(event)).catch(() => {});
  }

  rename(): void {
    if (this.#isIn) this.#takeSeat(this.#freeName());
  }

  /** It has left. */
  end(): void {
    this.#isIn = false;
    clearTimeout(this.#typingTimer);
  }

  /** As all are told it now. */
  get #name(): string {
    return this.#room.member(this.key)?.name ?? this.#wantedName;
  }

  #freeName(): string {
    return this.#room.freeName(this.key, this.#wantedName);
  }

  /** Makes it a member of the room, unless it is; what is told of it is this from now on. */
  #subscribe(name: string, after?: string): Promise<ConnectionSubscription> {
    const info: Member = { name, since: this.#since, typingSince: this.#typingSince };
    return this.#ctx.subscribe(this.#room.topic, { after, presence: { key: this.key, info } });
  }

  #takeSeat(name: string): void {
    // One that is about to leave has none.
    this.#subscribe(name).catch(() => {});
  }

  async #obey(command: Command | undefined): Promise<void> {
    switch (command?.type) {
      case 'ping':
        return this.#tell({ type: 'pong' });
      case 'text':
        return this.#receiveText(command.id, command.text.trim(), command);
      case 'picture':
        return this.#beginPicture(command);
      case 'cancel':
        this.#upload = undefined;
        return;
      case undefined:
        return this.#refuse('The server did not understand that.');
    }
  }

  #receiveTyping(isTyping: boolean): void {
    if (this.#typingRate.take()) this.#setTyping(isTyping);
  }

  /** The others are told soon; also when it stops without a word. */
  #setTyping(isTyping: boolean): void {
    clearTimeout(this.#typingTimer);
    if (isTyping) this.#typingTimer = setTimeout(() => this.#setTyping(false), this.#limits.typingExpiresMs).unref();
    if (isTyping === (this.#typingSince !== undefined)) return;
    this.#typingSince = isTyping ? Date.now() : undefined;
    this.#takeSeat(this.#name);
  }

  async #receiveText(id: string, text: string, command: Command): Promise<void> {
    const { maxTextLength } = this.#limits;
    if (text === '') return;
    if (text.length > maxTextLength) {
      await this.#refuse(`A message has at most ${maxTextLength} characters; this one has ${text.length}.`, command);
      return;
    }
    this.#setTyping(false);
    await this.#post(id, encodeEvent({ type: 'text', id, at: Date.now(), from: this.key, name: this.#name, text }));
  }

  async #beginPicture({ number, id, size }: Command & { type: 'picture' }): Promise<void> {
    const { maxPictureBytes, pieceBytes } = this.#limits;
    if (size <= maxPictureBytes) this.#upload = new Upload(number, id, size, pieceBytes);
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
      if (upload.isWhole) await this.#postPicture(upload);
      await this.#tell({ type: 'received', number, bytes: upload.received });
    }
  }

  /** Pieces are messages of their own: no broker has to take a large one, and nobody has to wait for it. */
  async #postPicture({ id, size, pieces }: Upload): Promise<void> {
    this.#upload = undefined;
    const mediaType = pictureType(pieces[0]!)!;
    const head = { type: 'picture', id, at: Date.now(), from: this.key, name: this.#name, mediaType, size } as const;
    await this.#post(id, encodeEvent(head));
    for (const [i, piece] of pieces.entries()) await this.#post(`${id}/${i}`, encodePiece(id, piece));
  }

  #refusePicture(number: number, message: string): Promise<void> {
    this.#upload = undefined;
    return this.#tell({ type: 'problem', message, number });
  }

  /** Says what was wrong, and gives back what was refused. */
  #refuse(message: string, refused?: Command): Promise<void> {
    if (refused?.type === 'text') return this.#tell({ type: 'problem', message, unsent: refused.text.trim() });
    if (refused?.type === 'picture') return this.#refusePicture(refused.number, message);
    return this.#tell({ type: 'problem', message });
  }

  /** Posts what the page calls so. A page that sends it again, since it does not know whether it has arrived, does no harm. */
  #post(id: string, body: string | Uint8Array): Promise<void> {
    return this.#untilDone(() => this.#room.post(body, `${this.key}/${id}`));
  }

  #tell(event: ChatEvent): Promise<void> {
    return this.#ctx.sendResponseBody(encodeReply(encodeEvent(event)));
  }

  /** Tries it again while the broker is away, as long as there is somebody to do it for. */
  async #untilDone<T>(action: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await action();
      } catch (error) {
        if (!(error instanceof BrokerError) || this.#stream.state !== 'open') throw error;
        await sleep(RETRY_MS);
      }
    }
  }
}
