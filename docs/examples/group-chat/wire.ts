/**
 * What the page and the server say to each other.
 *
 * Text messages are JSON objects with a `type`. Binary messages are pieces of pictures. The page begins a picture with
 * the command `picture`, sends its bytes in pieces of `pieceBytes`, the last one as long as what is left, and is told of
 * each that arrived. What the server sends is a line of JSON that says whose picture it is and how large, a line feed,
 * and the bytes of the picture; all of that is cut into pieces too, which follow each other without others in between.
 */

/** What the page sends as text. */
export type Command =
  | { readonly type: 'text'; readonly text: string }
  /** Begins a picture of so many bytes. What is said of it bears the number that the page gave it. */
  | { readonly type: 'picture'; readonly number: number; readonly size: number }
  /** Gives up the picture that was begun. */
  | { readonly type: 'cancel' }
  /** Somebody writes, or has stopped to; said again while it goes on. */
  | { readonly type: 'typing'; readonly isTyping: boolean }
  /** Answers `lagged`: asks for what was said after the message with the id `after`, or for all that is kept. */
  | { readonly type: 'history'; readonly after?: string }
  /** Asks whether anybody is there. */
  | { readonly type: 'ping' };

/** What the server sends. */
export type ChatEvent =
  | {
      readonly type: 'welcome';
      readonly name: string;
      readonly room: string;
      readonly maxTextLength: number;
      readonly maxPictureBytes: number;
      readonly pieceBytes: number;
    }
  | { readonly type: 'people'; readonly names: readonly string[] }
  | { readonly type: 'joined' | 'left'; readonly name: string }
  | { readonly type: 'text'; readonly id: string; readonly at: number; readonly name: string; readonly text: string }
  /** Those who write now, the longest first: all that are told of, not only what is new. */
  | { readonly type: 'typing'; readonly names: readonly string[] }
  /** So many bytes of the picture with this number have arrived; with the last of them it is sent. */
  | { readonly type: 'received'; readonly number: number; readonly bytes: number }
  /** The history was sent. */
  | { readonly type: 'ready' }
  /** Events were missed: ask for the history. */
  | { readonly type: 'lagged'; readonly missed: number }
  /** Something was refused: a sentence for people, and the text or the number of the picture that was not sent. */
  | { readonly type: 'problem'; readonly message: string; readonly unsent?: string; readonly number?: number }
  | { readonly type: 'pong' };

/** The line before the bytes of a picture. */
export interface PictureHead {
  readonly type: 'picture';
  readonly id: string;
  readonly at: number;
  readonly name: string;
  readonly mediaType: string;
  readonly size: number;
}

export function encodeEvent(event: ChatEvent): string {
  return JSON.stringify(event);
}

export function encodePicture(head: PictureHead, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]);
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
  const { type, text, number, size, isTyping, after } = value as Record<string, unknown>;
  if (type === 'ping' || type === 'cancel') return { type };
  if (type === 'text' && typeof text === 'string') return { type, text };
  if (type === 'picture' && isCount(number) && isCount(size) && size > 0) return { type, number, size };
  if (type === 'typing' && typeof isTyping === 'boolean') return { type, isTyping };
  if (type === 'history') return typeof after === 'string' ? { type, after } : { type };
  return undefined;
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
