import { BY_ROUND, type Job, METRICS, NotSupported, type Runner, type Sample } from './job.ts';
import { median, spread } from './statistics.ts';

/** What one contestant did in one case. */
export interface Row {
  readonly name: string;
  /** Median of each number over the rounds. */
  readonly medians: Sample;
  /** What some of the numbers were in each round. */
  readonly byRound?: Readonly<Record<string, readonly number[]>>;
  /** How far the compared number of the rounds lies apart, as a share of its median. */
  readonly spread: number;
  /** Ours divided by its, the median of the rounds: below 1, ours takes less. Absent where ours has no number. */
  readonly ratio: number | undefined;
  readonly ratioLow: number;
  readonly ratioHigh: number;
}

/** What came out of a case. */
export interface JobResult {
  readonly name: string;
  readonly title: string;
  readonly metric: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly notSupported: readonly string[];
  readonly failures: readonly string[];
}

/** All that a run came to, as it is kept in bench/results. */
export interface Report {
  readonly date: string;
  readonly machine: readonly string[];
  readonly rounds: number;
  readonly results: readonly JobResult[];
}

/** The results of these cases, in this order, as far as there are any. */
export function resultsOf({ results }: Report, names: readonly string[]): JobResult[] {
  return names.flatMap((name) => results.filter((result) => result.name === name));
}

/** A report with the results of a later one, in place of those of the same cases; says which these are. */
export function addToReport(before: Report, later: Report): Report {
  const names = later.results.map(({ name }) => name);
  const news = later.machine.filter((line) => !before.machine.includes(line));
  return {
    ...before,
    machine: [...before.machine, ...news.map((line) => `${names.join(', ')}: ${line}, ${later.date}`)],
    results: [...before.results.filter(({ name }) => !names.includes(name)), ...later.results],
  };
}

/**
 * Measures all who take part, round by round: forth in one round and back in the next (A B B A), so that a machine that
 * gets slower or faster meanwhile favours nobody.
 */
export async function runJob(job: Job, rounds: number, progress: string): Promise<JobResult> {
  const samples = new Map<string, Sample[]>(job.runners.map(({ name }) => [name, []]));
  const notSupported = new Set<string>();
  const failures: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? job.runners : job.runners.toReversed();
    for (const runner of order) {
      if (notSupported.has(runner.name)) continue;
      showProgress(`${progress} ${job.name}, round ${round + 1}/${rounds}: ${runner.name}`);
      await sampleInto(samples.get(runner.name)!, runner, notSupported, failures);
    }
  }
  showProgress('');
  const { name, title, metric, columns } = job;
  return { name, title, metric, columns, rows: makeRows(job, samples), notSupported: [...notSupported], failures };
}

/** Runs all who take part once, several at a time: nothing is measured, only shown to work. */
export async function tryJobs(jobs: readonly Job[], atOnce: number): Promise<readonly string[]> {
  const failures: string[] = [];
  const tasks = jobs.flatMap((job) => job.runners.map((runner) => ({ job, runner })));
  let started = 0;
  const runNext = async (): Promise<void> => {
    while (started < tasks.length) {
      const { job, runner } = tasks[started++]!;
      showProgress(`${started}/${tasks.length} ${job.name}: ${runner.name}`);
      const notSupported = new Set<string>();
      const failed: string[] = [];
      await sampleInto([], runner, notSupported, failed);
      if (notSupported.size > 0) console.log(`NOT SUPPORTED ${job.name}: ${runner.name}`);
      failures.push(...failed.map((failure) => `FAILED ${job.name}: ${failure}`));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, runNext));
  showProgress('');
  return failures;
}

async function sampleInto(
  list: Sample[],
  runner: Runner,
  notSupported: Set<string>,
  failures: string[],
): Promise<void> {
  try {
    list.push(await runner.run());
  } catch (error) {
    if (error instanceof NotSupported) notSupported.add(runner.name);
    else failures.push(`${runner.name}: ${(error as Error).message}`);
  }
}

function makeRows({ runners, metric, columns }: Job, samples: ReadonlyMap<string, readonly Sample[]>): Row[] {
  const ours = samples.get(runners[0]!.name)!;
  const rows: Row[] = [];
  for (const { name } of runners) {
    const own = samples.get(name)!;
    if (own.length === 0) continue;
    const values = own.map((sample) => sample[metric]!);
    const ratios = values.slice(0, ours.length).map((value, i) => ours[i]![metric]! / value);
    const medians = Object.fromEntries(
      Object.keys(own[0]!).map((key) => [key, median(own.map((sample) => sample[key]!))]),
    );
    const told = BY_ROUND.filter((key) => columns.includes(key));
    rows.push({
      name,
      medians,
      ...(told.length > 0 && {
        byRound: Object.fromEntries(told.map((key) => [key, own.map((sample) => round(sample[key]!))])),
      }),
      spread: spread(values),
      ratio: ratios.length === 0 ? undefined : median(ratios),
      ratioLow: Math.min(...ratios),
      ratioHigh: Math.max(...ratios),
    });
  }
  return rows;
}

/** A table for a terminal. */
export function formatResult({ name, title, columns, metric, rows, notSupported, failures }: JobResult): string {
  const cells = [['', ...columns.map((column) => METRICS[column]!.title), 'spread', 'ours / it']];
  for (const row of rows) {
    const values = columns.map((column) => (row.medians[column] ?? 0).toFixed(METRICS[column]!.digits));
    cells.push([row.name, ...values, `${Math.round(row.spread * 100)} %`, formatRatio(row)]);
  }
  const widths = cells[0]!.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
  const lines = cells.map((line) =>
    line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
  const notes = [
    ...rows.flatMap(formatRounds),
    ...notSupported.map((contestant) => `  NOT SUPPORTED by ${contestant}`),
    ...failures.map((failure) => `  FAILED ${failure}`),
  ];
  const of = METRICS[metric]!.title;
  return [`\n${name}: ${title} (compared by ${of})`, ...lines.map((line) => `  ${line}`), ...notes].join('\n');
}

/** What a median hides, a line for each contestant. */
function formatRounds({ name, byRound = {} }: Row): string[] {
  const parts = Object.entries(byRound).map(([key, numbers]) => `${METRICS[key]!.title} ${numbers.join(' ')}`);
  return parts.length === 0 ? [] : [`  ${name}, by round: ${parts.join('; ')}`];
}

function round(number: number): number {
  return Math.round(number);
}

function formatRatio({ ratio, ratioLow, ratioHigh }: Row): string {
  return ratio === undefined ? '-' : `${ratio.toFixed(3)} (${ratioLow.toFixed(2)}-${ratioHigh.toFixed(2)})`;
}

function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
