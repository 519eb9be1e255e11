import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { cleanUp } from '../support/clean-up.ts';
import { FRAMEWORKS, skipWithoutFrameworks } from '../support/external.ts';
import { FrameworkApp, PATIENCE } from './framework-app.ts';

/**
 * The examples of docs/examples/frameworks, with the frameworks themselves: the user of the session is known to the handlers,
 * the routes of the framework go on, and the process ends by itself when it is told to.
 */

const OPTIONS = { ...PATIENCE, ...skipWithoutFrameworks() };

afterEach(cleanUp);

for (const name of ['Express', 'Fastify', 'Hono', 'Koa']) {
  describe(`docs/examples/frameworks/${name.toLowerCase()}.ts`, OPTIONS, () => {
    let app: FrameworkApp;
    before(async () => {
      app = await FrameworkApp.start(`${name.toLowerCase()}.ts`);
    });
    after(() => app?.stop('SIGKILL'));

    it('refuses who is not logged in, and paths without a route', async () => {
      assert.equal((await app.ask('/websocket')).status, 401);
      assert.equal(
        (await app.ask('/websocket', { Cookie: 'sessionId=forged; connect.sid=forged; user=forged' })).status,
        401,
      );
      const Cookie = await app.login('Ada');
      assert.equal((await app.ask('/typo', { Cookie })).status, 404);
    });

    it('knows who sends each message', async () => {
      const users = ['Ada', 'Alan'];
      const clients = await Promise.all(
        users.map(async (user) => app.open('/websocket', { Cookie: await app.login(user) })),
      );
      for (const text of ['one', 'two']) for (const client of clients) client.send(text);
      for (const [i, client] of clients.entries()) {
        assert.deepEqual(await client.receiveAll(2), [`${users[i]}: one`, `${users[i]}: two`]);
      }
    });

    it('leaves plain requests to the framework', async () => {
      assert.equal(await app.get('/'), `from ${name}`);
    });

    it('ends when it is told to, with its WebSockets closed', async () => {
      const client = await app.open('/websocket', { Cookie: await app.login('Ada') });
      const ended = app.stop('SIGTERM');
      assert.equal((await client.receiveClose()).code, 1001);
      assert.equal(await ended, 0, app.output);
    });
  });
}

describe('docs/examples/frameworks/nest.ts', OPTIONS, () => {
  let app: FrameworkApp;
  before(async () => {
    app = await FrameworkApp.start('nest.ts');
  });
  after(() => app?.stop('SIGKILL'));

  const say = (data: unknown) => JSON.stringify({ event: 'say', data });
  const open = async (user: string) => {
    const client = await app.open('/websocket', { Cookie: await app.login(user) });
    assert.deepEqual(JSON.parse(String(await client.receive())), { event: 'welcome', data: user });
    return client;
  };

  it('refuses who is not logged in, and paths without a gateway', async () => {
    assert.equal((await app.ask('/websocket')).status, 401);
    assert.equal((await app.ask('/typo', { Cookie: await app.login('Ada') })).status, 404);
  });

  it('has its gateway know who sends, answer, and send to all', async () => {
    const [ada, alan] = [await open('Ada'), await open('Alan')];
    ada.send(say('hello'));
    const [said, heard] = (await ada.receiveAll(2)).map((text) => JSON.parse(String(text)));
    assert.deepEqual(said, { event: 'said', data: 'Ada: hello' });
    assert.deepEqual(heard, { event: 'heard', data: 'hello' });
    assert.deepEqual(JSON.parse(String(await alan.receive())), said);
    ada.close(1000);
    assert.equal((await ada.receiveClose(false)).code, 1000);
    alan.send(say('alone'));
    assert.deepEqual(JSON.parse(String(await alan.receive())), { event: 'said', data: 'Alan: alone' });
  });

  it('survives what is no event, and what no method is for', async () => {
    const client = await open('Ada');
    for (const text of ['', '{', 'null', '[]', '"say"', '{"event":null}', '{"event":"other"}']) client.send(text);
    client.send(Buffer.from(say('at last')));
    assert.deepEqual(JSON.parse(String(await client.receive())), { event: 'said', data: 'Ada: at last' });
  });

  it('leaves plain requests to Nest', async () => {
    assert.equal(await app.get('/'), 'from Nest');
  });

  it('ends when it is told to, with its WebSockets closed', async () => {
    const client = await open('Ada');
    const ended = app.stop('SIGTERM');
    assert.equal((await client.receiveClose()).code, 1001);
    // Nest gives itself the signal again when all is closed.
    assert.equal(await ended, 'SIGTERM', app.output);
  });
});

