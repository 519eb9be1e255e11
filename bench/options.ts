import { parseArgs } from 'node:util';

export const HELP = `npm run bench -- [options] [part of a case's name ...]

  --smoke            every case once, as short as it can be: shows that all of it works
  --list             names the cases
  --rounds <n>       how often each is measured (5)
  --seconds <s>      how long each measurement takes (1.5 end to end, 0.3 for the codec)
  --peers <a,b>      measures only the peers whose name contains one of these, besides ours
  --node <path>      runs servers and cases on this program (else: Node 24 if it is there, or the one that runs this)
  --ref <git ref>    measures the library as it was then, rather than the working tree
  --fetch            fetches the versions of Node that are missing from the npm registry
  --profile <dir>    writes a CPU profile of each run of ours there
  --publish          writes bench/results/published.json, the charts in docs/assets and the tables of the docs
  --add              publishes the cases that are measured now beside those that were published before

The peers are optional: npm ci --prefix bench/peers`;

export interface Options {
  readonly filters: readonly string[];
  readonly smoke: boolean;
  readonly list: boolean;
  readonly rounds: number;
  readonly seconds: number | undefined;
  readonly peers: readonly string[] | undefined;
  readonly node: string | undefined;
  readonly ref: string | undefined;
  readonly fetch: boolean;
  readonly profile: string | undefined;
  readonly publish: boolean;
  readonly add: boolean;
}

/** Reads the command line; prints what there is to say when asked for help. @throws {TypeError} for unknown options */
export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      smoke: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      peers: { type: 'string' },
      node: { type: 'string' },
      ref: { type: 'string' },
      fetch: { type: 'boolean', default: false },
      profile: { type: 'string' },
      publish: { type: 'boolean', default: false },
      add: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  return {
    filters: positionals,
    smoke: values.smoke,
    list: values.list,
    rounds: values.rounds === undefined ? (values.smoke ? 1 : 5) : positive('rounds', values.rounds),
    seconds: values.seconds === undefined ? undefined : positive('seconds', values.seconds),
    peers: values.peers?.split(','),
    node: values.node,
    ref: values.ref,
    fetch: values.fetch,
    profile: values.profile,
    publish: values.publish || values.add,
    add: values.add,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`--${name} is ${text}: give a number above 0`);
  return value;
}
