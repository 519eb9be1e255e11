import { parseArgs } from 'node:util';
import { search } from './search.ts';
import { showFound } from './show.ts';
import { tryMutants } from './try-mutants.ts';

/**
 * `npm run model -- --minutes 10 --seed 1`: plays runs of the model for so long, and prints what it found, each finding as
 * small as it gets. Exits with 1 when there is one.
 *
 * With `--tcp` peers come by TCP, which takes a hundred times as long. `--runs 500` plays so many at most, and ends with the first that fails; `--path 3:1:0 --steps B:VF` plays one that was
 * found; `--mutants` shows that the model finds what was repaired, each repair taken out (`--only text`: of those rows).
 */

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    runs: { type: 'string' },
    path: { type: 'string' },
    steps: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    only: { type: 'string' },
    tcp: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
const seed = values.seed === undefined ? Date.now() & 0x7fffffff : Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(seed)) throw new Error('give --minutes above 0, and --seed as a whole number');

const MAX_FINDINGS = 30;
const RUNS_OF_A_SEED = 200;
/** A mutant that was not found by then is not found. */
const RUNS_OF_A_MUTANT = 10_000;

/** Plays one run that was found. */
async function replay(path: string): Promise<number> {
  const { found } = await search(seed, 1, { path, replayPath: values.steps, isTcp: values.tcp });
  console.log(found === undefined ? 'nothing is wrong with it' : showFound(found));
  return found === undefined ? 0 : 1;
}

/** Plays until the first that fails. */
async function playSome(maxRuns: number): Promise<number> {
  const { executions, found } = await search(seed, maxRuns, { isTcp: values.tcp });
  console.log(`${executions} executions, seed ${seed}${found === undefined ? '' : `; ${found.oracle}`}`);
  if (found !== undefined) console.log(showFound(found));
  return found === undefined ? 0 : 1;
}

async function playFor(milliseconds: number): Promise<number> {
  const start = performance.now();
  const known = new Set<string>();
  let executions = 0;
  for (let turn = 0; performance.now() - start < milliseconds && known.size < MAX_FINDINGS; turn++) {
    const result = await search(seed + turn, RUNS_OF_A_SEED, { known, shrinks: true, isTcp: values.tcp });
    executions += result.executions;
    if (result.found === undefined) continue;
    known.add(result.found.key);
    console.log(`\n== ${showFound(result.found)}\nafter ${executions} executions`);
  }
  const took = ((performance.now() - start) / executions).toFixed(1);
  console.log(`${executions} executions of ${took} ms, seed ${seed}, ${known.size} findings`);
  return known.size > 0 ? 1 : 0;
}

async function showMutants(): Promise<number> {
  let missed = 0;
  console.log('| what goes wrong | what is taken out | seed | runs | oracle |\n|---|---|---|---|---|');
  for await (const { mutant, executions, oracle } of tryMutants(
    seed,
    Number(values.runs ?? RUNS_OF_A_MUTANT),
    values.only,
  )) {
    if (oracle === undefined) missed++;
    console.log(`| ${mutant.row} | ${mutant.what} | ${seed} | ${executions} | ${oracle ?? 'none'} |`);
  }
  return missed;
}

let status: number;
if (values.path !== undefined) status = await replay(values.path);
else if (values.mutants) status = await showMutants();
else if (values.runs !== undefined) status = await playSome(Number(values.runs));
else status = await playFor(minutes * 60_000);
process.exit(status > 0 ? 1 : 0);
