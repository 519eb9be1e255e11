/**
 * What a spec has opened and must be closed again, whatever happens in between, so that its process ends by itself.
 * Use as `afterEach(cleanUp)`.
 */
const open: (() => unknown)[] = [];

/** Has `close` called at the end of the current test, the latest first. */
export function onCleanUp(close: () => unknown): void {
  open.push(close);
}

export async function cleanUp(): Promise<void> {
  while (open.length > 0) await open.pop()!();
}
