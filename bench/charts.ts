/**
 * Draws what was measured: one chart per group of cases, as SVG that follows the reader's colour scheme.
 *
 *     node --import tsx bench/charts.ts [results.json]    draws again, and writes the tables, without measuring
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OURS } from './e2e/contestants.ts';
import { METRICS } from './job.ts';
import { type JobResult, type Report, resultsOf } from './rounds.ts';
import { CHARTS, type Chart, SHOWN, VARIANTS } from './shown.ts';
import { escapeXml, LABEL_X, page, text } from './svg.ts';
import { writeTables } from './tables.ts';

const BAR_X = 190;
const BAR_WIDTH = 440;
const BAR_HEIGHT = 16;
const ROW = 22;
const HEAD = 68;
const GROUP_HEAD = 30;
const GROUP_GAP = 8;
const FOOT = 40;

/** Shows the results in the documentation: as charts in docs/assets, and as tables in two pages. */
export function publish(report: Report, root: string): void {
  drawCharts(report, join(root, 'docs', 'assets'));
  writeTables(report, root);
}

/** Draws all charts for which there are results into `folder`. */
function drawCharts(report: Report, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const chart of CHARTS) {
    const results = resultsOf(report, Object.keys(chart.cases));
    if (results.length > 0) writeFileSync(join(folder, `${chart.file}.svg`), draw(chart, results, report));
  }
}

function draw({ title, subtitle, metric, cases }: Chart, results: readonly JobResult[], report: Report): string {
  const parts: string[] = [];
  let y = HEAD;
  for (const result of results) {
    const rows = SHOWN.map((name) => result.rows.find((row) => row.name === name)).filter((row) => row !== undefined);
    const most = Math.max(...rows.map(({ medians }) => medians[metric]!));
    parts.push(text(LABEL_X, y + 18, 'ink strong', cases[result.name]!));
    y += GROUP_HEAD;
    for (const { name, medians } of rows) {
      const isOurs = name === OURS;
      const value = medians[metric]!;
      const width = Math.max(1, (value / most) * BAR_WIDTH);
      parts.push(
        text(LABEL_X, y + 13, isOurs ? 'ink strong' : 'faint', name),
        `<rect class="${isOurs ? 'ours' : VARIANTS.includes(name) ? 'variant' : 'bar'}" x="${BAR_X}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
        text(BAR_X + width + 8, y + 13, isOurs ? 'ink strong' : 'ink', formatValue(value, metric)),
      );
      y += ROW;
    }
    y += GROUP_GAP;
  }
  const height = y + FOOT;
  const scale = results.length > 1 ? 'Each group has a scale of its own. ' : '';
  const source = `${scale}${report.date}, ${report.machine[0]}; medians of ${report.rounds} rounds.`;
  parts.unshift(text(LABEL_X, 30, 'ink title', title), text(LABEL_X, 52, 'faint', subtitle));
  parts.push(text(LABEL_X, height - 14, 'faint', source));
  return page(height, escapeXml(`${title}: ${subtitle}`), parts);
}

function formatValue(value: number, metric: string): string {
  if (metric === 'bytesPerConnection') return `${(value / 1000).toFixed(1)} KB`;
  if (value >= 1000) return `${threeDigits(value / 1000)} ms`;
  return `${threeDigits(value)} ${METRICS[metric]!.title.replace('CPU ', '')}`;
}

function threeDigits(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const file = process.argv[2] ?? join(root, 'bench', 'results', 'published.json');
  if (existsSync(file)) publish(JSON.parse(readFileSync(file, 'utf8')) as Report, root);
  else console.log(`there is no ${file} yet: npm run bench -- --publish`);
}
