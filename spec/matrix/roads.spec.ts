import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cell, ROADS } from './cell.ts';
import { EVENTS } from './events.ts';
import { readExpectations, reasonOf } from './expected.ts';
import { STATES } from './states.ts';

/**
 * The matrix once more over TLS and over a stream that is no socket, where the connection is, or is to be, a WebSocket. How
 * it ends is the same. How many messages were handled and answered before an end that is not clean may not be: each road
 * brings the bytes in other pieces, and tells of its end at another time.
 */

const CONCURRENCY = 25;

process.removeAllListeners('warning');

/** States of which another server has the plain requests. */
const isPlayable = ({ name, kind }: { name: string; kind: string }): boolean =>
  kind !== 'plain' && name !== 'behind a response';

/** An ending without the counts that a road may change. */
function withoutCounts(ending: string): string {
  return /\b(lost|cut|fails|unanswered|nothing)\b/.test(ending) ? ending.replace(/ \d+\/\d+/, '') : ending;
}

const cells = readExpectations().cells;

for (const road of ROADS) {
  if (road === 'TCP') continue;
  describe(`the end of a connection over ${road}`, { concurrency: CONCURRENCY }, () => {
    for (const [stateName, eventName, ending] of cells) {
      const state = STATES.find(({ name }) => name === stateName);
      const event = EVENTS.find(({ name }) => name === eventName);
      if (state === undefined || event === undefined || reasonOf(ending) !== undefined || !isPlayable(state)) continue;
      it(`${stateName} × ${eventName}: ${ending}`, async () => {
        assert.equal(withoutCounts(await new Cell(state, event, road).play()), withoutCounts(ending));
      });
    }
  });
}
