import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode, encode, type SourceMapLine } from '@jridgewell/sourcemap-codec';
import { build, type Plugin, transform } from 'esbuild';
import { commonDeclarations } from './common-declarations.ts';
import { importsOf, joinDeclarations } from './join-declarations.ts';

/**
 * `npm run build`: makes `dist`, which is what the package ships. For each entry of `exports` in package.json:
 *
 * - A module with all that the entry imports of lib: a program that starts reads one file, and not a hundred. It is as
 *   readable as lib but for its comments, which are a third of lib and stay in the declarations.
 * - A source map, which tells the places of a stack trace in lib. The sources are not in it: with them the package would
 *   be twice as large, and a debugger shows code of node_modules as it runs unless it is told otherwise. A suite of tests has none:
 *   what fails in it says in words what is wrong.
 * - Declarations: those that the entries lead to, in one file for all, and what a CommonJS module needs to see of them.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DIST = join(ROOT, 'dist');
/** All declarations, without extension. */
const JOINED = 'declarations';
const WITHOUT_MAP = /broker-testing\.js(\.map)?$/;

interface Entry {
  /** Without folder and extension: `index`. */
  readonly name: string;
  /** Whether `require` has declarations of its own. */
  readonly isRequired: boolean;
}

function readEntries(): Entry[] {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { readonly default: string; readonly require?: unknown }>;
  };
  return Object.values(exports).flatMap((target) => {
    if (typeof target === 'string') return [];
    const name = /^\.\/dist\/([\w-]+)\.js$/.exec(target.default)?.[1];
    if (name === undefined) throw new Error(`package.json exports ${target.default}: an entry is ./dist/NAME.js`);
    return [{ name, isRequired: target.require !== undefined }];
  });
}

function compileDeclarations(): void {
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['-p', join(ROOT, 'tsconfig.build.json'), '--emitDeclarationOnly'];
  execFileSync(process.execPath, [tsc, ...options], { stdio: 'inherit' });
}

/** Joins the declarations that entries lead to: no entry leads to those of what is internal. */
function joinAll(entries: readonly Entry[]): void {
  const paths = entries.map(({ name }) => join(DIST, `${name}.d.ts`));
  const wanted = new Set<string>();
  const visit = (path: string): void => {
    if (wanted.has(path)) return;
    wanted.add(path);
    for (const other of importsOf(path)) visit(other);
  };
  for (const path of paths) for (const other of importsOf(path)) visit(other);
  const joined = joinDeclarations(wanted);
  removeAllBut(new Set(paths), DIST);
  writeFileSync(join(DIST, `${JOINED}.d.ts`), joined);
  for (const path of paths) {
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(/(?<= from )'\.[^']+'/g, `'./${JOINED}.js'`));
  }
}

function removeAllBut(wanted: ReadonlySet<string>, folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeAllBut(wanted, path);
    else if (!wanted.has(path)) rmSync(path);
  }
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
}

async function bundle(entries: readonly Entry[]): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: entries.map(({ name }) => join(ROOT, 'lib', `${name}.ts`)),
    outdir: DIST,
    bundle: true,
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 120,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    sourcemap: true,
    plugins: [WITHOUT_COMMENTS],
    write: false,
  });
  for (const { path, text } of outputFiles) {
    const isMap = path.endsWith('.map');
    if (!WITHOUT_MAP.test(path)) writeFileSync(path, isMap ? coarser(text) : text);
    else if (!isMap) writeFileSync(path, text.replace(/^\/\/# sourceMappingURL=.*\n/m, ''));
  }
}

const WITHOUT_COMMENTS: Plugin = {
  name: 'without comments',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = readFileSync(path, 'utf8');
      const contents = blankComments(source);
      if ((await codeOf(contents)) !== (await codeOf(source)))
        throw new Error(`${path}: what looks like a comment is none`);
      return { contents, loader: 'ts' };
    });
  },
};

/** Leaves empty the lines of comments that stand on lines of their own. */
function blankComments(source: string): string {
  return source.replace(/^[ \t]*(?:\/\/.*|\/\*[\s\S]*?\*\/[ \t]*)$/gm, (comment) => comment.replace(/[^\n]+/g, ''));
}

async function codeOf(source: string): Promise<string> {
  return (await transform(source, { loader: 'ts', minifyWhitespace: true, legalComments: 'none' })).code;
}

/** Makes a source map a tenth as large: it keeps the start of each line, and the calls, which are what a stack trace names. */
function coarser(text: string): string {
  const map = JSON.parse(text) as { mappings: string; sourcesContent: string[] };
  const sources = map.sourcesContent.map((source) => source.split('\n'));
  const isCall = ([, source, line, column]: SourceMapLine[number]): boolean =>
    source !== undefined && /^(?:new |throw |#?[\w$]+\()/.test(sources[source]![line!]!.slice(column));
  const lines = decode(map.mappings).map((line) => line.filter((segment, i) => i === 0 || isCall(segment)));
  // A fifth number of a segment would be an index of names.
  map.mappings = encode(lines.map((line) => line.map((segment) => segment.slice(0, 4) as typeof segment)));
  return JSON.stringify({ ...map, names: [], sourcesContent: undefined });
}

rmSync(DIST, { recursive: true, force: true });
const entries = readEntries();
compileDeclarations();
joinAll(entries);
for (const { name, isRequired } of entries) {
  if (isRequired) writeFileSync(join(DIST, `${name}.d.cts`), commonDeclarations(join(DIST, `${name}.d.ts`)));
}
await bundle(entries);
