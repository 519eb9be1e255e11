import { parseArgs } from 'node:util';
import type { Role } from '../../lib/protocol/events.ts';
import { MESSAGE_BYTES, PARAMETER_SETS, playCompression, SPREAD_SETS } from '../rfc/compression-cases.ts';

/**
 * Plays the cases of compression many times over: every set of parameters, both roles, each length of a message.
 *
 *     npm run conformance                                 all of it: some two hours
 *     npm run conformance -- --rounds=20                  fewer messages a case than a thousand
 *     npm run conformance -- --sets=spread --from=32768   the sets with each window in each direction; larger messages only
 *     npm run conformance -- --part=3/16                  the third of 16 parts
 */

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1000' },
    sets: { type: 'string', default: 'all' },
    from: { type: 'string', default: '0' },
    to: { type: 'string', default: 'Infinity' },
    part: { type: 'string', default: '1/1' },
  },
});
const rounds = Number(values.rounds);
const [part, parts] = values.part.split('/').map(Number) as [number, number];
const sets = values.sets === 'spread' ? SPREAD_SETS : PARAMETER_SETS;
const sizes = MESSAGE_BYTES.filter((bytes) => bytes >= Number(values.from) && bytes <= Number(values.to));
const roles: readonly Role[] = ['server', 'client'];

let cases = 0;
let messages = 0;
let compressed = 0;
let failed = 0;
for (const [i, params] of sets.entries()) {
  if (i % parts !== part - 1) continue;
  for (const role of roles) {
    for (const bytes of sizes) {
      cases++;
      try {
        compressed += await playCompression({ role, params, bytes }, rounds);
        messages += rounds;
      } catch (error) {
        failed++;
        console.error(error);
      }
    }
  }
}
console.log(
  `Node ${process.version}: ${cases} cases of ${rounds} messages, ${messages} echoed, ${compressed} of them compressed, ${failed} cases failed`,
);
process.exitCode = failed > 0 || cases === 0 ? 1 : 0;
