import { Buffer } from 'node:buffer';
import { kindOf, notABody, show } from '../wording.ts';

/** How long the name of a topic may be, and an `id`, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 255;

/** A character takes at most this many bytes. */
const MAX_BYTES_PER_CHARACTER = 3;

/** In every Node there is, and not in the types of this target. */
const { isWellFormed } = String.prototype as unknown as { isWellFormed(this: string): boolean };

/** @throws {TypeError} unless it is a string, {RangeError} for one that names no topic */
export function checkTopic(topic: unknown): string {
  return checkText('a topic', topic);
}

/** @throws {TypeError} unless it is a string, {RangeError} for one that cannot be an id */
export function checkId(id: unknown): string {
  return checkText('the id of a message', id);
}

/** @throws {TypeError} unless it is a string or bytes */
export function checkTopicBody(body: unknown): void {
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) throw notABody('a message', body);
}

/** What was given as `after`: `undefined` stands for none. @throws {TypeError} unless it is a string */
export function checkAfter(after: unknown): string | undefined {
  if (after === undefined || typeof after === 'string') return after;
  throw new TypeError(`after is a position, which is a string, and this is ${kindOf(after)}`);
}

/** What was given as `onGap`. @throws {TypeError} unless it is a function */
export function checkOnGap<Handler>(onGap: Handler): Handler {
  if (onGap === undefined || typeof onGap === 'function') return onGap;
  throw new TypeError(`onGap is a function that is given the gap, and this is ${kindOf(onGap)}`);
}

function checkText(what: string, text: unknown): string {
  if (typeof text !== 'string') throw new TypeError(`${what} is a string, and this is ${kindOf(text)}`);
  if (text === '') throw new RangeError(`${what} is a string that is not empty, and this one is`);
  if (text.length * MAX_BYTES_PER_CHARACTER > MAX_NAME_BYTES) {
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_NAME_BYTES) {
      throw new RangeError(
        `${what} takes at most ${MAX_NAME_BYTES} bytes of UTF-8, and this one ${bytes}: ${show(text)}`,
      );
    }
  }
  return checkWhole(what, text);
}

/** @throws {RangeError} for text with half of a surrogate pair, which would arrive as something else */
export function checkWhole(what: string, text: string): string {
  if (isWellFormed.call(text)) return text;
  throw new RangeError(`${what} is whole Unicode, and this one has half a character: ${show(text)}`);
}
