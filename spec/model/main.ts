import { parseArgs } from 'node:util';
import { showFound } from './show.ts';
import { search } from './search.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' }, path: { type: 'string' }, steps: { type: 'string' }, shrink: { type: 'boolean', default: true } },
});
const minutes = Number(values.minutes);
const seed = values.seed === undefined ? Date.now() & 0x7fffffff : Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(seed)) throw new Error('give --minutes above 0, and --seed as a whole number');

if (values.path !== undefined) {
  const { found } = await search(seed, 1, { path: values.path, replayPath: values.steps });
  console.log(found === undefined ? 'nothing is wrong with it' : showFound(found));
  process.exit(found === undefined ? 0 : 1);
}
const start = performance.now();
const known = new Set<string>();
let executions = 0;
for (let turn = 0; performance.now() - start < minutes * 60_000 && known.size < 30; turn++) {
  const result = await search(seed + turn, 200, { known, shrinks: true });
  executions += result.executions;
  const { found } = result;
  if (found === undefined) continue;
  known.add(found.key);
  console.log(`\n== ${showFound(found)}\nafter ${executions} executions`);
}
console.log(`${executions} executions, seed ${seed}, ${known.size} findings, ${((performance.now() - start) / executions).toFixed(1)} ms each`);
process.exit(known.size > 0 ? 1 : 0);
