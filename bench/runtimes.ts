import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where `.ci/run` keeps the versions of Node that it runs the specs on. */
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'hyperlane-ci');
/** The package that holds nothing but the program: there is one for each platform. */
const NODE_PACKAGE = `node-${process.platform}-${process.arch}`;
const EXE = process.platform === 'win32' ? '.exe' : '';

/** The version that the results are given for, where no other is asked for. */
export const MAIN_NODE = '24.21.0';
/** The version that uWebSockets.js runs on, and this library with it where the two are compared. */
export const OLD_NODE = '20.20.2';

/**
 * Finds a program of Node of the same major version as `version`: this very one, one that `.ci/run` has fetched, or,
 * if `fetch` is true, the one of the npm registry.
 */
export function findNode(version: string, fetch: boolean): string | undefined {
  const major = version.split('.')[0]!;
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const cached = existsSync(CACHE) ? readdirSync(CACHE).filter((name) => name.startsWith(`node-${major}.`)) : [];
  for (const folder of cached) {
    const path = programIn(join(CACHE, folder));
    if (existsSync(path)) return path;
  }
  return fetch ? fetchNode(version) : undefined;
}

function fetchNode(version: string): string {
  const folder = join(CACHE, `node-${version}`);
  mkdirSync(folder, { recursive: true });
  const args = [
    'install',
    '--silent',
    '--no-save',
    '--no-package-lock',
    '--prefix',
    folder,
    `${NODE_PACKAGE}@${version}`,
  ];
  execFileSync('npm', args, { stdio: 'inherit' });
  return programIn(folder);
}

function programIn(folder: string): string {
  return join(folder, 'node_modules', NODE_PACKAGE, 'bin', `node${EXE}`);
}

/** Finds the program of Bun among the installed peers: where npm put it, or where its install script moved it to. */
export function findBun(peers: string): string | undefined {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const arch = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const modules = join(peers, 'node_modules');
  const candidates = [
    join(modules, '@oven', `bun-${platform}-${arch}`, 'bin', `bun${EXE}`),
    join(modules, 'bun', 'bin', 'bun.exe'),
  ];
  return candidates.find((path) => existsSync(path));
}

/** What tells the version of a program of Node. */
export function versionOf(program: string): string {
  return execFileSync(program, ['--version'], { encoding: 'utf8' }).trim().replace(/^v/, '');
}