describe('docs/examples/frameworks/vite-plugin.config.ts', OPTIONS, () => {
  const root = mkdtempSync(join(tmpdir(), 'hyperlane-vite-'));
  let app: FrameworkApp;
  before(async () => {
    cpSync(join(FRAMEWORKS, 'vite-app'), root, { recursive: true });
    app = await startVite(root, 'vite-plugin.config.ts');
  });
  after(async () => {
    await app?.stop('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  });

  it('knows who sends each message, and refuses who does not say', async () => {
    assert.equal((await app.ask('/websocket')).status, 401);
    const client = await app.open('/websocket?user=Ada');
    assert.equal(await client.send('hello').receive(), 'Ada: hello');
  });

  it('refuses paths without a route, which nobody else takes', async () => {
    assert.equal((await app.ask('/typo?user=Ada')).status, 404);
  });

  it('leaves pages to Vite, and the WebSocket that tells of changes', async () => {
    assert.match(await app.get('/'), /from Vite/);
    await assertReloads(app, root);
  });

  it('ends when it is told to, with its WebSockets closed', async () => {
    const client = await app.open('/websocket?user=Ada');
    const ended = app.stop('SIGTERM');
    await client.waitForEnd();
    assert.equal(await ended, 143, app.output);
  });
});

describe('docs/examples/frameworks/vite-proxy.config.ts', OPTIONS, () => {
  const root = mkdtempSync(join(tmpdir(), 'hyperlane-vite-'));
  let application: FrameworkApp;
  let app: FrameworkApp;
  before(async () => {
    cpSync(join(FRAMEWORKS, 'vite-app'), root, { recursive: true });
    application = await FrameworkApp.start('express.ts');
    app = await startVite(root, 'vite-proxy.config.ts', { APPLICATION: application.url });
  });
  after(async () => {
    await app?.stop('SIGKILL');
    await application?.stop('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  });

  it('passes on sessions and WebSockets, in both directions', async () => {
    const client = await app.open('/websocket', { Cookie: await app.login('Ada') });
    assert.equal(await client.send('hello').receive(), 'Ada: hello');
    client.close(4000, 'bye');
    assert.equal((await client.receiveClose(false)).code, 4000);
  });

  it('leaves pages to Vite, and the WebSocket that tells of changes', async () => {
    assert.match(await app.get('/'), /from Vite/);
    await assertReloads(app, root);
  });

  it('has the application close what came through it', async () => {
    const client = await app.open('/websocket', { Cookie: await app.login('Ada') });
    const ended = application.stop('SIGTERM');
    assert.equal((await client.receiveClose()).code, 1001);
    assert.equal(await ended, 0, application.output);
  });
});

function startVite(root: string, config: string, env: Record<string, string> = {}): Promise<FrameworkApp> {
  const args = [root, '--config', join(FRAMEWORKS, config), '--port', '0', '--configLoader', 'native'];
  return FrameworkApp.start('node_modules/vite/bin/vite.js', env, args);
}

/** Changes a page, and waits until Vite has said so. */
async function assertReloads(app: FrameworkApp, root: string): Promise<void> {
  const token = /const wsToken = "([^"]+)"/.exec(await app.get('/@vite/client'))?.[1] ?? '';
  const client = await app.open(`/?token=${token}`, { 'Sec-WebSocket-Protocol': 'vite-hmr' });
  assert.equal(JSON.parse(String(await client.receive())).type, 'connected');
  writeFileSync(join(root, 'index.html'), '<!doctype html><title>changed</title>');
  assert.equal(JSON.parse(String(await client.receive())).type, 'full-reload');
}
