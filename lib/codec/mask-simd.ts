/**
 * Masking with WebAssembly SIMD, where the bytes already are. A receive buffer that lies inside a WebAssembly memory is
 * unmasked in place, sixteen bytes an instruction, at about the speed of a copy: 10 to 50 times a loop in JavaScript from
 * 1 KiB up. A call costs some 15 ns, so short payloads are left to the loop (measured: bench/cases/mask.ts).
 */

/** Bytes that are read from a socket at once. */
const RECEIVE_BYTES = 64 * 1024;
/** Room for bytes that lie elsewhere, behind the receive buffer: copied in, masked and copied out. */
const SCRATCH_BYTES = 64 * 1024;
const PAGE_BYTES = 64 * 1024;
/** Below this length the loop in JavaScript is faster. */
const MIN_BYTES = 24;
/** Below this length the loop in JavaScript is faster than copying in, masking and copying out. */
const MIN_COPIED_BYTES = 192;

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

type MaskFunction = (start: number, end: number, key: number) => void;

interface SimdMask {
  readonly mask: MaskFunction;
  readonly receive: Buffer;
  readonly scratch: Buffer;
}

const simd = loadSimd();

/**
 * The buffer that sockets of this thread are read into, one after the other; it lies where `maskReceived` is fast. What is
 * in it must be used or copied before the next read.
 */
export const receiveBuffer: Buffer = simd?.receive ?? Buffer.alloc(RECEIVE_BYTES);

/** Masks or unmasks `receiveBuffer[start, end)` in place, if that pays; the caller does it otherwise. */
export function maskReceived(start: number, end: number, key: number): boolean {
  if (simd === undefined || end - start < MIN_BYTES) return false;
  simd.mask(start, end, key);
  return true;
}

/** Masks or unmasks `bytes[start, end)`, which lie anywhere, in place, if that pays; the caller does it otherwise. */
export function maskCopied(bytes: Uint8Array, start: number, end: number, key: number): boolean {
  if (simd === undefined || end - start < MIN_COPIED_BYTES) return false;
  const { mask, scratch } = simd;
  const base = scratch.byteOffset;
  for (let from = start; from < end; from += SCRATCH_BYTES) {
    // The scratch is a multiple of four bytes long, so each part begins with the first byte of the key.
    const to = Math.min(end, from + SCRATCH_BYTES);
    const length = to - from;
    scratch.set(bytes.subarray(from, to));
    mask(base, base + length, key);
    bytes.set(length === SCRATCH_BYTES ? scratch : scratch.subarray(0, length), from);
  }
  return true;
}

/** Makes the module, or returns `undefined` where there is no WebAssembly, or no SIMD in it. */
function loadSimd(): SimdMask | undefined {
  try {
    const pages = (RECEIVE_BYTES + SCRATCH_BYTES) / PAGE_BYTES;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const module = new WebAssembly.Module(Buffer.from(MODULE, 'base64'));
    const { exports } = new WebAssembly.Instance(module, { m: { m: memory } });
    return {
      mask: exports['mask'] as MaskFunction,
      receive: Buffer.from(memory.buffer, 0, RECEIVE_BYTES),
      scratch: Buffer.from(memory.buffer, RECEIVE_BYTES, SCRATCH_BYTES),
    };
  } catch {
    return undefined;
  }
}
