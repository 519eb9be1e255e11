import type { ErrorCode } from '../../lib/errors.ts';
import type { Role } from '../../lib/protocol/events.ts';

/**
 * RFC 6455 once more, written to be obviously right and nothing else: all bytes are joined and parsed from the start,
 * one byte at a time, and nothing of lib/ is used. The oracle that the fast code is compared with.
 */

export interface Frame {
  readonly fin: boolean;
  readonly rsv1: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

export interface WireFrame extends Frame {
  /** The four bytes of the masking key, or `undefined` for a frame that is not masked. */
  readonly maskKey?: Buffer | undefined;
}

export interface ReferenceRules {
  readonly expectMask: boolean;
  readonly allowRsv1: boolean;
  readonly maxFrameBytes: number;
}

export interface ReferenceFrames {
  readonly frames: Frame[];
  readonly error: ErrorCode | undefined;
  /** The frame whose header is whole and whose payload is not, with what there is of it. */
  readonly partial: { readonly frame: Frame; readonly length: number } | undefined;
}

type HeaderResult =
  | { kind: 'incomplete' }
  | { kind: 'error'; error: ErrorCode }
  | { kind: 'header'; length: bigint; maskKey: Buffer | undefined; headerBytes: number };

/** The header at the start of `bytes`, §5.2; the rules in the order of the bytes. */
function parseHeader(bytes: Buffer, rules: ReferenceRules): HeaderResult {
  const error = (code: ErrorCode): HeaderResult => ({ kind: 'error', error: code });
  if (bytes.length < 1) return { kind: 'incomplete' };
  const [fin, rsv1, rsv2, rsv3] = [0x80, 0x40, 0x20, 0x10].map((bit) => (bytes[0]! & bit) !== 0);
  const opcode = bytes[0]! % 16;
  const isControl = opcode >= 8;
  if (rsv2 || rsv3) return error('WS_ERR_UNEXPECTED_RSV_2_3');
  if (![0, 1, 2, 8, 9, 10].includes(opcode)) return error('WS_ERR_INVALID_OPCODE');
  if (rsv1 && !(rules.allowRsv1 && (opcode === 1 || opcode === 2))) return error('WS_ERR_UNEXPECTED_RSV_1');
  if (isControl && !fin) return error('WS_ERR_EXPECTED_FIN');

  if (bytes.length < 2) return { kind: 'incomplete' };
  const masked = bytes[1]! >= 128;
  const short = bytes[1]! % 128;
  if (masked && !rules.expectMask) return error('WS_ERR_UNEXPECTED_MASK');
  if (!masked && rules.expectMask) return error('WS_ERR_EXPECTED_MASK');
  if (isControl && short > 125) return error('WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH');

  let headerBytes = 2;
  let length = BigInt(short);
  if (short === 126) {
    headerBytes = 4;
    if (bytes.length < headerBytes) return { kind: 'incomplete' };
    length = BigInt(bytes.readUInt16BE(2));
    if (length < 126n) return error('WS_ERR_NON_MINIMAL_LENGTH');
  }
  if (short === 127) {
    headerBytes = 10;
    if (bytes.length < headerBytes) return { kind: 'incomplete' };
    length = bytes.readBigUInt64BE(2);
    if (length >= 2n ** 63n) return error('WS_ERR_INVALID_PAYLOAD_LENGTH');
    if (length < 65536n) return error('WS_ERR_NON_MINIMAL_LENGTH');
  }
  const tooBig = length >= 2n ** 53n || Number(length) > rules.maxFrameBytes;
  if (tooBig && !isControl) return error('WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH');

  if (!masked) return { kind: 'header', length, maskKey: undefined, headerBytes };
  if (bytes.length < headerBytes + 4) return { kind: 'incomplete' };
  const maskKey = bytes.subarray(headerBytes, headerBytes + 4);
  return { kind: 'header', length, maskKey, headerBytes: headerBytes + 4 };
}

/** §5.3, byte by byte, into fresh memory. */
export function referenceMask(bytes: Buffer, maskKey: Buffer): Buffer {
  const masked = Buffer.alloc(bytes.length);
  for (let i = 0; i < bytes.length; i++) masked[i] = bytes[i]! ^ maskKey[i % 4]!;
  return masked;
}

/** All frames in `bytes`, up to the first error or the end. */
export function referenceParse(bytes: Buffer, rules: ReferenceRules): ReferenceFrames {
  const frames: Frame[] = [];
  let rest = bytes;
  for (;;) {
    const header = parseHeader(rest, rules);
    if (header.kind === 'error') return { frames, error: header.error, partial: undefined };
    if (header.kind === 'incomplete') return { frames, error: undefined, partial: undefined };
    const length = Number(header.length);
    const raw = rest.subarray(header.headerBytes, header.headerBytes + length);
    const payload = header.maskKey === undefined ? Buffer.from(raw) : referenceMask(raw, header.maskKey);
    const frame = { fin: rest[0]! >= 128, rsv1: (rest[0]! & 0x40) !== 0, opcode: rest[0]! % 16, payload };
    if (payload.length < length) return { frames, error: undefined, partial: { frame, length } };
    frames.push(frame);
    rest = rest.subarray(header.headerBytes + length);
  }
}

/** The bytes of one frame, §5.2. */
export function referenceEncode({ fin, rsv1, opcode, payload, maskKey }: WireFrame): Buffer {
  const first = (fin ? 128 : 0) + (rsv1 ? 64 : 0) + opcode;
  const maskBit = maskKey === undefined ? 0 : 128;
  let length: Buffer;
  if (payload.length <= 125) {
    length = Buffer.from([maskBit + payload.length]);
  } else if (payload.length <= 65535) {
    length = Buffer.from([maskBit + 126, 0, 0]);
    length.writeUInt16BE(payload.length, 1);
  } else {
    length = Buffer.from([maskBit + 127, 0, 0, 0, 0, 0, 0, 0, 0]);
    length.writeBigUInt64BE(BigInt(payload.length), 1);
  }
  if (maskKey === undefined) return Buffer.concat([Buffer.from([first]), length, payload]);
  return Buffer.concat([Buffer.from([first]), length, maskKey, referenceMask(payload, maskKey)]);
}

const textDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text, or `undefined` when the bytes are not UTF-8. A byte order mark is a character like any other. */
export function referenceDecodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return textDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Whether valid text can begin with these bytes: whether some continuation bytes make it whole. 80 and BF stand for
 * all of them, as each range of the second byte holds one of the two (E0: A0..BF, ED: 80..9F, F0: 90..BF, F4: 80..8F).
 */
export function referenceIsUtf8Prefix(bytes: Uint8Array): boolean {
  const isPrefix = (text: Uint8Array, missing: number): boolean =>
    referenceDecodeUtf8(text) !== undefined ||
    (missing > 0 && [0x80, 0xbf].some((byte) => isPrefix(Buffer.concat([text, Buffer.of(byte)]), missing - 1)));
  return isPrefix(bytes, 3);
}

export type ReferenceEvent =
  | { readonly type: 'message'; readonly data: string | Buffer }
  | { readonly type: 'ping' | 'pong'; readonly payload: Buffer }
  | { readonly type: 'close'; readonly code: number; readonly reason: string }
  | { readonly type: 'error'; readonly code: ErrorCode };

export interface ReferenceLimits {
  readonly maxMessageBytes: number;
  readonly maxFrameBytes: number;
}

/** What an endpoint makes of all bytes it received: §5.4, §5.5, §7.1, §8.1. The last event may be a close or an error. */
export function referenceReceive(bytes: Buffer, role: Role, limits: ReferenceLimits): ReferenceEvent[] {
  const maxFrameBytes = Math.min(limits.maxFrameBytes, limits.maxMessageBytes);
  const tooBig: ErrorCode =
    limits.maxMessageBytes <= limits.maxFrameBytes
      ? 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'
      : 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH';
  const parsed = referenceParse(bytes, { expectMask: role === 'server', allowRsv1: false, maxFrameBytes });
  const events: ReferenceEvent[] = [];
  const failed = (code: ErrorCode): ReferenceEvent[] => [...events, { type: 'error', code }];
  /** The frames of the message in hand. */
  let message: Frame[] = [];

  const check = (frame: Frame, length: number): ErrorCode | undefined => {
    if (frame.opcode === 0 && message.length === 0) return 'WS_ERR_UNEXPECTED_CONTINUATION';
    if (frame.opcode !== 0 && message.length > 0) return 'WS_ERR_EXPECTED_CONTINUATION';
    const before = Buffer.concat(message.map(({ payload }) => payload));
    if (before.length + length > limits.maxMessageBytes) return 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    const isText = (message[0] ?? frame).opcode === 1;
    const sofar = Buffer.concat([before, frame.payload]);
    return isText && !referenceIsUtf8Prefix(sofar) ? 'WS_ERR_INVALID_UTF8' : undefined;
  };

  for (const frame of parsed.frames) {
    const { opcode, payload } = frame;
    if (opcode === 8) {
      if (payload.length === 0) return [...events, { type: 'close', code: 1005, reason: '' }];
      if (payload.length === 1) return failed('WS_ERR_INVALID_CLOSE_PAYLOAD');
      const code = payload.readUInt16BE();
      const registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
      if (!registered.includes(code) && !(code >= 3000 && code <= 4999)) return failed('WS_ERR_INVALID_CLOSE_CODE');
      const reason = referenceDecodeUtf8(payload.subarray(2));
      if (reason === undefined) return failed('WS_ERR_INVALID_UTF8');
      return [...events, { type: 'close', code, reason }];
    }
    if (opcode === 9 || opcode === 10) {
      events.push({ type: opcode === 9 ? 'ping' : 'pong', payload });
      continue;
    }
    const error = check(frame, payload.length);
    if (error !== undefined) return failed(error);
    message.push(frame);
    if (!frame.fin) continue;
    const whole = Buffer.concat(message.map((part) => part.payload));
    const data = message[0]!.opcode === 1 ? referenceDecodeUtf8(whole) : whole;
    message = [];
    if (data === undefined) return failed('WS_ERR_INVALID_UTF8');
    events.push({ type: 'message', data });
  }
  if (parsed.partial !== undefined && parsed.partial.frame.opcode < 8) {
    const error = check(parsed.partial.frame, parsed.partial.length);
    if (error !== undefined) return failed(error);
  }
  if (parsed.error === undefined) return events;
  return failed(parsed.error === 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH' ? tooBig : parsed.error);
}
