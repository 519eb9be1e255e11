/** Bytes from a hex literal; spaces are free, and split it where a reader wants to see a field end. */
export function hex(literal: string): Buffer {
  const digits = literal.replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not a hex literal: ${literal}`);
  return Buffer.from(digits, 'hex');
}
