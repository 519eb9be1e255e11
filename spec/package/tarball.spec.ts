import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

/**
 * The package as its users get it: packed, unpacked into an empty project, and used there.
 *
 * It is packed from a copy, since packing builds `dist` anew and other specs run at the same time.
 * HYPERLANE_TARBALL=path tests a tarball that is there already.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAX_TARBALL_BYTES = 350_000;
const PACKED = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'lib', 'LICENSE', 'README.md', 'CHANGELOG.md'];

let directory: string;
let project: string;
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
    if (existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(source, name), { recursive: true });
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
  const installed = join(project, 'node_modules', 'hyperlane-ws');
  mkdirSync(installed, { recursive: true });
  run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed], project);
  mkdirSync(join(project, 'node_modules', '@types'));
  symlinkSync(join(ROOT, 'node_modules', '@types', 'node'), join(project, 'node_modules', '@types', 'node'));
});

after(() => rmSync(directory, { recursive: true, force: true }));

describe('the tarball', () => {
  it('holds what is used and nothing else', () => {
    const files = run('tar', ['-tzf', tarball], directory).trim().split('\n');
    assert.ok(files.includes('package/dist/index.js'));
    assert.ok(files.includes('package/dist/index.d.ts'));
    const allowed = /^package\/(dist\/.+|lib\/.+\.ts|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
    assert.deepEqual(
      files.filter((file) => !allowed.test(file)),
      [],
    );
  });

  it(`is smaller than ${MAX_TARBALL_BYTES} bytes`, () => {
    const { size } = statSync(tarball);
    assert.ok(size < MAX_TARBALL_BYTES, `${size} bytes`);
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
    const compilerOptions = {
      target: 'ES2022',
      module: 'nodenext',
      moduleResolution: 'nodenext',
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    };
    // What must be an error stands there too: were the types lost, all would be `any` and nothing an error.
    const code = `
      import { type Context, BroadcastMap, Server, WebSocketError } from 'hyperlane-ws';

      const rooms: BroadcastMap<string> = new BroadcastMap();
      const server: Server = new Server()
        .host('127.0.0.1')
        .port(0)
        .route('/rooms/:name', async (ctx: Context): Promise<void> => {
          const body: string | Uint8Array = ctx.getRequestBody();
          await ctx.sendResponseBody(body);
        });
      const code: string = new WebSocketError('WS_ERR_TIMEOUT').code;
      // @ts-expect-error: not a code
      new WebSocketError('WS_ERR_NO_SUCH_CODE');
      // @ts-expect-error: a port is a number
      server.port('60000');
      export { code, rooms, server };
    `;
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['esm.mts', 'cjs.cts'] }));
    writeFileSync(join(project, 'esm.mts'), code);
    writeFileSync(join(project, 'cjs.cts'), code);
    runNode([join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json']);
  });
});
