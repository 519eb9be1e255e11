import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cell, ROADS } from './cell.ts';
import { EVENTS } from './events.ts';
import { isAsExpected, readExpectations, reasonOf } from './expected.ts';
import { STATES } from './states.ts';

/**
 * The matrix once more over TLS and over a stream that is no socket, where the connection is, or is to be, a WebSocket: how
 * it ends is the same.
 */

const CONCURRENCY = 25;

process.removeAllListeners('warning');

/** States of which another server has the plain requests. */
const isPlayable = ({ name, kind }: { name: string; kind: string }): boolean =>
  kind !== 'plain' && name !== 'behind a response';

const cells = readExpectations().cells;

for (const road of ROADS) {
  if (road === 'TCP') continue;
  describe(`the end of a connection over ${road}`, { concurrency: CONCURRENCY }, () => {
    for (const [stateName, eventName, ending] of cells) {
      const state = STATES.find(({ name }) => name === stateName);
      const event = EVENTS.find(({ name }) => name === eventName);
      if (state === undefined || event === undefined || reasonOf(ending) !== undefined || !isPlayable(state)) continue;
      it(`${stateName} × ${eventName}: ${ending}`, async () => {
        const actual = await new Cell(state, event, road).play();
        if (!isAsExpected(actual, ending)) assert.equal(actual, ending);
      });
    }
  });
}
