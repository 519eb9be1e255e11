import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { type FuzzTarget, mutate, Random, readCorpus, shrink } from './fuzzing.ts';

/**
 * `npm run fuzz`, or `npm run fuzz -- protocol --seconds 60 --seed 1` for one target: feeds each target of spec/fuzz with
 * mutated seeds for so long, and says what came out. The oracle is the documentation: what escapes that it does not name
 * is a finding. Exits with 1 when there is one.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '10' }, seed: { type: 'string' } },
});
const seconds = Number(values.seconds);
const seed = values.seed === undefined ? Date.now() & 0x7fffffff : Number(values.seed);
if (!(seconds > 0) || !Number.isInteger(seed)) throw new Error('give --seconds above 0, and --seed as a whole number');

const MAX_FINDINGS = 5;
/** How many inputs are kept to be mutated; beyond, new ones take the places of old ones. */
const MAX_POOL = 2000;
const SAMPLES = 64;

interface Finding {
  readonly input: Buffer;
  readonly salt: number;
  readonly error: unknown;
}

/** What was thrown where nobody could catch it. */
const escaped: unknown[] = [];
process.on('uncaughtException', (error) => escaped.push(error));
process.on('unhandledRejection', (error) => escaped.push(error));

async function runOnce(target: FuzzTarget, input: Buffer, salt: number): Promise<string> {
  const pending = target.run(Buffer.from(input), new Random(salt));
  const outcome = typeof pending === 'string' ? pending : await pending;
  if (escaped.length > 0) throw new Error('something was thrown that nobody could catch', { cause: escaped.pop() });
  return outcome;
}

async function tryOnce(target: FuzzTarget, input: Buffer, salt: number): Promise<Finding | string> {
  try {
    return await runOnce(target, input, salt);
  } catch (error) {
    escaped.length = 0;
    return { input, salt, error };
  }
}

/** Short inputs are run sooner, and say as much. */
function pickShort(pool: readonly Buffer[], random: Random): Buffer {
  const [one, other] = [random.pick(pool), random.pick(pool)];
  return one.length < other.length ? one : other;
}

/** Runs one target until its time is over, and prints what came out. Returns the number of executions and of findings. */
async function fuzz(target: FuzzTarget): Promise<{ executions: number; findings: number }> {
  const random = new Random(seed);
  const pool = readCorpus(target.name);
  const outcomes = new Set<string>();
  const findings = new Map<string, Finding>();
  const fresh = [...pool];
  const start = performance.now();
  let executions = 0;
  let turn = start;
  while (performance.now() - start < seconds * 1000 && findings.size < MAX_FINDINGS) {
    if (fresh.length === 0 && random.oneIn(SAMPLES * 4)) {
      fresh.push(...fc.sample(target.inputs, { numRuns: SAMPLES, seed: random.next() | 0 }));
    }
    const input = fresh.pop() ?? mutate(pickShort(pool, random), pickShort(pool, random), random);
    const salt = random.next();
    const result = await tryOnce(target, input, salt);
    executions++;
    if (typeof result !== 'string') {
      findings.set(String(result.error instanceof Error ? result.error.message : result.error), result);
    } else if (!outcomes.has(result)) {
      outcomes.add(result);
      if (pool.length < MAX_POOL) pool.push(input);
      else pool[random.below(MAX_POOL)] = input;
    }
    if (performance.now() - turn > 100) {
      // Lets what was thrown asynchronously, and timers, have their turn.
      await new Promise((done) => setImmediate(done));
      turn = performance.now();
    }
  }
  const took = ((performance.now() - start) / 1000).toFixed(1);
  console.log(
    `${target.name}: ${executions} executions in ${took} s, ${outcomes.size} outcomes, ${findings.size} findings`,
  );
  for (const finding of findings.values()) await report(target, finding);
  return { executions, findings: findings.size };
}

async function report(target: FuzzTarget, { input, salt, error }: Finding): Promise<void> {
  const smallest = await shrink(input, async (bytes) => typeof (await tryOnce(target, bytes, salt)) !== 'string');
  console.error(`\nfinding of ${target.name}, salt ${salt}:\n${smallest.toString('hex')}`);
  console.error(JSON.stringify(smallest.toString('latin1')));
  console.error(error);
}

let executions = 0;
let findings = 0;
const folder = resolve('spec', 'fuzz');
const names = readdirSync(folder).filter((name) => name.endsWith('.fuzz.ts'));
const asked = names.filter(
  (name) => positionals.length === 0 || positionals.includes(name.slice(0, -'.fuzz.ts'.length)),
);
if (asked.length === 0) throw new Error(`no such target: there are ${names.join(', ')}`);
for (const name of asked) {
  const { target } = (await import(pathToFileURL(resolve(folder, name)).href)) as { target: FuzzTarget };
  const result = await fuzz(target);
  executions += result.executions;
  findings += result.findings;
}
console.log(`${executions} executions of ${asked.length} targets, seed ${seed}, ${findings} findings`);
process.exit(findings > 0 ? 1 : 0);
