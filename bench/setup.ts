import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { buildAll, buildLibraryAt, ROOT } from './build.ts';
import type { Options } from './options.ts';
import { findBun, findNode, MAIN_NODE, OLD_NODE } from './runtimes.ts';

const PEERS = join(ROOT, 'bench', 'peers');

/** Where the programs and files of a measurement are. */
export interface Setup {
  /** Folder of the compiled benches. */
  readonly bench: string;
  /** URL of the folder of the compiled library. */
  readonly lib: string;
  /** A file in the folder whose node_modules hold the peers. */
  readonly peers: string;
  /** The programs that servers run on; one that is missing is not installed. */
  readonly runtimes: Readonly<Partial<Record<'main' | 'old' | 'bun', string>>>;
  /** The program that runs the load, the same one for all. */
  readonly loadNode: string;
  /** Further flags for what is ours, such as those of the profiler. */
  readonly nodeFlags: readonly string[];
  /** Whether processes can be bound to cores: the server has one for itself, and the load another. */
  readonly pinned: boolean;
}

/** Compiles what is to be measured into `folder`, and looks for the programs to run it. */
export function makeSetup(
  folder: string,
  options: Pick<Options, 'node' | 'fetch' | 'ref' | 'profile' | 'smoke'>,
): Setup {
  const main = options.node ?? findNode(MAIN_NODE, options.fetch) ?? process.execPath;
  const old = findNode(OLD_NODE, options.fetch);
  const bun = findBun(PEERS);
  const built = buildAll(folder);
  return {
    ...built,
    ...(options.ref !== undefined && { lib: buildLibraryAt(options.ref, join(folder, 'ref')) }),
    peers: join(PEERS, 'package.json'),
    runtimes: { main, ...(old !== undefined && { old }), ...(bun !== undefined && { bun }) },
    loadNode: findNode(MAIN_NODE, false) ?? process.execPath,
    nodeFlags: options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(options.profile)}`],
    // Nothing is measured in a smoke run, and it is done sooner on all cores.
    pinned: !options.smoke && canPin(),
  };
}

export function isInstalled({ peers }: Setup, name: string): boolean {
  try {
    createRequire(peers).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Whether processes can be bound to cores, and there is more than one. */
export function canPin(): boolean {
  if (availableParallelism() < 2) return false;
  try {
    execFileSync('taskset', ['-c', '0,1', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
