/**
 * Refuses what is not made of bytes. Of wider elements `length` and `byteLength` differ, and a frame that is sized by
 * one and filled by the other would show the peer what was in that memory before.
 */
export function checkBytes(data: Uint8Array, what: string): void {
  if (data?.BYTES_PER_ELEMENT !== 1) throw new TypeError(`${what} bytes as a Buffer or Uint8Array`);
}
