/**
 * What the page and the server say to each other.
 *
 * Text messages are JSON objects with a `type`. A picture is a binary message: to the server just its bytes; from the
 * server a line of JSON that says whose it is, a line feed, and then its bytes.
 */

/** What the page sends as text. */
export type Command =
  | { readonly type: 'text'; readonly text: string }
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
    }
  | { readonly type: 'people'; readonly names: readonly string[] }
  | { readonly type: 'joined' | 'left'; readonly name: string }
  | { readonly type: 'text'; readonly id: string; readonly at: number; readonly name: string; readonly text: string }
  /** The history was sent. */
  | { readonly type: 'ready' }
  /** Events were missed: ask for the history. */
  | { readonly type: 'lagged'; readonly missed: number }
  /** Something was refused: a sentence for people, and the text that was not sent. */
  | { readonly type: 'problem'; readonly message: string; readonly unsent?: string }
  | { readonly type: 'pong' };

/** The line before the bytes of a picture. */
export interface PictureHead {
  readonly type: 'picture';
  readonly id: string;
  readonly at: number;
  readonly name: string;
  readonly mediaType: string;
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
  const { type, text, after } = value as Record<string, unknown>;
  if (type === 'ping') return { type };
  if (type === 'text' && typeof text === 'string') return { type, text };
  if (type === 'history') return typeof after === 'string' ? { type, after } : { type };
  return undefined;
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
