import assert from 'node:assert/strict';
import { DEFAULT_LIMITS } from '../../docs/examples/group-chat/limits.ts';
import { WsClient } from '../support/ws-client.ts';

const { pieceBytes } = DEFAULT_LIMITS;

/** The beginning of a picture. */
export const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');

/** What a visitor reads, as far as specs look into it. */
export interface ChatEventRead {
  readonly type: string;
  readonly id?: string;
  readonly key?: string;
  readonly name?: string;
  readonly names?: string[];
  readonly text?: string;
  readonly room?: string;
  readonly message?: string;
  readonly unsent?: string;
  readonly mediaType?: string;
  readonly size?: number;
  readonly number?: number;
  /** Of a picture all of it; of `received` how many. */
  readonly bytes?: Buffer | number;
}

/** Somebody in a chat: reads its events one by one. */
export class Visitor {
  readonly client: WsClient;
  /** What was read last. */
  position: string | undefined;
  readonly #arriving = new Map<string, { head: ChatEventRead; pieces: Buffer[] }>();
  #ids = 0;

  constructor(client: WsClient) {
    this.client = client;
  }

  say(text: string, id = `text-${this.#ids++}`): void {
    this.client.send(JSON.stringify({ type: 'text', id, text }));
  }

  /** Begins a picture, and sends these pieces of it: all that there are, unless told otherwise. */
  sendPicture(bytes: Buffer, number = 0, pieces = Math.ceil(bytes.length / pieceBytes), id = `picture-${this.#ids++}`) {
    this.client.send(JSON.stringify({ type: 'picture', number, id, size: bytes.length }));
    for (let i = 0; i < pieces; i++) this.client.send(bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes));
  }

  /** The next event; of a picture its head and its bytes, when the last of them has come; of a gap only that. */
  async next(): Promise<ChatEventRead> {
    for (;;) {
      const message = await this.client.receive();
      const end = message.indexOf('\n');
      const head = message.slice(0, end).toString();
      if (head !== '') this.position = head.replace(/^[=!]/, '');
      if (head[0] === '!') return { type: 'gap' };
      if (head[0] === '=') continue;
      const body = message.slice(end + 1);
      const event = typeof body === 'string' ? JSON.parse(body) : this.#takePiece(body);
      if (event?.type === 'picture' && event.bytes === undefined) {
        this.#arriving.set(event.id, { head: event, pieces: [] });
      } else if (event !== undefined) return event;
    }
  }

  /** Takes a piece of a picture; returns it when it is whole. */
  #takePiece(piece: Buffer): ChatEventRead | undefined {
    const end = piece.indexOf('\n');
    const picture = this.#arriving.get(piece.toString('latin1', 0, end));
    assert.ok(piece.length - end - 1 <= pieceBytes);
    // Of one whose beginning is no longer kept.
    if (picture === undefined) return undefined;
    picture.pieces.push(piece.subarray(end + 1));
    const bytes = Buffer.concat(picture.pieces);
    if (bytes.length < picture.head.size!) return undefined;
    this.#arriving.delete(picture.head.id!);
    return { ...picture.head, bytes };
  }

  /** Reads on to the next event of this type. */
  async nextOf(type: string): Promise<ChatEventRead> {
    for (;;) {
      const event = await this.next();
      if (event.type === type) return event;
    }
  }

  /** Reads what comes on joining: the messages of the history, who is here, and how it is called. */
  async arrive(): Promise<{
    welcome: ChatEventRead;
    name: string;
    names: string[];
    history: ChatEventRead[];
    typing: string[];
  }> {
    const welcome = await this.next();
    assert.equal(welcome.type, 'welcome');
    const history: ChatEventRead[] = [];
    let event = await this.next();
    for (; event.type !== 'people'; event = await this.next()) history.push(event);
    const typing = await this.nextOf('typing');
    const { name } = await this.nextOf('ready');
    return { welcome, name: name!, names: event.names!, history, typing: typing.names! };
  }
}

/** Opens a WebSocket in a room. */
export async function enterChat(port: number, room: string, query: Record<string, string>): Promise<Visitor> {
  const client = await WsClient.connect(port);
  await client.upgrade(`/chat/${room}?${new URLSearchParams(query)}`, {
    'Sec-WebSocket-Protocol': 'positions.hyperlane',
  });
  return new Visitor(client);
}
