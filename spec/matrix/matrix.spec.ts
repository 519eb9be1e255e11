import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeCells } from './describe-cells.ts';
import { EVENTS } from './events.ts';
import { PAGE, readExpectations, reasonOf } from './expected.ts';
import { STATES } from './states.ts';

/**
 * What a connection is doing, times what happens to it. Each cell is a server, a client that speaks bytes, and an ending
 * that a page of the documentation has foreseen.
 */

describe(PAGE, () => {
  const { states, events, reasons, cells } = readExpectations();

  it('has the states and events that are played, and a cell for each pair', () => {
    const [stateNames, eventNames] = [STATES.map(({ name }) => name), EVENTS.map(({ name }) => name)];
    assert.deepEqual(states, stateNames);
    assert.deepEqual(events, eventNames);
    const pairs = stateNames.flatMap((state) => eventNames.map((event) => `${state} × ${event}`));
    assert.deepEqual(cells.map(([state, event]) => `${state} × ${event}`).sort(), pairs.sort());
  });

  it('has a reason for each dash, and a dash for each reason', () => {
    const used = new Set<string>();
    for (const [state, event, ending] of cells) {
      assert.notEqual(ending, '', `${state} × ${event}`);
      const reason = reasonOf(ending);
      assert.ok(reason !== undefined || !ending.includes('–'), `${state} × ${event}: ${ending}`);
      if (reason !== undefined) used.add(reason);
    }
    assert.deepEqual([...used].sort(), reasons);
  });
});

describeCells('TCP');
