import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { cleanUp } from '../support/clean-up.ts';
import { skipWithoutFrameworks } from '../support/external.ts';
import { FrameworkApp, PATIENCE } from './framework-app.ts';

describe('docs/examples/frameworks/next.ts', { ...PATIENCE, ...skipWithoutFrameworks() }, () => {
  let app: FrameworkApp;
  before(async () => {
    app = await FrameworkApp.start('next.ts');
  });
  after(() => app?.stop('SIGKILL'));
  afterEach(cleanUp);

  it('refuses who is not logged in, and knows who sends each message', async () => {
    assert.equal((await app.ask('/websocket')).status, 401);
    const client = await app.open('/websocket', { Cookie: await app.login('Ada', '/api/login') });
    assert.equal(await client.send('hello').receive(), 'Ada: hello');
  });

  it('refuses paths without a route, which nobody else takes', async () => {
    const Cookie = await app.login('Ada', '/api/login');
    assert.equal((await app.ask('/typo', { Cookie })).status, 404);
  });

  it('leaves pages to Next, and the WebSocket that tells of changes', async () => {
    assert.match(await app.get('/'), /from Next/);
    const client = await app.open('/_next/hmr?id=1');
    assert.notEqual(await client.receive(), '');
  });

  it('ends when it is told to, with its WebSockets closed', async () => {
    const client = await app.open('/websocket', { Cookie: await app.login('Ada', '/api/login') });
    const ended = app.stop('SIGTERM');
    assert.equal((await client.receiveClose()).code, 1001);
    assert.equal(await ended, 0, app.output);
  });
});
