import { Buffer } from 'node:buffer';
import { randomFillSync } from 'node:crypto';
import { readMaskKey } from './mask.ts';

const POOL_BYTES = 8192;
const KEY_BYTES = 4;
let pool: Buffer | undefined;
let used = POOL_BYTES;

/**
 * Draws a masking key from a strong source of entropy, as RFC 6455 §5.3 asks of a client. Drawn 2048 at a time:
 * a call of the random source for each frame would cost more than the frame.
 */
export function randomMaskKey(): number {
  if (used === POOL_BYTES) {
    pool ??= Buffer.alloc(POOL_BYTES);
    randomFillSync(pool);
    used = 0;
  }
  const key = readMaskKey(pool!, used);
  used += KEY_BYTES;
  return key;
}
