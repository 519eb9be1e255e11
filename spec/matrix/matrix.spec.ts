import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { reservedContextBytes } from '../../lib/extensions/context-budget.ts';
import { timerWheel } from '../../lib/net/timer-wheel.ts';
import { until } from '../support/watchdog.ts';
import { Cell } from './cell.ts';
import { EVENTS } from './events.ts';
import { isAsExpected, PAGE, readExpectations, reasonOf } from './expected.ts';
import { STATES } from './states.ts';

/**
 * What a connection is doing, times what happens to it. Each cell is a server, a client that speaks bytes, and an ending
 * that a page of the documentation has foreseen.
 */

/** As many cells are played at once: most of them only wait. */
const CONCURRENCY = 25;

const expectations = readExpectations();

/** Warnings are for the application, and one is expected: of bytes that were transferred before they had left. */
const warnings = new Set<string | undefined>();
process.removeAllListeners('warning');
process.on('warning', (warning) => warnings.add((warning as NodeJS.ErrnoException).code ?? warning.message));

describe(PAGE, () => {
  it('has the states and events that are played, and a cell for each pair', () => {
    const names = [STATES, EVENTS].map((list) => list.map(({ name }) => name)) as [string[], string[]];
    assert.deepEqual(expectations.states, names[0]);
    assert.deepEqual(expectations.events, names[1]);
    const pairs = names[0].flatMap((state) => names[1].map((event) => `${state} × ${event}`));
    const cells = expectations.cells.map(([state, event]) => `${state} × ${event}`);
    assert.deepEqual(cells.sort(), pairs.sort());
  });

  it('has a reason for each dash, and a dash for each reason', () => {
    const used = new Set<string>();
    for (const [state, event, ending] of expectations.cells) {
      assert.notEqual(ending, '', `${state} × ${event}`);
      const reason = reasonOf(ending);
      assert.ok(reason !== undefined || !ending.includes('–'), `${state} × ${event}: ${ending}`);
      if (reason !== undefined) used.add(reason);
    }
    assert.deepEqual([...used].sort(), expectations.reasons);
  });
});

describe('the end of a connection', { concurrency: CONCURRENCY }, () => {
  const isNetwork = (resource: string) => resource.startsWith('TCP');
  const isTimer = (resource: string) => resource === 'Timeout';
  let timersBefore = 0;

  before(() => {
    timersBefore = process.getActiveResourcesInfo().filter(isTimer).length;
  });

  after(async () => {
    assert.equal(timerWheel.waiting, 0, 'nothing waits in the wheel');
    assert.equal(reservedContextBytes(), 0, 'no memory of compression is reserved');
    await until('all sockets are closed', () => !process.getActiveResourcesInfo().some(isNetwork));
    assert.equal(process.getActiveResourcesInfo().filter(isTimer).length, timersBefore, 'no timer is left');
    assert.deepEqual([...warnings], ['WS_ERR_MESSAGE_CHANGED']);
  });

  for (const [stateName, eventName, ending] of expectations.cells) {
    const state = STATES.find(({ name }) => name === stateName);
    const event = EVENTS.find(({ name }) => name === eventName);
    if (state === undefined || event === undefined || reasonOf(ending) !== undefined) continue;
    it(`${stateName} × ${eventName}: ${ending}`, async () => {
      const actual = await new Cell(state, event).play();
      if (!isAsExpected(actual, ending)) assert.equal(actual, ending);
    });
  }
});
