import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

/** What application.ts says of types is so in a strict project, and each error that it expects is one. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCE = readFileSync(join(ROOT, 'spec/types/application.ts'), 'utf8');
const MARK = /^\s*\/\/ @ts-expect-error/;

describe('types', { timeout: 300_000 }, () => {
  let project: string;

  before(() => {
    project = mkdtempSync(join(tmpdir(), 'hyperlane-types-'));
    symlinkSync(join(ROOT, 'node_modules'), join(project, 'node_modules'));
    const compilerOptions = {
      target: 'ES2022',
      lib: ['ES2023'],
      module: 'nodenext',
      types: ['node'],
      strict: true,
      allowImportingTsExtensions: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: true,
      noEmit: true,
      paths: { 'hyperlane-ws': [join(ROOT, 'lib/index.ts')] },
    };
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['application.ts'] }));
  });
  after(() => rmSync(project, { recursive: true, force: true }));

  /** Compiles a source, and returns the lines that have errors. */
  function errorsOf(source: string): number[] {
    writeFileSync(join(project, 'application.ts'), source);
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '-p', '.', '--pretty', 'false'], {
      cwd: project,
      encoding: 'utf8',
    });
    return stdout
      .split('\n')
      .filter((line) => /^\S/.test(line))
      .map((line) => Number(/^application\.ts\((\d+),/.exec(line)?.[1] ?? assert.fail(line)));
  }

  it('take every line but those that are marked', () => {
    const lines = SOURCE.split('\n');
    const marked = lines.flatMap((line, i) => (MARK.test(line) ? [i + 2] : []));
    assert.ok(marked.length > 15);
    const found = errorsOf(lines.map((line) => (MARK.test(line) ? '//' : line)).join('\n'));
    assert.deepEqual([...new Set(found)], marked);
  });
});
