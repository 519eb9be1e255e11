import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT, readPage } from './markdown.ts';

const page = readPage('docs/reference/rfc-conformance.md');

interface Row {
  readonly section: string;
  readonly rule: string;
  readonly level: string;
  readonly holds: string;
  readonly obeyedIn: string;
  readonly provenBy: string;
}

const HOLDS = ['yes', 'stricter', 'yours', 'no client'];
const LEVELS = ['MUST', 'MUST NOT', 'SHOULD', 'SHOULD NOT', 'must', 'should', 'defined', 'reserved'];

const rows: Row[] = page.lines
  .filter((line) => line.startsWith('| ') && !line.startsWith('| § |'))
  .map((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    assert.equal(cells.length, 8, `six cells: ${line}`);
    const [, section, rule, level, holds, obeyedIn, provenBy] = cells as [string, ...string[]];
    return { section, rule, level, holds, obeyedIn, provenBy } as Row;
  });

const paths = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, path]) => path!);

describe(page.path, () => {
  it('has a row for each rule', () => {
    assert.ok(rows.length > 90, `${rows.length} rows`);
    for (const chapter of [4, 5, 6, 7, 8, 9, 10]) {
      assert.ok(
        rows.some(({ section }) => section.startsWith(`${chapter}`)),
        `§${chapter}`,
      );
    }
  });

  for (const { section, rule, level, holds, obeyedIn, provenBy } of rows) {
    it(`§${section} ${rule}: names files that are there`, () => {
      assert.match(section, /^\d+(\.\d+)*(, \d+(\.\d+)*)*$/);
      assert.ok(LEVELS.includes(level), level);
      assert.ok(HOLDS.includes(holds), holds);
      const [sources, specs] = [paths(obeyedIn), paths(provenBy)];
      // What holds is obeyed and proven somewhere.
      if (holds === 'yes' || holds === 'stricter') assert.ok(sources.length > 0 && specs.length > 0);
      for (const path of [...sources, ...specs]) assert.ok(existsSync(join(ROOT, path)), path);
      for (const path of sources) assert.match(path, /^lib\/.+\.ts$/);
      for (const path of specs) assert.match(path, /^spec\/.+\.spec\.ts$/);
    });
  }
});
