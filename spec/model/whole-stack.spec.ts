import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { seed } from '../support/seed.ts';
import { MUTANTS } from './mutants.ts';
import { search } from './search.ts';
import { showFound } from './show.ts';

/** `MODEL_RUNS=5000 npm test` plays more; `npm run model -- --minutes 60` plays on. */
const RUNS = Number(process.env.MODEL_RUNS ?? 150);
const RUNS_BY_TCP = Math.ceil(RUNS / 40);
/** On a machine that is busy with other specs fewer runs are played, unless their number was asked for. */
const LIMIT_MS = process.env.MODEL_RUNS === undefined ? 5000 : Number.POSITIVE_INFINITY;

describe(`The whole stack, seed ${seed}`, () => {
  it('keeps what it promises, whatever peers, streams, handlers and time do', async () => {
    const { executions, found } = await search(seed, RUNS, { shrinks: true, limitMs: LIMIT_MS });
    assert.equal(found && showFound(found), undefined);
    assert.ok(executions > 0);
  });

  it('does so over TCP', async () => {
    const { executions, found } = await search(seed, RUNS_BY_TCP, { limitMs: LIMIT_MS, isTcp: true });
    assert.equal(found && showFound(found), undefined);
    assert.ok(executions > 0);
  });
});

describe('What the model has to find', () => {
  for (const { row, edits } of MUTANTS) {
    it(`can still be put back: ${row}`, () => {
      for (const { file, search: text, replace } of edits) {
        assert.equal(readFileSync(join('lib', file), 'utf8').split(text).length, 2, `${file} has this once: ${text}`);
        assert.notEqual(replace, text);
      }
    });
  }
});
