import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { linksOf, parsePage } from '../docs/markdown.ts';

/**
 * The package as its users get it: packed, unpacked into an empty project, and used there.
 *
 * It is packed from a copy, since packing builds `dist` anew and other specs run at the same time.
 * HYPERLANE_TARBALL=path tests a tarball that is there already.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
/** What it takes on a disk once it is installed, in blocks of 4 KiB. */
const MAX_INSTALLED_BYTES = 1_200_000;
const BLOCK_BYTES = 4096;
const PACKED = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'lib',
  'docs',
  'spec/support/build.ts',
  'spec/support/common-declarations.ts',
  'spec/support/join-declarations.ts',
  'LICENSE',
  'README.md',
  'CHANGELOG.md',
];
/** What pages in the package lead to that is in the repository only: how to get one thing done, why, samples, proof. */
const NOT_PACKED =
  /^(docs\/(how-to|explanation|examples)|spec|bench|(SECURITY|CONTRIBUTING)\.md$|docs\/reference\/(rfc-conformance|topics-wire)\.md$)/;

let directory: string;
let project: string;
let installed: string;
let tarball: string;

function run(program: string, args: string[], cwd: string): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs a program that must succeed, and fails with its output otherwise. */
function runNode(args: string[]): string {
  try {
    return run(process.execPath, args, project);
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    assert.fail(`node ${args.join(' ')}\n${stdout}${stderr}`);
  }
}

function pack(): string {
  const source = join(directory, 'source');
  mkdirSync(source);
  for (const name of PACKED) {
    cpSync(join(ROOT, name), join(source, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(source, 'node_modules'));
  run('npm', ['pack', '--pack-destination', directory], source);
  const name = readdirSync(directory).find((entry) => entry.endsWith('.tgz'));
  assert.ok(name !== undefined, 'npm pack made a tarball');
  return join(directory, name);
}

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'hyperlane-tarball-'));
  const given = process.env.HYPERLANE_TARBALL;
  tarball = given === undefined ? pack() : resolve(given);

  // Unpacked by hand: there are no dependencies and no scripts, so npm install would do just this.
  project = join(directory, 'project');
  installed = join(project, 'node_modules', 'hyperlane-ws');
  mkdirSync(installed, { recursive: true });
  run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed], project);
  mkdirSync(join(project, 'node_modules', '@types'));
  symlinkSync(join(ROOT, 'node_modules', '@types', 'node'), join(project, 'node_modules', '@types', 'node'));
});

after(() => rmSync(directory, { recursive: true, force: true }));

/** Runs the compiler in the project, which must fail or not; returns what it says. */
function compile(options: Record<string, unknown>, files: readonly string[]): { status: number; output: string } {
  const compilerOptions = { target: 'ES2022', strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false };
  const config = { compilerOptions: { ...compilerOptions, ...options }, files };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config));
  const { status, stdout } = spawnSync(process.execPath, [TSC, '-p', 'tsconfig.json'], {
    cwd: project,
    encoding: 'utf8',
  });
  return { status: status ?? -1, output: stdout };
}

function assertCompiles(options: Record<string, unknown>, files: readonly string[]): void {
  assert.deepEqual(compile(options, files), { status: 0, output: '' });
}

