import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { END_TO_END } from './e2e/cases.ts';
import { OURS } from './e2e/contestants.ts';
import { METRICS } from './job.ts';
import { type JobResult, type Report, type Row, resultsOf } from './rounds.ts';
import { CHARTS, type Chart, SHOWN } from './shown.ts';

/** Where results stand in a page. */
const OPEN = '<!-- results -->';
const CLOSE = '<!-- /results -->';

/** The numbers that tables have, of those that a case has; the rest is in the JSON. */
const COLUMNS: readonly string[] = [
  'bytesPerConnection',
  'heapPerConnection',
  'cpuMicros',
  'cpuNanos',
  'perSecond',
  'p50Micros',
  'p99Micros',
  'rssMegabytes',
];

/** The parts of the library that stand in the tables, beside all cases of whole servers. */
const PARTS: readonly string[] = [
  'events-20',
  'events-1k',
  'parse-20-64k',
  'parse-20-frame',
  'parse-20-byte',
  'parse-1k-64k',
  'parse-16k-64k',
  'parse-1m-64k',
  'parse-text-20',
  'parse-text-1k',
  'assemble-16x1k',
  'mask-20',
  'mask-1k',
  'mask-16k',
  'encode-20',
  'encode-text-20',
  'encode-1k',
  'encode-masked-1k',
  'utf8-ascii-20',
  'utf8-ascii-1k',
  'utf8-mixed-1k',
  'dispatch',
  'broadcast-32',
  'select',
];

/** The charts that README.md shows; docs/explanation/performance.md has all of them. */
const FIRST_CHARTS: readonly string[] = ['bench-echo', 'bench-chat'];

/** Writes the results into the pages that show them. */
export function writeTables(report: Report, root: string): void {
  writeInto(join(root, 'README.md'), formatSummary(report));
  writeInto(join(root, 'docs', 'explanation', 'performance.md'), formatTables(report));
}

function writeInto(file: string, content: string): void {
  writeFileSync(file, replaceResults(readFileSync(file, 'utf8'), content));
}

/** Puts `content` between the two marks of a page, instead of what is there. @throws {Error} where a mark is missing */
export function replaceResults(page: string, content: string): string {
  const start = page.indexOf(OPEN);
  const end = page.indexOf(CLOSE, start);
  if (start === -1 || end === -1) throw new Error(`a page for results has ${OPEN}, and behind it ${CLOSE}`);
  return `${page.slice(0, start + OPEN.length)}\n\n${content}\n\n${page.slice(end)}`;
}

/** How many times ours all others take, in one table; and the first charts. */
export function formatSummary(report: Report): string {
  const rows = CHARTS.flatMap(({ title, cases }) =>
    resultsOf(report, Object.keys(cases)).map((result) => ({ label: `${title}: ${cases[result.name]}`, result })),
  );
  const hasRatio = (name: string): boolean => rows.some(({ result }) => ratioTo(result, name) !== undefined);
  const peers = SHOWN.filter((name) => name !== OURS && hasRatio(name));
  const lines = rows.map(({ label, result }) => [label, ...peers.map((name) => formatTimes(ratioTo(result, name)))]);
  const charts = CHARTS.filter(({ file }) => FIRST_CHARTS.includes(file));
  return [
    formatTable(['times ours', ...peers], lines),
    `${report.date}, ${report.machine[0]}; medians of ${report.rounds} rounds.`,
    ...formatCharts(charts, report, 'docs/assets'),
  ].join('\n\n');
}

/** All cases of whole servers, and the most telling of the parts, each with all who took part. */
export function formatTables(report: Report): string {
  return [
    `Measured on ${report.date}; medians of ${report.rounds} rounds.`,
    report.machine.map((line) => `- ${line}`).join('\n'),
    ...formatCharts(CHARTS, report, '../assets'),
    ...resultsOf(report, [...END_TO_END.map(({ name }) => name), ...PARTS]).map(formatCase),
  ].join('\n\n');
}

function formatCharts(charts: readonly Chart[], report: Report, folder: string): string[] {
  const isDrawn = ({ cases }: Chart): boolean => report.results.some(({ name }) => name in cases);
  return charts.filter(isDrawn).map(({ title, subtitle, file }) => `![${title}: ${subtitle}](${folder}/${file}.svg)`);
}

function formatCase({ title, columns, metric, rows, notSupported, failures }: JobResult): string {
  const shown = COLUMNS.filter((column) => columns.includes(column));
  const lines = rows.map((row) => [
    row.name === OURS ? `**${row.name}**` : row.name,
    ...shown.map((column) => formatNumber(row.medians[column], METRICS[column]!.digits)),
    formatRatio(row),
  ]);
  const titles = shown.map((column) => (column === metric ? `**${METRICS[column]!.title}**` : METRICS[column]!.title));
  return [
    formatTable([title, ...titles, 'ours / it'], lines),
    ...notSupported.map((name) => `Not supported by ${name}.`),
    ...failures.map((failure) => `Failed: ${failure}.`),
  ].join('\n\n');
}

function formatTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const rule = head.map((_, i) => (i === 0 ? '---' : '---:'));
  const rows = lines.map((cells) => `| ${cells.join(' | ')} |`);
  return [`| ${head.join(' | ')} |`, `|${rule.join('|')}|`, ...rows].join('\n');
}

function ratioTo({ rows }: JobResult, name: string): number | undefined {
  return rows.find((row) => row.name === name)?.ratio;
}

/** How many times what ours takes the other one does: above 1, ours takes less. */
function formatTimes(ratio: number | undefined): string {
  if (!ratio) return '–';
  const times = 1 / ratio;
  return times.toFixed(times < 0.995 ? 2 : times < 9.95 ? 1 : 0);
}

function formatRatio({ name, ratio, ratioLow, ratioHigh }: Row): string {
  if (!ratio) return '–';
  return name === OURS ? '1' : `${ratio.toFixed(3)} (${ratioLow.toFixed(2)}–${ratioHigh.toFixed(2)})`;
}

/** What is no number comes out of JSON as `null`. */
function formatNumber(value: number | null | undefined, digits: number): string {
  if (!Number.isFinite(value)) return '–';
  return value!.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
