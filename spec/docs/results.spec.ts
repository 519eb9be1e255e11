import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { addToReport, type JobResult, type Report, type Row } from '../../bench/rounds.ts';
import { formatSummary, formatTables, replaceResults } from '../../bench/tables.ts';
import { ROOT } from './markdown.ts';

/** What was measured stands in the pages as it was measured. */

function row(name: string, medians: Row['medians'], ratio?: number): Row {
  const range = { ratioLow: (ratio ?? 0) * 0.9, ratioHigh: (ratio ?? 0) * 1.1 };
  return { name, medians, spread: 0.1, ratio, ...range };
}

const echo: JobResult = {
  name: 'echo-20-32',
  title: 'echo, 64 connections, 20 B, 32 in flight',
  metric: 'cpuMicros',
  columns: ['cpuMicros', 'perSecond', 'megabytesPerSecond', 'p50Micros', 'p99Micros', 'rssMegabytes', 'serverLoad'],
  rows: [
    row('hyperlane', { cpuMicros: 0.4, perSecond: 2_500_000, p50Micros: 800, p99Micros: 1200.4, rssMegabytes: 60 }, 1),
    row('ws', { cpuMicros: 12, perSecond: 80_000, p50Micros: 25_000, p99Micros: 30_000, rssMegabytes: 90 }, 0.0333),
    row('Bun', { cpuMicros: 0.3, perSecond: 3_000_000, p50Micros: 700, p99Micros: 900 }, 1.3333),
    row('net onread', { cpuMicros: 0.2, perSecond: 4_000_000, p50Micros: 500, p99Micros: 600, rssMegabytes: 50 }, 2),
  ],
  notSupported: ['websocket'],
  failures: ['uWebSockets.js, Node 20: does not answer'],
};

const mask: JobResult = {
  name: 'mask-1k',
  title: 'unmask 1 KiB, at every alignment',
  metric: 'cpuNanos',
  columns: ['cpuNanos', 'megabytesPerSecond'],
  rows: [row('hyperlane', { cpuNanos: 43.21 }, 1), row('bufferutil', { cpuNanos: Number.NaN })],
  notSupported: [],
  failures: [],
};

const report: Report = {
  date: '2026-11-24',
  machine: ['Node 24 on a machine', 'peers'],
  rounds: 5,
  results: [mask, echo],
};
/** What is written to a file and read again: `undefined` is left out, and what is no number is `null`. */
const kept = JSON.parse(JSON.stringify(report)) as Report;

describe('a report', () => {
  it('takes the results of a later one, and says which they are', () => {
    const faster = { ...echo, title: 'measured again' };
    const later = {
      ...report,
      date: '2026-11-25',
      machine: ['Node 24 on a machine', 'newer peers'],
      results: [faster],
    };
    const together = addToReport(report, later);
    assert.equal(together.date, '2026-11-24');
    assert.deepEqual(together.machine, [...report.machine, 'echo-20-32: newer peers, 2026-11-25']);
    assert.deepEqual(together.results, [mask, faster]);
  });
});

describe('the tables of results', () => {
  it('have each case with all who took part, and how it was measured', () => {
    assert.equal(
      formatTables(kept),
      `Measured on 2026-11-24; medians of 5 rounds.

- Node 24 on a machine
- peers

![Echo: CPU time of the server per message, less is better](../assets/bench-echo.svg)

| echo, 64 connections, 20 B, 32 in flight | **CPU µs** | per second | p50 µs | p99 µs | RSS MB | ours / it |
|---|---:|---:|---:|---:|---:|---:|
| **hyperlane** | 0.400 | 2,500,000 | 800 | 1,200 | 60 | 1 |
| ws | 12.000 | 80,000 | 25,000 | 30,000 | 90 | 0.033 (0.03–0.04) |
| Bun | 0.300 | 3,000,000 | 700 | 900 | – | 1.333 (1.20–1.47) |
| net onread | 0.200 | 4,000,000 | 500 | 600 | 50 | 2.000 (1.80–2.20) |

Not supported by websocket.

Failed: uWebSockets.js, Node 20: does not answer.

| unmask 1 KiB, at every alignment | **CPU ns** | ours / it |
|---|---:|---:|
| **hyperlane** | 43.2 | 1 |
| bufferutil | – | – |`,
    );
  });

  it('tell in short how many times ours the others take, also where it is less', () => {
    assert.equal(
      formatSummary(kept),
      `| times ours | ws | Bun |
|---|---:|---:|
| Echo: 20 B, 32 in flight | 30 | 0.75 |

2026-11-24, Node 24 on a machine; medians of 5 rounds.

![Echo: CPU time of the server per message, less is better](docs/assets/bench-echo.svg)`,
    );
  });

  it('are the same from what was measured as from what was kept of it', () => {
    assert.equal(formatTables(report), formatTables(kept));
    assert.equal(formatSummary(report), formatSummary(kept));
  });

  it('replace what stands between the marks, and nothing else', () => {
    const page = 'before\n\n<!-- results -->\n\nold\n\n<!-- /results -->\n\nafter\n';
    const replaced = 'before\n\n<!-- results -->\n\nnew\n\n<!-- /results -->\n\nafter\n';
    assert.equal(replaceResults(page, 'new'), replaced);
    assert.equal(replaceResults(replaced, 'new'), replaced);
    assert.throws(() => replaceResults('no marks', 'new'), /<!-- results -->/);
    assert.throws(() => replaceResults('<!-- /results --> <!-- results -->', 'new'), /<!-- \/results -->/);
  });
});

describe('the pages that show results', () => {
  const file = join(ROOT, 'bench', 'results', 'published.json');
  const published = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : undefined;

  for (const [path, format] of [
    ['README.md', formatSummary],
    ['docs/explanation/performance.md', formatTables],
  ] as const) {
    it(`${path} has a place for them, and there what was published last`, () => {
      const page = readFileSync(join(ROOT, path), 'utf8');
      assert.equal(page.split('<!-- results -->').length, 2);
      assert.notEqual(replaceResults(page, 'other'), page);
      if (published !== undefined) assert.equal(replaceResults(page, format(published)), page);
    });
  }
});
