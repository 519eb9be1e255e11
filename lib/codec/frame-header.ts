import type { ErrorCode } from '../errors.ts';
import { readMaskKey, writeMaskKey } from './mask.ts';
import {
  CONTROL_BIT,
  FIN,
  MASK_BIT,
  MAX_CONTROL_PAYLOAD_BYTES,
  OPCODE_BITS,
  OpCode,
  RSV1,
  RSV2_RSV3,
} from './opcode.ts';

/** The header of a frame is 2 to 14 bytes long, RFC 6455 §5.2. */
export const MAX_HEADER_BYTES = 14;

/** In the seven length bits of the second byte: the length follows in 16 or in 64 bits. */
export const LENGTH_16 = 126;
const LENGTH_64 = 127;
export const MASK_KEY_BYTES = 4;
const UINT32 = 0x1_0000_0000;
/** The high half of the largest length that a JavaScript number holds exactly, 2^53 - 1. */
const MAX_SAFE_HIGH = 0x1f_ffff;

/** Which of the frame rules hold for the receiving end. */
export interface FrameRules {
  /** True for a server: every frame must be masked. False for a client: none may be. §5.1 */
  readonly expectMask: boolean;
  /** Whether an extension was negotiated that uses RSV1 on the first frame of a message. */
  readonly allowRsv1: boolean;
  /** The largest payload that is taken, in bytes. */
  readonly maxFrameBytes: number;
}

/** One decoded frame header. Made once a parser and filled again for each frame. */
export class FrameHeader {
  /** The first byte: FIN, RSV1 and opcode. */
  bits = 0;
  /** The masking key, see mask.ts; 0 when not masked. */
  maskKey = 0;
  /** Payload length in bytes. */
  length = 0;
  /** The rule that was broken, after `decodeFrameHeader` returned -1. */
  error: ErrorCode = 'WS_ERR_INVALID_OPCODE';
}

/**
 * Decodes one frame header starting at `start`, and checks every rule that one frame alone can break. RFC 6455 §5.2.
 *
 * Never reads at or past `end`. The rules are checked field by field in the order of the bytes, so that an error is
 * the same however the bytes were cut, and is found as soon as the field that proves it is whole.
 *
 * @returns the length of the header in bytes, 0 when more bytes are needed, or -1 when `header.error` was broken
 */
export function decodeFrameHeader(
  header: FrameHeader,
  bytes: Uint8Array,
  start: number,
  end: number,
  rules: FrameRules,
): number {
  if (start >= end) return 0;
  const bits = bytes[start]!;
  const opcode = bits & OPCODE_BITS;
  const control = (bits & CONTROL_BIT) !== 0;
  if ((bits & RSV2_RSV3) !== 0) return reject(header, 'WS_ERR_UNEXPECTED_RSV_2_3');
  if (opcode > OpCode.Pong || (opcode > OpCode.Binary && opcode < OpCode.Close)) {
    return reject(header, 'WS_ERR_INVALID_OPCODE');
  }
  // RFC 7692 §6: only the first frame of a data message may carry RSV1.
  if ((bits & RSV1) !== 0 && (!rules.allowRsv1 || control || opcode === OpCode.Continuation)) {
    return reject(header, 'WS_ERR_UNEXPECTED_RSV_1');
  }
  if (control && (bits & FIN) === 0) return reject(header, 'WS_ERR_EXPECTED_FIN');
  if (start + 1 >= end) return 0;

  const second = bytes[start + 1]!;
  const masked = (second & MASK_BIT) !== 0;
  if (masked !== rules.expectMask) return reject(header, masked ? 'WS_ERR_UNEXPECTED_MASK' : 'WS_ERR_EXPECTED_MASK');
  let length = second & ~MASK_BIT;
  if (control && length > MAX_CONTROL_PAYLOAD_BYTES) return reject(header, 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH');

  let position = start + 2;
  if (length === LENGTH_16) {
    if (position + 2 > end) return 0;
    length = (bytes[position]! << 8) | bytes[position + 1]!;
    if (length < LENGTH_16) return reject(header, 'WS_ERR_NON_MINIMAL_LENGTH');
    position += 2;
  } else if (length === LENGTH_64) {
    if (position + 8 > end) return 0;
    const high = readUint32(bytes, position);
    if (high >= UINT32 / 2) return reject(header, 'WS_ERR_INVALID_PAYLOAD_LENGTH');
    // Compared before it is computed: beyond 2^53 a number would be rounded.
    if (high > MAX_SAFE_HIGH) return reject(header, 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH');
    length = high * UINT32 + readUint32(bytes, position + 4);
    if (length <= 0xffff) return reject(header, 'WS_ERR_NON_MINIMAL_LENGTH');
    position += 8;
  }
  // §10.4: refused at the header, before anything is reserved for the payload. Control frames fit any limit.
  if (length > rules.maxFrameBytes && !control) return reject(header, 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH');

  if (masked) {
    if (position + MASK_KEY_BYTES > end) return 0;
    header.maskKey = readMaskKey(bytes, position);
    position += MASK_KEY_BYTES;
  } else {
    header.maskKey = 0;
  }
  header.bits = bits;
  header.length = length;
  return position - start;
}

function reject(header: FrameHeader, error: ErrorCode): -1 {
  header.error = error;
  return -1;
}

function readUint32(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0;
}

/** Tells how long the header of a frame is, in bytes. */
export function headerBytes(payloadLength: number, masked: boolean): number {
  const key = masked ? MASK_KEY_BYTES : 0;
  if (payloadLength < LENGTH_16) return 2 + key;
  return payloadLength <= 0xffff ? 4 + key : 10 + key;
}

/**
 * Writes a frame header at `offset`; `headerBytes` bytes must be free there. RFC 6455 §5.2.
 *
 * @param bits - first byte: FIN, RSV1 and opcode
 * @param maskKey - the key of a masked frame, or `undefined` for a frame that is not masked
 * @returns the offset behind the header
 */
export function writeFrameHeader(
  target: Uint8Array,
  offset: number,
  bits: number,
  payloadLength: number,
  maskKey: number | undefined,
): number {
  const maskBit = maskKey === undefined ? 0 : MASK_BIT;
  let position = offset;
  target[position++] = bits;
  if (payloadLength < LENGTH_16) {
    target[position++] = maskBit | payloadLength;
  } else if (payloadLength <= 0xffff) {
    target[position++] = maskBit | LENGTH_16;
    target[position++] = payloadLength >>> 8;
    target[position++] = payloadLength;
  } else {
    target[position++] = maskBit | LENGTH_64;
    writeUint32(target, position, Math.floor(payloadLength / UINT32));
    writeUint32(target, position + 4, payloadLength);
    position += 8;
  }
  if (maskKey !== undefined) {
    writeMaskKey(target, position, maskKey);
    position += MASK_KEY_BYTES;
  }
  return position;
}

function writeUint32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
}
