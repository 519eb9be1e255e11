import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const ROOT: string = fileURLToPath(new URL('..', import.meta.url));

/** What is measured, compiled as it is for the package: nothing that translates as it loads is in the way. */
export interface Built {
  /** Folder of the compiled benches. */
  readonly bench: string;
  /** URL of the folder of the compiled library. */
  readonly lib: string;
}

/** Compiles the benches, and the library they import, into `folder`. */
export function buildAll(folder: string): Built {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  compile(['-p', join(ROOT, 'bench', 'tsconfig.json'), '--outDir', folder]);
  return { bench: join(folder, 'bench'), lib: urlOf(join(folder, 'lib')) };
}

/** Compiles the library as it was at a git reference into `folder`; returns its URL. */
export function buildLibraryAt(reference: string, folder: string): string {
  const tree = join(folder, 'tree');
  mkdirSync(folder, { recursive: true });
  const git = (...args: string[]): void => void execFileSync('git', ['-C', ROOT, ...args], { stdio: 'ignore' });
  git('worktree', 'add', '--detach', '--force', tree, reference);
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
    compile(['-p', join(tree, 'tsconfig.build.json'), '--outDir', join(folder, 'lib')]);
  } finally {
    git('worktree', 'remove', '--force', tree);
  }
  return urlOf(join(folder, 'lib'));
}

function urlOf(folder: string): string {
  return `${pathToFileURL(folder).href}/`;
}

function compile(args: readonly string[]): void {
  const require = createRequire(import.meta.url);
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');
  // Types are checked elsewhere.
  execFileSync(process.execPath, [tsc, '--noCheck', ...args], { stdio: 'inherit' });
}
