import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MUTANTS, type Mutant } from './mutants.ts';

/** What came of one mutant. */
export interface Trial {
  readonly mutant: Mutant;
  readonly seed: number;
  /** Runs until the first that failed, that one included. */
  readonly executions: number;
  /** The oracle that spoke; `undefined` if none did. */
  readonly oracle: string | undefined;
}

/** Runs the model on a copy of the project with each mutant, until it fails or so many runs are played. */
export async function* tryMutants(seed: number, maxRuns: number, only?: string): AsyncGenerator<Trial> {
  for (const mutant of MUTANTS) {
    if (only !== undefined && !`${mutant.row} ${mutant.what}`.includes(only)) continue;
    const folder = copyWith(mutant);
    try {
      yield { mutant, seed, ...(await play(folder, seed, maxRuns)) };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

function copyWith({ edits, row }: Mutant): string {
  const folder = mkdtempSync(join(tmpdir(), 'hyperlane-mutant-'));
  for (const name of ['lib', 'spec', 'package.json', 'tsconfig.json']) {
    cpSync(name, join(folder, name), { recursive: true });
  }
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  for (const { file, search, replace } of edits) {
    const path = join(folder, 'lib', file);
    const [before, behind, ...more] = readFileSync(path, 'utf8').split(search);
    if (behind === undefined || more.length > 0) throw new Error(`not once in ${file}, for "${row}": ${search}`);
    writeFileSync(path, before + replace + behind);
  }
  return folder;
}

/** A process of its own for each: whatever a mutant does to it. */
async function play(
  cwd: string,
  seed: number,
  maxRuns: number,
): Promise<{ executions: number; oracle: string | undefined }> {
  const args = ['--no-warnings', '--max-old-space-size=600', '--import', 'tsx', 'spec/model/main.ts'];
  const child = spawn(process.execPath, [...args, '--seed', `${seed}`, '--runs', `${maxRuns}`], { cwd });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const code = await new Promise<number | null>((done) => child.once('exit', done));
  const match = /^(\d+) executions.*?(?:; (.*))?$/m.exec(output);
  if (match === null) return { executions: maxRuns, oracle: `the process ended with ${code}` };
  return { executions: Number(match[1]), oracle: match[2] };
}