/** The links of a page that lead to a file, as paths from the root. */
function filesLinkedFrom(path: string): string[] {
  return linksOf(parsePage(path, readFileSync(join(installed, path), 'utf8')))
    .filter((target) => !/^https?:|^#/.test(target))
    .map((target) => normalize(join(dirname(path), target.split('#')[0]!)));
}

describe('the tarball', () => {
  it('holds what is used and nothing else', () => {
    const files = run('tar', ['-tzf', tarball], directory).trim().split('\n');
    assert.ok(files.includes('package/dist/index.js'));
    assert.ok(files.includes('package/dist/index.d.ts'));
    const allowed =
      /^package\/(dist\/[\w-]+\.js(\.map)?|dist\/.+\.d\.c?ts|docs\/.+\.(md|svg)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
    assert.deepEqual(
      files.filter((file) => !allowed.test(file)),
      [],
    );
  });

  it(`takes less than ${MAX_INSTALLED_BYTES} bytes of a disk`, () => {
    const entries = readdirSync(installed, { recursive: true, withFileTypes: true });
    const sizes = entries.map((entry) => (entry.isFile() ? statSync(join(entry.parentPath, entry.name)).size : 1));
    const blocks = sizes.reduce((sum, size) => sum + Math.ceil(size / BLOCK_BYTES), 1);
    assert.ok(blocks * BLOCK_BYTES < MAX_INSTALLED_BYTES, `${blocks * BLOCK_BYTES} bytes`);
  });

  it('holds every page that its README leads to', () => {
    const links = filesLinkedFrom('README.md');
    assert.ok(links.includes('docs/reference/options.md'));
    assert.deepEqual(
      links.filter((path) => !existsSync(join(installed, path))),
      [],
    );
  });

  it('holds pages that lead to one another', () => {
    const pages = readdirSync(join(installed, 'docs'), { recursive: true, encoding: 'utf8' });
    for (const page of pages.filter((path) => path.endsWith('.md'))) {
      const missing = filesLinkedFrom(join('docs', page)).filter((path) => !existsSync(join(installed, path)));
      assert.deepEqual(
        missing.filter((path) => !NOT_PACKED.test(path)),
        [],
        page,
      );
    }
  });

  it('has a source map that tells the places of a stack trace in lib', () => {
    const code = `
      import { Server } from 'hyperlane-ws';
      try {
        new Server({ port: -1 });
      } catch (error) {
        console.log(error.stack);
      }
    `;
    writeFileSync(join(project, 'trace.mjs'), code);
    const places = [
      ...runNode(['--enable-source-maps', 'trace.mjs']).matchAll(/hyperlane-ws\/(lib\/.+\.ts):(\d+):(\d+)/g),
    ];
    const calls = places.map(([, file, line, column]) => {
      const lines = readFileSync(join(ROOT, file!), 'utf8').split('\n');
      return `${file}: ${/^(new )?[\w$]+/.exec(lines[Number(line) - 1]!.slice(Number(column) - 1))?.[0]}`;
    });
    assert.deepEqual(calls.slice(0, 3), [
      'lib/server/options.ts: new RangeError',
      'lib/server/options.ts: checkOption',
      'lib/server/server.ts: resolveOptions',
    ]);
  });

  it('can be imported', () => {
    const code = `
      import { Broadcast, BroadcastMap, Context, Request, Response, Server, WebSocketError, select } from 'hyperlane-ws';
      for (const value of [Broadcast, BroadcastMap, Context, Request, Response, Server, WebSocketError, select]) {
        if (typeof value !== 'function') throw new Error('an export is missing');
      }
    `;
    writeFileSync(join(project, 'import.mjs'), code);
    runNode(['import.mjs']);
  });

  it('can be required, and is then the very module that is imported', () => {
    const code = `
      const required = require('hyperlane-ws');
      import('hyperlane-ws').then((imported) => {
        if (typeof required.Server !== 'function') throw new Error('Server is missing');
        if (required.Server !== imported.Server) throw new Error('there are two copies');
      });
    `;
    writeFileSync(join(project, 'require.cjs'), code);
    runNode(['require.cjs']);
  });

  it('serves and closes', () => {
    const code = `
      import { Server } from 'hyperlane-ws';
      const server = new Server().host('127.0.0.1').port(0).route('/', async (ctx) => { await ctx.sendResponse(200, 'here'); });
      await server.run();
      const response = await fetch('http://127.0.0.1:' + server.address().port + '/', { headers: { connection: 'close' } });
      console.log(await response.text());
      await server.close();
    `;
    writeFileSync(join(project, 'serve.mjs'), code);
    assert.equal(runNode(['serve.mjs']).trim(), 'here');
  });

  it('has types that hold under strict', () => {
    // What must be an error stands there too: were the types lost, all would be `any` and nothing an error.
    const code = `
      import { type Context, BroadcastMap, Server, WebSocketError } from 'hyperlane-ws';

      class Chat extends Server {}
      const rooms: BroadcastMap<string> = new BroadcastMap();
      const server: Server = new Chat()
        .host('127.0.0.1')
        .port(0)
        .route('/rooms/:name', async (ctx: Context): Promise<void> => {
          const body: string | Uint8Array = ctx.getRequestBody();
          await ctx.sendResponseBody(body);
        });
      const code: string = new WebSocketError('WS_ERR_TIMEOUT').code;
      // @ts-expect-error: not a code
      const noCode = () => new WebSocketError('WS_ERR_NO_SUCH_CODE');
      // @ts-expect-error: a port is a number
      const noPort = () => server.port('60000');
      rooms.insert('a').send('text');
      // @ts-expect-error: a channel of strings
      rooms.insert('a').send(1);
      console.log(code, server instanceof Server);
      export { noCode, noPort, server };
    `;
    writeFileSync(join(project, 'esm.mts'), code);
    writeFileSync(join(project, 'cjs.cts'), code);
    // One class, however it is imported.
    const both = `
      import { Server } from 'hyperlane-ws';
      import { server } from './cjs.cjs';
      export const same: Server = server;
    `;
    writeFileSync(join(project, 'both.mts'), both);
    const files = ['esm.mts', 'cjs.cts', 'both.mts'];
    assertCompiles({ module: 'nodenext', noEmit: true }, files);
    assertCompiles({ module: 'esnext', moduleResolution: 'bundler', noEmit: true }, ['esm.mts']);
    // With the compilers of years ago a CommonJS module may be all that can be had.
    assertCompiles({ module: 'node16' }, files);
    for (const file of ['esm.mjs', 'cjs.cjs'])
      assert.equal(runNode(['--no-warnings', file]).trim(), 'WS_ERR_TIMEOUT true');
  });

  it('has every entry of package.json for import and for require, with types', () => {
    const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { exports: object };
    const entries = Object.keys(exports).filter((entry) => entry !== '.' && !entry.endsWith('.json'));
    assert.ok(entries.length > 0);
    const names = entries.map((entry) => `hyperlane-ws/${entry.slice(2)}`);
    const code = `
      const assert = require('node:assert/strict');
      const all = ${JSON.stringify(names)}.map(async (name) => {
        const [required, imported] = [require(name), await import(name)];
        assert.notDeepEqual(Object.keys(imported), []);
        for (const one of Object.keys(imported)) assert.equal(required[one], imported[one], 'there are two copies');
        return [name, Object.keys(imported)];
      });
      Promise.all(all).then((exported) => console.log(JSON.stringify(exported)));
    `;
    writeFileSync(join(project, 'entries.cjs'), code);
    const exported = JSON.parse(runNode(['--no-warnings', 'entries.cjs'])) as [name: string, exported: string[]][];
    const lines = exported.flatMap(([name, list]) => [
      `import { ${list.join(', ')} } from '${name}';`,
      // Were the types lost, they would be `any`, and nothing an error.
      ...list.map((one) => `// @ts-expect-error: no such member\n${one}.noSuchMember;`),
    ]);
    for (const file of ['entries.mts', 'entries-types.cts']) writeFileSync(join(project, file), lines.join('\n'));
    assertCompiles({ module: 'node16', noEmit: true }, ['entries.mts', 'entries-types.cts']);
  });

  it('has one class of each error, whichever entry throws it', () => {
    const code = `
      import { BrokerError } from 'hyperlane-ws';
      import { clusterBroker } from 'hyperlane-ws/cluster';
      const error = await clusterBroker().open({}, {}).catch((thrown) => thrown);
      console.log(error.code, error instanceof BrokerError);
    `;
    writeFileSync(join(project, 'once.mjs'), code);
    assert.equal(runNode(['once.mjs']).trim(), 'WS_ERR_BROKER_UNAVAILABLE true');
  });

  it('declares for require what it declares for import', () => {
    const names = (path: string) => {
      const text = readFileSync(join(installed, 'dist', path), 'utf8');
      const lists = [...text.matchAll(/^export (?:type )?\{([^}]+)\}/gm)].flatMap(([, list]) => list!.split(','));
      const single = [...text.matchAll(/^export (?:declare const|type) (\w+)/gm)].map(([, name]) => name!);
      return [...new Set([...lists.map((name) => name.replace('type ', '').trim()), ...single])].filter(Boolean).sort();
    };
    for (const path of readdirSync(join(installed, 'dist')).filter((name) => name.endsWith('.d.cts')))
      assert.deepEqual(names(path), names(path.replace('.cts', '.ts')), path);
  });

  it('says what it needs where the types of Node are missing', () => {
    writeFileSync(join(project, 'types.mts'), "export { Server } from 'hyperlane-ws';\n");
    const away = join(directory, '@types');
    renameSync(join(project, 'node_modules', '@types'), away);
    const { output } = compile({ module: 'nodenext', noEmit: true }, ['types.mts']);
    renameSync(away, join(project, 'node_modules', '@types'));
    assert.match(output, /index\.d\.ts\(1,\d+\): error TS2688: Cannot find type definition file for 'node'/);
  });
});
