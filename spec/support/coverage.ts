import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * `npm run test:coverage`, or `npm run test:coverage -- codec` for one folder: every line and branch of these folders
 * must be run by the specs of the same folder alone, so that a file cannot hide behind an end-to-end spec that happens
 * to pass through it.
 *
 * The counts are V8's own (NODE_V8_COVERAGE), mapped back through the source maps that tsx makes. The reporters of
 * `--experimental-test-coverage` draw on the same counts but lose some on the way: on Node 20 they show lines of an
 * uncovered block as covered, from Node 22 on they report the wrong lines for code that a loader has transformed. Here
 * the judgement is made on the generated code, where the counts are exact, so all versions of Node agree.
 */
const FOLDERS = ['codec', 'protocol', 'handshake', 'extensions', 'channel', 'broadcast', 'topics'];

interface RawCoverage {
  result: { url: string; functions: { ranges: { startOffset: number; endOffset: number; count: number }[] }[] }[];
  'source-map-cache'?: Record<string, { lineLengths: number[]; data: SourceMapPayload }>;
}

/** The generated code of one file: which of its characters were run, in any process, and the way back to the source. */
interface Script {
  readonly ran: Uint8Array;
  readonly lineLengths: number[];
  readonly map: SourceMap;
}

/** Runs the specs of a folder and returns what they ran of its files, by path. */
function measure(folder: string, specs: string[]): Map<string, Script> {
  const directory = mkdtempSync(join(tmpdir(), 'hyperlane-coverage-'));
  try {
    const run = spawnSync(process.execPath, ['--import', 'tsx', '--test', '--test-reporter=tap', ...specs], {
      env: { ...process.env, NODE_V8_COVERAGE: directory },
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    const tests = Number(/^# tests (\d+)/m.exec(run.stdout)?.[1] ?? 0);
    if (run.status !== 0 || tests === 0) {
      console.error(run.stdout + run.stderr);
      throw new Error(`the specs of lib/${folder} must pass before they are measured (${tests} tests ran)`);
    }
    const scripts = new Map<string, Script>();
    for (const name of readdirSync(directory)) {
      merge(scripts, folder, JSON.parse(readFileSync(join(directory, name), 'utf8')) as RawCoverage);
    }
    return scripts;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Adds what one process ran. */
function merge(scripts: Map<string, Script>, folder: string, raw: RawCoverage): void {
  const prefix = pathToFileURL(resolve('lib', folder)).href;
  for (const { url, functions } of raw.result) {
    const cached = raw['source-map-cache']?.[url];
    if (!url.startsWith(`${prefix}/`) || cached === undefined) continue;
    const path = relative(process.cwd(), fileURLToPath(url));
    const { lineLengths } = cached;
    const length = lineLengths.reduce((sum, lineLength) => sum + lineLength + 1, 0);
    const script = scripts.get(path) ?? { ran: new Uint8Array(length), lineLengths, map: new SourceMap(cached.data) };
    if (script.ran.length !== length) throw new Error(`${path} was transformed in two ways: cannot add up its counts`);
    scripts.set(path, script);

    // An outer function or block stands before those inside it, and the innermost count is the one that holds.
    const ran = new Uint8Array(length);
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges) ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
    }
    for (let i = 0; i < length; i++) script.ran[i]! |= ran[i]!;
  }
}

/** The lines of the source that did not run, or not in full, with the first column of what did not; all from 0. */
function missedLines(script: Script, source: string[]): Map<number, number> {
  const missed = new Map<number, number>();
  let block: Mapped[] = [];
  let offset = 0;
  for (const [line, length] of script.lineLengths.entries()) {
    for (let column = 0; column <= length; column++, offset++) {
      if (script.ran[offset] === 0) {
        const entry = script.map.findEntry(line, column);
        // No entry: the loader's own helpers, which stand before all code of the source.
        if ('originalLine' in entry) {
          const isStart = entry.generatedLine === line && entry.generatedColumn === column;
          block.push({ line: entry.originalLine, column: entry.originalColumn, isStart });
        }
      } else if (block.length > 0) {
        for (const { line: at, column: from } of tokensOf(block, source)) {
          missed.set(at, Math.min(from, missed.get(at) ?? from));
        }
        block = [];
      }
    }
  }
  return missed;
}

/** Where a character of generated code comes from; `isStart` if a token of the source map starts just there. */
interface Mapped {
  readonly line: number;
  readonly column: number;
  readonly isStart: boolean;
}

/** The tokens of one block that did not run or, where it holds none of the source map's, the token before it. */
function tokensOf(block: Mapped[], source: string[]): Mapped[] {
  const isBrace = ({ isStart, line, column }: Mapped): boolean => isStart && source[line]?.[column] === '}';
  // V8 counts the end of a block after an `await` that always rejects; there is no code in it to run.
  if (block.every(isBrace)) return [];
  const tokens = block.filter((mapped) => mapped.isStart && !isBrace(mapped));
  return tokens.length > 0 ? tokens : block.slice(0, 1);
}

function listFiles(directory: string, suffix: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith(suffix))
    .sort()
    .map((name) => join(directory, name));
}

/** Prints what the specs of one folder leave out, one `file:line:column` a line, and returns how much that is. */
async function check(folder: string, files: string[]): Promise<number> {
  const specs = listFiles(join('spec', folder), '.spec.ts');
  const scripts = specs.length > 0 ? measure(folder, specs) : new Map<string, Script>();
  let misses = 0;
  const report = (place: string, what: string): void => {
    console.error(`  ${place}: ${what}`);
    misses++;
  };
  for (const file of files) {
    const script = scripts.get(file);
    if (script === undefined) {
      // A file of types alone is never loaded, and has nothing to load.
      const exports: object = await import(pathToFileURL(resolve(file)).href);
      if (Object.keys(exports).length > 0) report(`${file}:1`, 'no spec of its folder loads this file');
      continue;
    }
    const source = readFileSync(file, 'utf8').split('\n');
    for (const [line, column] of [...missedLines(script, source)].sort(([a], [b]) => a - b)) {
      report(`${file}:${line + 1}:${column + 1}`, source[line]?.trim() ?? '');
    }
  }
  console.log(
    `lib/${folder}: ${files.length} files, ${misses === 0 ? '100 %' : `${misses} lines with uncovered code`}`,
  );
  return misses;
}

let misses = 0;
let measured = 0;
const asked = process.argv.slice(2);
for (const folder of asked.length > 0 ? asked : FOLDERS) {
  const files = listFiles(join('lib', folder), '.ts');
  if (files.length === 0) continue;
  misses += await check(folder, files);
  measured += files.length;
}
if (measured === 0) throw new Error('found no files to measure: name folders of lib');
if (misses > 0) {
  console.error(`${misses} lines are not covered in full: name the missing case in a spec of the same folder`);
  process.exitCode = 1;
}
