import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { describeError, ERROR_CODES } from '../../lib/errors.ts';
import { END_CAUSES } from '../../lib/net/connection-end.ts';
import { readPage } from '../docs/markdown.ts';
import { cleanUp } from '../support/clean-up.ts';
import { type Road, Stage } from './stage.ts';
import { WAYS } from './ways.ts';

/** Each way in which a WebSocket can end, as the documentation tells it: what the client sees, and what the hook is told. */

const PAGE = 'docs/reference/endings.md';

/** The rows of a table, by the text of its first column. */
function readTable(header: string): Map<string, string[]> {
  const { lines } = readPage(PAGE);
  const start = lines.findIndex((line) => line.startsWith(`| ${header} |`));
  const rows = new Map<string, string[]>();
  for (let i = start + 2; lines[i]?.startsWith('|'); i++) {
    const [first, ...cells] = lines[i]!.split('|').slice(1, -1);
    rows.set(
      first!.trim(),
      cells.map((cell) => cell.trim()),
    );
  }
  return rows;
}

describe(PAGE, () => {
  it('has a row for each way that is played, and no other', () => {
    assert.deepEqual(
      [...readTable('way').keys()],
      WAYS.map(({ name }) => name),
    );
  });

  it('has a row for each cause, with who it is that ends, and a way to it', () => {
    const causes = readTable('cause');
    const ways = [...readTable('way').values()];
    assert.deepEqual(
      [...causes.keys()],
      END_CAUSES.map((cause) => `\`${cause}\``),
    );
    for (const [cause, [by]] of causes) {
      const ends = ways.filter((cells) => cells[0] === cause);
      assert.ok(ends.length > 0, cause);
      assert.ok(
        ends.every((cells) => cells[1] === by),
        cause,
      );
    }
  });
});

describe('the errors that say why a connection ended', () => {
  const CODES = [
    'WS_ERR_HANDLER',
    'WS_ERR_HEARTBEAT',
    'WS_ERR_IDLE',
    'WS_ERR_CLOSE_TIMEOUT',
    'WS_ERR_SHUTDOWN',
    'WS_ERR_HANGUP',
    'WS_ERR_RESET',
    'WS_ERR_LOST',
  ];

  it('are all in the table', () => {
    assert.deepEqual(
      ERROR_CODES.filter((code) => describeError(code).class === 'ConnectionEndError'),
      CODES,
    );
    const seen = new Set([...readTable('way').values()].map((cells) => cells.at(-1)!.split(' ')[0]));
    assert.deepEqual(
      CODES.filter((code) => !seen.has(code)),
      [],
    );
  });
});

for (const road of ['TCP', 'TLS'] satisfies Road[]) {
  describe(`the ways to end, over ${road}`, () => {
    const warnings: unknown[] = [];
    const collect = (warning: NodeJS.ErrnoException) => void warnings.push(warning.code);
    let listeners: NodeJS.WarningListener[] = [];

    before(() => {
      listeners = process.listeners('warning');
      process.removeAllListeners('warning');
      process.on('warning', collect);
    });
    afterEach(cleanUp);
    after(() => {
      process.off('warning', collect);
      for (const listener of listeners) process.on('warning', listener);
      assert.deepEqual(warnings, ['WS_ERR_MESSAGE_CHANGED'], 'nothing else is warned of');
    });

    for (const way of WAYS) {
      it(way.name, async () => {
        assert.deepEqual(await new Stage(way).play(road), readTable('way').get(way.name));
      });
    }
  });
}
