import { Buffer } from 'node:buffer';

/** The hash slots of Redis Cluster: which key belongs to which server. */

const CRC16_TABLE: Uint16Array = makeTable();

export const SLOT_COUNT = 16384;

/** The slot of a key: 0 to 16383, by its hash tag if it has one. */
export function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open + 1);
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (const byte of Buffer.from(hashed)) crc = ((crc << 8) & 0xffff) ^ CRC16_TABLE[(crc >> 8) ^ byte]!;
  return crc % SLOT_COUNT;
}

/** CRC16 as XMODEM has it: the polynomial is 0x1021. */
function makeTable(): Uint16Array {
  return Uint16Array.from({ length: 256 }, (_, index) => {
    let crc = index << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    return crc;
  });
}

/**
 * The slots of the server that answered CLUSTER NODES, in its own words, such as `0-5460 6000`; what is migrating is left
 * out. Empty for a replica.
 */
export function ownSlots(clusterNodes: string): string {
  const line = clusterNodes.split('\n').find((node) => node.split(' ')[2]?.split(',').includes('myself'));
  const [, , flags, , , , , , ...slots] = (line ?? '').trim().split(' ');
  return flags?.includes('master') ? slots.filter((slot) => !slot.startsWith('[')).join(' ') : '';
}

/** Each of such slots. */
export function* eachSlot(slots: string): Generator<number> {
  for (const range of slots.split(' ').filter((text) => text !== '')) {
    const [first, last = first] = range.split('-').map(Number);
    for (let slot = first!; slot <= last!; slot++) yield slot;
  }
}
