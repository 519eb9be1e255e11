import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { soon } from '../support/watchdog.ts';
import { WsClient } from '../support/ws-client.ts';

/** There is no engine here that builds the image: what its last stage has is copied to a folder, and started from there. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const file = readFileSync(join(ROOT, 'docs/examples/group-chat/Dockerfile'), 'utf8');
const [, building = '', last = ''] = file.replace(/\\\n\s*/g, '').split(/^FROM /m);

afterEach(cleanUp);

/** What the lines with an instruction say behind it. */
function linesOf(stage: string, instruction: string): string[] {
  return [...stage.matchAll(new RegExp(`^${instruction} (.+)$`, 'gm'))].map(([, rest]) => rest!);
}

/** Makes a folder of what the last stage copies. What is built there is bundled here, which takes less time. */
async function makeImage(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'hyperlane-image-'));
  onCleanUp(() => rmSync(folder, { recursive: true, force: true }));
  for (const copy of linesOf(last, 'COPY')) {
    const [from = '', to = ''] = copy.replace('--from=build ', '').split(' ');
    if (!copy.startsWith('--from'))
      cpSync(join(ROOT, from), join(folder, to, to.endsWith('/') ? from : ''), { recursive: true });
    else assert.deepEqual([from, to], ['/app/dist', 'dist']);
  }
  const entryPoints = [join(ROOT, 'lib/index.ts')];
  await build({ entryPoints, outdir: join(folder, 'dist'), bundle: true, format: 'esm', platform: 'node' });
  return folder;
}

/** Starts a command as the last stage does; on a Node that does not run TypeScript, with what makes it. */
function start(command: readonly string[], cwd: string, env: Record<string, string>): ChildProcess {
  const loader = process.features.typescript
    ? []
    : ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href];
  const child = spawn(process.execPath, [...loader, ...command.slice(1)], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onCleanUp(() => child.kill('SIGKILL'));
  return child;
}

describe('docs/examples/group-chat/Dockerfile', () => {
  it('is what the page shows', () => {
    const page = readFileSync(join(ROOT, 'docs/how-to/container.md'), 'utf8');
    assert.ok(page.includes(`\`\`\`dockerfile\n${file}\`\`\`\n`));
  });

  it('copies what there is, and what a build needs', () => {
    const sources = linesOf(`${building}\n${last}`, 'COPY')
      .filter((copy) => !copy.startsWith('--from'))
      .flatMap((copy) => copy.split(' ').slice(0, -1));
    assert.deepEqual(
      sources.filter((source) => !existsSync(join(ROOT, source))),
      [],
    );
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { build: string } };
    const script = scripts.build.split(' ').at(-1)!;
    assert.ok(sources.some((source) => script.startsWith(`${source}/`)));
    assert.ok(existsSync(join(ROOT, script)));
  });

  it('installs the clients of the brokers that the chat is tried with', () => {
    const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    const clients = ['redis', '@nats-io/transport-node'].map((name) => `${name}@${devDependencies[name]}`);
    assert.ok(linesOf(last, 'RUN')[0]!.endsWith(` ${clients.join(' ')}`));
  });

  it('runs the chat as a user without rights, which is well, and says goodbye when it is stopped', async () => {
    assert.deepEqual(linesOf(last, 'USER'), ['node']);
    const command = JSON.parse(linesOf(last, 'CMD').at(-1)!) as string[];
    const health = JSON.parse(linesOf(last, 'HEALTHCHECK')[0]!.replace(/^.*? CMD /, '')) as string[];
    const env = { NODE_ENV: 'production', PORT: '0' };
    const folder = await makeImage();
    const chat = start(command, folder, env);
    const [line] = await soon('its address', once(chat.stdout!, 'data'));
    const port = Number(/localhost:(\d+)/.exec(String(line))![1]);
    const [isWell] = await soon('its health', once(start(health, folder, { ...env, PORT: String(port) }), 'exit'));
    assert.equal(isWell, 0);
    const client = await WsClient.connect(port);
    await client.upgrade('/chat/green', { 'Sec-WebSocket-Protocol': 'positions.hyperlane' });
    const ended = once(chat, 'exit');
    chat.kill('SIGTERM');
    for (;;) {
      const frame = await client.readFrame();
      assert.ok(frame !== undefined, 'no Close frame came');
      if (frame.opcode !== 8) continue;
      assert.equal(frame.payload.readUInt16BE(), 1001);
      break;
    }
    client.close(1001);
    assert.deepEqual(await soon('its end', ended), [0, null]);
    const [isIll] = await soon('its health', once(start(health, folder, { ...env, PORT: String(port) }), 'exit'));
    assert.equal(isIll, 1);
  });
});
