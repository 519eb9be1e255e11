/**
 * How much of the event loop one connection has before others have their turn: half a millisecond, where its work comes in
 * pieces. The time is looked at once in some pieces only, since that costs 50 ns.
 */
const SHARE_MS = 0.5;

let began = 0;

/** Says that the turn of a connection begins; there is one at a time. */
export function beginShare(): void {
  began = performance.now();
}

/** Whether it has had its share. */
export function isShareOver(): boolean {
  return performance.now() - began > SHARE_MS;
}
