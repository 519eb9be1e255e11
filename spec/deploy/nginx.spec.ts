import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';
import type { ServerOptions } from '../../lib/server/options.ts';
import { cleanUp } from '../support/clean-up.ts';
import { nginxPath, skipUnless } from '../support/external.ts';
import { Nginx, SITE } from '../support/nginx.ts';
import { makeServer, run } from '../support/running-server.ts';
import { until } from '../support/watchdog.ts';
import { clientFrame, upgradeRequest, WsClient } from '../support/ws-client.ts';

/** What docs/how-to/behind-nginx.md promises, with nginx itself. */

const program = nginxPath();

afterEach(cleanUp);

/** A server that says its name, or sends back what comes. */
async function serve(name: string, options: ServerOptions = {}) {
  const { server } = makeServer({ heartbeatIntervalMs: 0, ...options });
  const forwarded: (string | undefined)[] = [];
  server.upgradeMiddleware((ctx) => void forwarded.push(ctx.getRequestHeader('X-Forwarded-For')));
  server.route('/websocket', (ctx) => {
    const body = ctx.getRequestBody();
    return ctx.sendResponseBody(body === 'who?' ? name : body);
  });
  server.route('/plain', (ctx) => void ctx.setResponseBody(name), { only: 'http' });
  const port = await run(server);
  return { server, port, forwarded, open: () => server.stats().open };
}

async function who(client: WsClient): Promise<string> {
  return String(await client.send('who?').receive());
}

describe('docs/how-to/behind-nginx.md', () => {
  it('shows the file that is tried here', () => {
    const page = readFileSync(new URL('../../docs/how-to/behind-nginx.md', import.meta.url), 'utf8');
    assert.ok(page.includes(`\`\`\`nginx\n${SITE}\`\`\`\n`));
  });
});

describe('behind nginx', skipUnless('nginx', program !== undefined), () => {
  const start = (ports: readonly number[], change?: (site: string) => string) => Nginx.start(program!, ports, change);

  it('WebSockets are opened, by pages of the host that is asked for, and plain requests are answered', async () => {
    const { port } = await serve('one');
    const nginx = await start([port]);
    const host = `127.0.0.1:${nginx.port}`;
    const client = await WsClient.connect(nginx.port);
    await client.upgrade('/websocket', { Host: host, Origin: `http://${host}` });
    assert.equal(await who(client), 'one');
    assert.deepEqual(await client.close(1000).receiveClose(false), { code: 1000, reason: '' });
    const stranger = await WsClient.connect(nginx.port);
    stranger.write(upgradeRequest('/websocket', { Host: host, Origin: 'http://elsewhere.example' }));
    assert.equal((await stranger.readResponse()).status, 403);
    assert.equal(await (await fetch(`http://${host}/plain`)).text(), 'one');
  });

  it('the address of the client is the last of X-Forwarded-For, whatever it claims', async () => {
    const { port, forwarded } = await serve('one');
    const nginx = await start([port]);
    await WsClient.open(nginx.port, '/websocket');
    const liar = await WsClient.connect(nginx.port);
    await liar.upgrade('/websocket', { 'X-Forwarded-For': '203.0.113.9' });
    assert.deepEqual(forwarded, ['127.0.0.1', '203.0.113.9, 127.0.0.1']);
  });

  it('messages are compressed and large as without it, both ways', async () => {
    const { port } = await serve('one', { perMessageDeflate: true, maxMessageBytes: 16 * 1024 * 1024 });
    const nginx = await start([port]);
    const client = await WsClient.connect(nginx.port);
    const { headers } = await client.upgrade('/websocket', { 'Sec-WebSocket-Extensions': 'permessage-deflate' });
    assert.match(headers.get('sec-websocket-extensions') ?? '', /permessage-deflate/);
    const frame = await client.send('a'.repeat(100_000)).readFrame();
    assert.equal(frame?.rsv1, true);
    assert.ok(frame.payload.length < 1000);
    const large = Buffer.alloc(8 * 1024 * 1024, 'all of it, and in order ');
    const plain = await WsClient.open(nginx.port, '/websocket');
    const back = await plain.send(large).receive();
    assert.ok(large.equals(back as Buffer));
  });

  it('a heartbeat keeps open what it cuts for its silence otherwise', async () => {
    const beating = await serve('beating', { heartbeatIntervalMs: 200 });
    const silent = await serve('silent');
    const shorten = (site: string): string => site.replace(/(proxy_read_timeout|proxy_send_timeout) 75s/g, '$1 2s');
    const [one, other] = [await start([beating.port], shorten), await start([silent.port], shorten)];
    const kept = await WsClient.open(one.port, '/websocket');
    let pings = 0;
    const answer = async (): Promise<string> => {
      for (;;) {
        const frame = await kept.readFrame();
        assert.ok(frame !== undefined, 'it was cut');
        if (frame.opcode !== 9) return frame.payload.toString();
        kept.write(clientFrame(0x8a, frame.payload));
        pings++;
      }
    };
    const answered = answer();
    const cut = await WsClient.open(other.port, '/websocket');
    await cut.waitForEnd();
    assert.equal(cut.available, 0, 'no Close frame came');
    kept.send('still here');
    assert.equal(await answered, 'still here');
    assert.ok(pings > 0);
    await until('its end', () => silent.open() === 0);
    assert.equal(beating.open(), 1);
  });

  it('several servers share the connections, and one that is closed has no more, and says goodbye', async () => {
    const [one, two] = [await serve('one'), await serve('two')];
    const nginx = await start([one.port, two.port]);
    const clients = new Map<string, WsClient>();
    for (let i = 0; i < 4; i++) {
      const client = await WsClient.open(nginx.port, '/websocket');
      clients.set(await who(client), client);
    }
    assert.deepEqual([one.open(), two.open()], [2, 2]);
    const closed = one.server.close({ reason: 'restarting' });
    assert.deepEqual(await clients.get('one')!.receiveClose(), { code: 1001, reason: 'restarting' });
    await closed;
    for (let i = 0; i < 3; i++) assert.equal(await who(await WsClient.open(nginx.port, '/websocket')), 'two');
    assert.equal(await who(clients.get('two')!), 'two');
  });

  it('new settings leave alone what is open', async () => {
    const [one, two] = [await serve('one'), await serve('two')];
    const nginx = await start([one.port]);
    const before = await WsClient.open(nginx.port, '/websocket');
    assert.equal(await who(before), 'one');
    await nginx.reload([two.port]);
    assert.equal(await who(await WsClient.open(nginx.port, '/websocket')), 'two');
    assert.equal(await who(before), 'one');
    assert.deepEqual(await before.close(1000).receiveClose(false), { code: 1000, reason: '' });
  });
});
