import { Buffer } from 'node:buffer';
import { applyMaskNative } from './mask-native.ts';

/**
 * Masking with WebAssembly SIMD, where the bytes already are. A receive buffer that lies inside a WebAssembly memory is
 * unmasked in place, sixteen bytes an instruction, at about the speed of a copy: 10 to 50 times a loop in JavaScript from
 * 1 KiB up. A call costs 6 to 15 ns, so short payloads are masked four bytes at a time, through a DataView: half of what a
 * loop over the bytes takes (measured: bench/cases/mask.ts).
 */

/** Bytes that are read from a socket at once, at the most: a message of 1 MiB takes a seventh less than in reads of 64 KiB. */
const RECEIVE_BYTES = 256 * 1024;
/** Room for bytes that lie elsewhere, behind the receive buffer: copied in, masked and copied out. */
const SCRATCH_BYTES = 64 * 1024;
const PAGE_BYTES = 64 * 1024;
/** Below this length JavaScript is faster: in the receive buffer, and elsewhere. */
const MIN_BYTES = 64;
const MIN_ELSEWHERE_BYTES = 256;

/**
 * The module, made from this text. The key is repeated in all four lanes of `$v`; every step is a multiple of four bytes
 * but the last, so the key never has to be turned.
 *
 *     (func (export "mask") (param $p i32) (param $end i32) (param $key i32) (local $v v128)
 *       (local.set $v (i32x4.splat (local.get $key)))
 *       ;; while $end - $p >= 64: xor v128 at $p, $p+16, $p+32, $p+48 with $v;  $p += 64
 *       ;; while $end - $p >= 4:  xor i32 at $p with $key;                      $p += 4
 *       ;; while $p < $end:       xor i8 at $p with $key;  $key >>= 8;          $p += 1
 */
const MODULE =
  'AGFzbQEAAAABBwFgA39/fwACCAEBbQFtAgABAwIBAAcIAQRtYXNrAAAKuAEBtQEBAXsgAv0RIQMCQANAIAEgAGtBwABJDQEgACAA/QAEACAD' +
  '/VH9CwQAIAAgAP0ABBAgA/1R/QsEECAAIAD9AAQgIAP9Uf0LBCAgACAA/QAEMCAD/VH9CwQwIABBwABqIQAMAAsLAkADQCABIABrQQRJDQEgACAA' +
  'KAIAIAJzNgIAIABBBGohAAwACwsCQANAIAAgAU8NASAAIAAtAAAgAnM6AAAgAkEIdiECIABBAWohAAwACwsL';

/** What is used of WebAssembly; it is declared for browsers only. */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
};

type MaskFunction = (start: number, end: number, key: number) => void;

interface SimdMask {
  readonly mask: MaskFunction;
  readonly receive: Buffer;
  readonly scratch: Buffer;
}

const simd = loadSimd();

/**
 * The buffer that sockets of this thread are read into, one after the other; it lies at the start of the WebAssembly
 * memory, so that its offsets are addresses there. What is in it must be used or copied before the next read.
 */
export const receiveBuffer: Buffer = simd?.receive ?? Buffer.alloc(RECEIVE_BYTES);

/** The receive buffer by words of four bytes, which may begin anywhere. */
const words = new DataView(receiveBuffer.buffer, receiveBuffer.byteOffset, receiveBuffer.length);

/**
 * Masks or unmasks `bytes[start, end)` in place, where that is faster than a loop over the bytes.
 *
 * @returns false when it did nothing, and the caller is to do it
 */
export function applyMaskSimd(bytes: Uint8Array, start: number, end: number, key: number): boolean {
  const length = end - start;
  if (bytes === receiveBuffer) {
    if (length < MIN_BYTES) maskWords(start, end, key);
    else if (simd !== undefined) simd.mask(start, end, key);
    else return false;
    return true;
  }
  if (length < MIN_ELSEWHERE_BYTES) return false;
  if (applyMaskNative(bytes, start, end, key)) return true;
  if (simd === undefined) return false;
  maskCopied(simd, bytes, start, end, key);
  return true;
}

/** Masks a few bytes of the receive buffer. */
function maskWords(start: number, end: number, key: number): void {
  let i = start;
  for (const last = end - 3; i < last; i += 4) words.setInt32(i, words.getInt32(i, true) ^ key, true);
  for (let rest = key; i < end; i++, rest >>>= 8) receiveBuffer[i]! ^= rest;
}

/** Copies bytes in, masks them and copies them out, a scratch at a time. */
function maskCopied({ mask, scratch }: SimdMask, bytes: Uint8Array, start: number, end: number, key: number): void {
  for (let from = start; from < end; from += SCRATCH_BYTES) {
    // The scratch is a multiple of four bytes long, so each part begins with the first byte of the key.
    const length = Math.min(SCRATCH_BYTES, end - from);
    scratch.set(bytes.subarray(from, from + length));
    mask(scratch.byteOffset, scratch.byteOffset + length, key);
    bytes.set(scratch.subarray(0, length), from);
  }
}

/** Makes the module, or returns `undefined` where there is no WebAssembly, or no SIMD in it. */
function loadSimd(): SimdMask | undefined {
  try {
    const pages = (RECEIVE_BYTES + SCRATCH_BYTES) / PAGE_BYTES;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const module = new WebAssembly.Module(Buffer.from(MODULE, 'base64'));
    const { exports } = new WebAssembly.Instance(module, { m: { m: memory } });
    return {
      mask: exports.mask as MaskFunction,
      receive: Buffer.from(memory.buffer, 0, RECEIVE_BYTES),
      scratch: Buffer.from(memory.buffer, RECEIVE_BYTES, SCRATCH_BYTES),
    };
  } catch {
    return undefined;
  }
}
