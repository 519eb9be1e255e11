import { notABody } from '../wording.ts';

/**
 * Refuses what is not made of bytes. Of wider elements `length` and `byteLength` differ, and a frame that is sized by
 * one and filled by the other would show the peer what was in that memory before.
 *
 * @param what - `a message`
 */
export function checkBytes(data: Uint8Array, what: string): void {
  if (data?.BYTES_PER_ELEMENT !== 1) throw notABody(what, data);
}
