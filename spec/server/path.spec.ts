import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { decodePath, segmentsOf } from '../../lib/server/path.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

describe('segmentsOf', () => {
  it('takes a path apart, behind the slash it begins with', () => {
    assert.deepEqual(segmentsOf('/'), ['']);
    assert.deepEqual(segmentsOf('/a/b'), ['a', 'b']);
    assert.deepEqual(segmentsOf('/a//b/'), ['a', '', 'b', '']);
  });
});

describe('decodePath', () => {
  const paths: [path: string, decoded: string][] = [
    ['/', '/'],
    ['/admin', '/admin'],
    ['/%61dmin', '/admin'],
    ['/a%20b/c%C3%A9', '/a b/c\u00e9'],
    ['/a%2Fb%2f/c', '/a%2Fb%2F/c'],
    ['/100%25', '/100%'],
    ['/%2561dmin', '/%61dmin'],
    ['/%ff/%61', '/%ff/a'],
    ['/%61%ff', '/%61%ff'],
    ['/%', '/%'],
    ['*', '*'],
  ];
  for (const [path, decoded] of paths) {
    it(`makes ${decoded} of ${path}`, () => {
      assert.equal(decodePath(path), decoded);
    });
  }
});

describe('A middleware that compares paths', () => {
  it('sees what routes see, however a path is written: in requests and in upgrades', async () => {
    const { server } = makeServer();
    server.requestMiddleware((ctx) => {
      if (ctx.getRequestPath() === '/admin') ctx.setResponseStatusCode(403).aborted();
    });
    server.upgradeMiddleware((ctx) => {
      if (ctx.getRequestPath().startsWith('/admin')) ctx.aborted();
    });
    server.route('/admin', (ctx) => ctx.sendResponse(200, 'secret'));
    server.route('/:name', (ctx) => ctx.sendResponse(200, ctx.getRouteParam('name')));
    const port = await run(server);
    const client = await WsClient.connect(port);
    for (const target of ['/admin', '/%61dmin', '/%61%64%6D%69%6e?x']) {
      assert.equal((await client.write(httpRequest('GET', target)).readResponse()).status, 403, target);
      const upgrade = await WsClient.connect(port);
      assert.equal((await upgrade.write(upgradeRequest(target)).readHead()).status, 403, target);
    }
    const slash = await client.write(httpRequest('GET', '/a%2Fb')).readResponse();
    assert.equal(slash.body, 'a/b', 'a parameter is decoded whole');
    assert.equal((await client.write(httpRequest('GET', '/%2561dmin')).readResponse()).body, '%61dmin');
  });
});
