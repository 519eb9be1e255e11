import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

const MAX_SHOWN_BYTES = 64;

/** `assert.deepEqual` for values that may hold large buffers: those are told apart by a digest, as a diff takes minutes. */
export function assertSame(actual: unknown, expected: unknown, message?: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  assert.deepEqual(brief(actual), brief(expected), message);
  assert.fail(message ?? 'the values differ');
}

function brief(value: unknown): unknown {
  if (typeof value === 'string' && value.length > MAX_SHOWN_BYTES) return digest(`${value.length} characters`, value);
  if (value instanceof Uint8Array && value.length > MAX_SHOWN_BYTES) return digest(`${value.length} bytes`, value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(brief);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, brief(field)]));
}

function digest(title: string, data: string | Uint8Array): string {
  return `${title}, sha1 ${createHash('sha1').update(data).digest('hex').slice(0, 12)}`;
}
