import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { reservedContextBytes } from '../../lib/extensions/context-budget.ts';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import { until } from '../support/watchdog.ts';
import { Cell, type Road } from './cell.ts';
import { EVENTS } from './events.ts';
import { isAsExpected, readExpectations, reasonOf } from './expected.ts';
import { STATES, type State } from './states.ts';

/** As many cells are played at once: most of them only wait. */
const CONCURRENCY = 25;

/**
 * Has every cell played over one road, each a spec of its own; of states that are the listening server's own, only over
 * TCP.
 */
export function describeCells(road: Road): void {
  // Warnings are for the application, and one is expected: of bytes that were transferred before they had left.
  const warnings = new Set<string>();
  process.removeAllListeners('warning');
  process.on('warning', (warning: NodeJS.ErrnoException) => warnings.add(warning.code ?? warning.message));
  let timersBefore = 0;

  const playable = STATES.filter(({ needsListening }) => road === 'TCP' || needsListening !== true);
  const [withPool, others] = [true, false].map((holds) =>
    playable.filter(({ holdsPool = false }) => holdsPool === holds),
  );

  describe(`the end of a connection over ${road}`, { concurrency: true }, () => {
    before(() => {
      timersBefore = countResources('Timeout');
    });

    after(async () => {
      assert.equal(timerWheel.waiting, 0, 'nothing waits in the wheel');
      assert.equal(reservedContextBytes(), 0, 'no memory of compression is reserved');
      await until('all sockets are closed', () => countResources('TCP') === 0);
      assert.equal(countResources('Timeout'), timersBefore, 'no timer is left');
      assert.deepEqual(warnings, new Set(['WS_ERR_MESSAGE_CHANGED', 'WS_WARN_SEND_AFTER_CLOSE']));
    });

    describe('many at once', { concurrency: CONCURRENCY }, () => playAll(road, others!));
    describe('one after the other, since there is one thread pool', () => playAll(road, withPool!));
  });
}

function playAll(road: Road, states: readonly State[]): void {
  for (const [stateName, eventName, ending] of readExpectations().cells) {
    const state = states.find(({ name }) => name === stateName);
    const event = EVENTS.find(({ name }) => name === eventName);
    if (state === undefined || event === undefined || reasonOf(ending) !== undefined) continue;
    it(`${stateName} × ${eventName}: ${ending}`, async () => {
      const actual = await new Cell(state, event, road).play();
      if (!isAsExpected(actual, ending)) assert.equal(actual, ending);
    });
  }
}

/** How many of what keeps the process alive has a name that begins so. */
function countResources(prefix: string): number {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith(prefix)).length;
}
