import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

describe('Server, the header Host', () => {
  it('must be one of the hosts it answers to: 421 for all others, and no handler runs', async () => {
    const { server, errors } = makeServer({ hosts: ['localhost', '127.0.0.1'] });
    server.requestMiddleware((ctx) => assert.notEqual(ctx.getRequestHost(), 'evil.example'));
    server.upgradeMiddleware((ctx) => assert.notEqual(ctx.getRequestHost(), 'evil.example'));
    server.route('/', (ctx) => ctx.sendResponse(200, 'fine'));
    const port = await run(server);
    for (const host of ['evil.example', `evil.example:${port}`, '']) {
      // A page whose name points here now: its origin is the host it asks for.
      const headers = { Host: host, Origin: `http://${host}` };
      const plain = await WsClient.connect(port);
      const response = await plain.write(httpRequest('GET', '/', headers)).readResponse();
      assert.equal(response.status, 421);
      assert.match(response.body, /option hosts/);
      await plain.waitForEnd();
      if (host === '') continue;
      const upgrade = await WsClient.connect(port);
      assert.equal((await upgrade.write(upgradeRequest('/', headers)).readHead()).status, 421);
    }
    for (const host of [`localhost:${port}`, '127.0.0.1']) {
      const client = await WsClient.connect(port);
      assert.equal((await client.write(httpRequest('GET', '/', { Host: host })).readResponse()).body, 'fine');
      await WsClient.open(port, '/').then((ws) => ws.close(1000).receiveClose());
    }
    assert.deepEqual(errors, []);
  });

  it('must stand once in a request of HTTP/1.1, and may be missing before', async () => {
    const { server, errors } = makeServer();
    server.route('/', (ctx) => ctx.sendResponse(200, 'fine'));
    const port = await run(server);
    for (const [head, status] of [
      ['GET / HTTP/1.1\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
      ['GET / HTTP/1.0\r\n\r\n', 200],
    ] as const) {
      const client = await WsClient.connect(port);
      assert.equal((await client.write(head).readHead()).status, status, head);
      await client.waitForEnd();
    }
    assert.deepEqual(errors, []);
  });

  it('is looked at in the order of requests, and what is refused counts as under way', async () => {
    const { server } = makeServer({ maxPipelinedRequests: 2 });
    server.route('/', (ctx) => ctx.sendResponse(200, 'fine'));
    const client = await WsClient.connect(await run(server));
    client.write(httpRequest('GET', '/') + httpRequest('GET', '/', { Expect: 'wonders' }).repeat(3));
    assert.equal((await client.readResponse()).status, 200);
    for (let i = 0; i < 3; i++) assert.equal((await client.readResponse()).status, 417);
    assert.equal((await client.write(httpRequest('GET', '/')).readResponse()).body, 'fine');
  });
});
