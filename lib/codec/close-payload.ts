import { Buffer } from 'node:buffer';
import type { ErrorCode } from '../errors.ts';
import { kindOf, show } from '../wording.ts';
import { CloseCode, isWireCloseCode, listApplicationCodes } from './close-code.ts';
import { MAX_CONTROL_PAYLOAD_BYTES } from './opcode.ts';
import { decodeUtf8 } from './utf8.ts';

const CODE_BYTES = 2;
/** The longest reason that fits behind the code, in bytes of UTF-8. RFC 6455 §5.5.1. */
export const MAX_REASON_BYTES: number = MAX_CONTROL_PAYLOAD_BYTES - CODE_BYTES;

/** Code and reason of a Close frame; a frame without a payload has the code 1005 (§7.1.5). */
export interface ClosePayload {
  readonly code: number;
  readonly reason: string;
}

/** Decodes the payload of a Close frame, or tells the rule that it breaks. RFC 6455 §5.5.1 and §7.4. */
export function decodeClosePayload(bytes: Buffer, start: number, end: number): ClosePayload | ErrorCode {
  if (start === end) return { code: CloseCode.NoStatus, reason: '' };
  if (end - start < CODE_BYTES) return 'WS_ERR_INVALID_CLOSE_PAYLOAD';
  const code = (bytes[start]! << 8) | bytes[start + 1]!;
  if (!isWireCloseCode(code)) return 'WS_ERR_INVALID_CLOSE_CODE';
  const reason = decodeUtf8(bytes, start + CODE_BYTES, end);
  return reason === undefined ? 'WS_ERR_INVALID_UTF8' : { code, reason };
}

/**
 * Encodes the payload of a Close frame. RFC 6455 §5.5.1.
 *
 * @param code - 1005 makes an empty payload
 * @throws {TypeError} when the reason is no string: bytes might be no UTF-8, and a number would be so many of them
 * @throws {RangeError} when the code may not be sent, or the reason is longer than 123 bytes of UTF-8
 */
export function encodeClosePayload(code: number, reason: string): Buffer {
  if (typeof reason !== 'string') throw new TypeError(`a close reason is a string, and this one is ${kindOf(reason)}`);
  if (code === CloseCode.NoStatus && reason === '') return Buffer.alloc(0);
  if (!isWireCloseCode(code)) {
    throw new RangeError(`close code ${show(code)} may not be sent: use ${listApplicationCodes()}`);
  }
  const text = Buffer.from(reason);
  if (text.length > MAX_REASON_BYTES) {
    throw new RangeError(`the close reason takes ${text.length} bytes of UTF-8: shorten it to ${MAX_REASON_BYTES}`);
  }
  const payload = Buffer.alloc(CODE_BYTES + text.length);
  payload.writeUInt16BE(code);
  payload.set(text, CODE_BYTES);
  return payload;
}

/** Shortens a reason to what fits in a Close frame, without cutting a character. */
export function fitReason(reason: string): string {
  const bytes = Buffer.from(reason.slice(0, MAX_REASON_BYTES));
  let end = Math.min(bytes.length, MAX_REASON_BYTES);
  while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
