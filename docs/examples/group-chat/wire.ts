/**
 * What the page and the server say to each other, over the subprotocol `positions.hyperlane`: each message of the room
 * comes with its position in front, and what the server says to one page alone with none.
 *
 * Text messages are JSON objects with a `type`. Binary messages are pieces of pictures. The page begins a picture with
 * the command `picture`, sends its bytes in pieces of `pieceBytes`, the last one as long as what is left, and is told of
 * each that arrived. When all have, the server posts `picture`, which says whose it is and how large, and then its pieces:
 * of each the id of the picture, a line feed, and the bytes. They come in order, and other messages in between.
 */

/** What the page sends as text. */
export type Command =
  /** The page makes the id, and sends it again with the text when it does not know whether that has arrived. */
  | { readonly type: 'text'; readonly id: string; readonly text: string }
  /** Begins a picture of so many bytes. What is said of it while it is sent bears the number that the page gave it. */
  | { readonly type: 'picture'; readonly number: number; readonly id: string; readonly size: number }
  /** Gives up the picture that was begun. */
  | { readonly type: 'cancel' }
  /** Somebody writes, or has stopped to; said again while it goes on. */
  | { readonly type: 'typing'; readonly isTyping: boolean }
  /** Asks whether anybody is there. */
  | { readonly type: 'ping' };

/** What the server sends. */
export type ChatEvent =
  | {
      readonly type: 'welcome';
      /** By what this page is known, to itself and to others: it is the `from` of what it says. */
      readonly key: string;
      readonly room: string;
      readonly maxTextLength: number;
      readonly maxPictureBytes: number;
      readonly pieceBytes: number;
    }
  | { readonly type: 'people'; readonly names: readonly string[] }
  | { readonly type: 'joined' | 'left'; readonly name: string }
  | {
      readonly type: 'text';
      readonly id: string;
      readonly at: number;
      readonly from: string;
      readonly name: string;
      readonly text: string;
    }
  /** Its pieces follow. */
  | {
      readonly type: 'picture';
      readonly id: string;
      readonly at: number;
      readonly from: string;
      readonly name: string;
      readonly mediaType: string;
      readonly size: number;
    }
  /** Those who write now, the longest first: all that are told of, not only what is new. */
  | { readonly type: 'typing'; readonly names: readonly string[] }
  /** So many bytes of the picture with this number have arrived; with the last of them it is sent. */
  | { readonly type: 'received'; readonly number: number; readonly bytes: number }
  /** The history was sent, and this is how the page is called. */
  | { readonly type: 'ready'; readonly name: string }
  /** How the page is called from now on: somebody else had its name first. */
  | { readonly type: 'renamed'; readonly name: string }
  /** Something was refused: a sentence for people, and the text or the number of the picture that was not sent. */
  | { readonly type: 'problem'; readonly message: string; readonly unsent?: string; readonly number?: number }
  | { readonly type: 'pong' };

/** The longest id of a text or a picture. */
const MAX_ID_LENGTH = 40;

export function encodeEvent(event: ChatEvent): string {
  return JSON.stringify(event);
}

export function encodePiece(id: string, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${id}\n`), bytes]);
}

/** An event for one page alone. */
export function encodeReply(event: string): string {
  return `\n${event}`;
}

/** A message of the room. */
export function encodeAt(position: string, body: string | Uint8Array): string | Uint8Array {
  return typeof body === 'string' ? `${position}\n${body}` : Buffer.concat([Buffer.from(`${position}\n`), body]);
}

/** Says that messages are missing, and where it goes on. */
export function encodeGap(position: string): string {
  return `!${position}\n`;
}

/** Reads what a page sent; `undefined` for what no page of ours sends. */
export function parseCommand(json: string): Command | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { type, id, text, number, size, isTyping } = value as Record<string, unknown>;
  if (type === 'ping' || type === 'cancel') return { type };
  if (type === 'text' && isId(id) && typeof text === 'string') return { type, id, text };
  if (type === 'picture' && isCount(number) && isId(id) && isCount(size) && size > 0) return { type, number, id, size };
  if (type === 'typing' && typeof isTyping === 'boolean') return { type, isTyping };
  return undefined;
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_ID_LENGTH && /^[\w-]+$/.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** The media type of a picture, by its first bytes; `undefined` unless it is PNG, JPEG, GIF or WebP. */
export function pictureType(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (start.startsWith('GIF87a') || start.startsWith('GIF89a')) return 'image/gif';
  if (start.startsWith('RIFF') && start.startsWith('WEBP', 8)) return 'image/webp';
  return undefined;
}

/** A name as it may be shown: on one line, without what cannot be seen, cut to a length; maybe empty. */
export function cleanName(raw: string | undefined, maxLength: number): string {
  const visible = (raw ?? '').normalize('NFC').replace(/\s+/g, ' ').replace(/\p{C}/gu, '');
  return [...visible.trim()].slice(0, maxLength).join('').trim();
}
