import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { SERVINGS } from '../support/servings.ts';
import {
  clientFrame,
  httpRequest,
  type ResponseHead,
  SAMPLE_ACCEPT,
  SAMPLE_KEY,
  WsClient,
} from '../support/ws-client.ts';

afterEach(cleanUp);

/** A request of RFC 6455 §1.2, as lines; `undefined` leaves one out. */
const LINES: Readonly<Record<string, string | undefined>> = {
  '': 'GET /chat HTTP/1.1',
  Host: 'Host: server.example.com',
  Upgrade: 'Upgrade: websocket',
  Connection: 'Connection: Upgrade',
  'Sec-WebSocket-Key': `Sec-WebSocket-Key: ${SAMPLE_KEY}`,
  Origin: 'Origin: http://server.example.com',
  'Sec-WebSocket-Protocol': 'Sec-WebSocket-Protocol: chat, superchat',
  'Sec-WebSocket-Version': 'Sec-WebSocket-Version: 13',
};

type Changes = Readonly<Record<string, string | undefined>>;

async function askOver(connect: () => Promise<WsClient>, changes: Changes): Promise<ResponseHead> {
  const client = await connect();
  const lines = Object.values({ ...LINES, ...changes }).filter((line) => line !== undefined);
  client.write(`${lines.join('\r\n')}\r\n\r\n`);
  const head = await client.readHead();
  if (head.status === 101) assert.equal(await client.send('').receive(), 'open');
  else if (head.status >= 400) await client.waitForEnd();
  client.socket.destroy();
  return head;
}

for (const { name, serve } of SERVINGS) {
  describe(`over ${name}`, () => {
    const { server } = makeServer({ subprotocols: ['superchat', 'chat'] });
    server.route('/chat', (ctx) => ctx.sendResponseBody('open'));
    let served: Awaited<ReturnType<typeof serve>>;
    before(async () => {
      served = await serve(server);
    });
    after(() => served.stop());

    const ask = (changes: Changes = {}): Promise<ResponseHead> => askOver(served.connect, changes);
    const statusOf = async (changes: Changes): Promise<number> => (await ask(changes)).status;

    describe('RFC 6455 §4.2.1 Reading the client’s opening handshake', () => {
      it('takes the request of §1.2', async () => assert.equal(await statusOf({}), 101));

      it('1: must be GET', async () => assert.equal(await statusOf({ '': 'POST /chat HTTP/1.1' }), 405));

      it('1: must be HTTP/1.1 or higher', async () => assert.equal(await statusOf({ '': 'GET /chat HTTP/1.0' }), 400));

      it('1: may name its target by an absolute URI', async () => {
        assert.equal(await statusOf({ '': 'GET http://server.example.com/chat?x=1 HTTP/1.1' }), 101);
      });

      it('2: must have a Host that is one, once', async () => {
        assert.equal(await statusOf({ Host: undefined }), 400);
        for (const host of ['Host:', 'Host: ', 'Host: a b', 'Host: a\r\nHost: a', 'Host: a\r\nhost: b']) {
          assert.equal(await statusOf({ Host: host }), 400, host);
        }
      });

      it('3: must have Upgrade: websocket, in any case of letters', async () => {
        assert.equal(await statusOf({ Upgrade: 'Upgrade: WebSocket' }), 101);
        assert.equal(await statusOf({ Upgrade: 'upgrade:\twebSOCKET \t' }), 101);
        assert.equal(await statusOf({ Upgrade: 'Upgrade: websocke' }), 400);
      });

      it('4: must have Connection: Upgrade among others, in any case of letters', async () => {
        assert.equal(await statusOf({ Connection: 'Connection: keep-alive, UPGRADE' }), 101);
        assert.equal(await statusOf({ Connection: 'Connection: keep-alive\r\nConnection: upgrade' }), 101);
      });

      it('3, 4: is a plain request without either', async () => {
        for (const changes of [{ Upgrade: undefined }, { Connection: 'Connection: close' }]) {
          assert.equal(await statusOf(changes), 200);
        }
      });

      it('5: must have a key of 16 bytes in base64, once', async () => {
        const key = (text: string) => statusOf({ 'Sec-WebSocket-Key': `Sec-WebSocket-Key: ${text}` });
        assert.equal(await statusOf({ 'Sec-WebSocket-Key': undefined }), 400);
        assert.equal(await key(''), 400);
        assert.equal(await key(Buffer.alloc(15).toString('base64')), 400);
        assert.equal(await key(Buffer.alloc(17).toString('base64')), 400);
        assert.equal(await key('dGhlIHNhbXBsZSBub25jZQ'), 400);
        assert.equal(await key(`${SAMPLE_KEY}\r\nSec-WebSocket-Key: ${SAMPLE_KEY}`), 400);
      });

      it('6: must have version 13', async () => {
        const version = (text: string) => statusOf({ 'Sec-WebSocket-Version': `Sec-WebSocket-Version: ${text}` });
        assert.equal(await statusOf({ 'Sec-WebSocket-Version': undefined }), 400);
        for (const text of ['0', '7', '8', '14', '256', '13, 8']) assert.equal(await version(text), 426, text);
      });

      it('7: may come without Origin: from no browser', async () =>
        assert.equal(await statusOf({ Origin: undefined }), 101));

      it('8: may offer subprotocols, different ones that are tokens', async () => {
        const offer = (text: string) => statusOf({ 'Sec-WebSocket-Protocol': `Sec-WebSocket-Protocol: ${text}` });
        assert.equal(await statusOf({ 'Sec-WebSocket-Protocol': undefined }), 101);
        assert.equal(await offer('chat\r\nSec-WebSocket-Protocol: superchat'), 101);
        assert.equal(await offer('constructor, __proto__'), 101);
        assert.equal(await offer('chat, chat'), 400);
        assert.equal(await offer('chat superchat'), 400);
        assert.equal(await offer('"chat"'), 400);
      });

      it('10: ignores headers it does not know', async () => {
        const { headers, status } = await ask({ unknown: 'X-Unknown: yes\r\nCookie: a=b\r\n__proto__: c' });
        assert.equal(status, 101);
        assert.equal(headers.has('x-unknown'), false);
      });
    });

    describe('RFC 6455 §4.2.2 Sending the server’s opening handshake', () => {
      it('4: refuses an origin it does not want with 403', async () => {
        for (const origin of [
          'http://evil.com',
          'null',
          'http://server.example.com.evil.com',
          'http://server.example.com:81',
        ]) {
          assert.equal(await statusOf({ Origin: `Origin: ${origin}` }), 403, origin);
        }
      });

      it('4: refuses a resource it does not have with 404', async () => {
        assert.equal(await statusOf({ '': 'GET /other HTTP/1.1' }), 404);
        assert.equal(await statusOf({ '': 'GET /chat/ HTTP/1.1' }), 404);
      });

      it('5: answers with 101, Upgrade, Connection and the accept value of §1.3, and what it chose of the offers', async () => {
        const { status, headers } = await ask();
        assert.equal(status, 101);
        assert.equal(headers.get('upgrade'), 'websocket');
        assert.equal(headers.get('connection'), 'Upgrade');
        assert.equal(headers.get('sec-websocket-accept'), SAMPLE_ACCEPT);
        assert.equal(headers.get('sec-websocket-protocol'), 'superchat');
        assert.equal(headers.size, 4, 'and nothing else');
      });

      it('5: has no Sec-WebSocket-Protocol for offers it does not know, or none', async () => {
        for (const line of [undefined, 'Sec-WebSocket-Protocol: other']) {
          const { status, headers } = await ask({ 'Sec-WebSocket-Protocol': line });
          assert.deepEqual([status, headers.has('sec-websocket-protocol')], [101, false]);
        }
      });

      it('5: agrees on no extension that was not offered', async () => {
        assert.equal((await ask()).headers.has('sec-websocket-extensions'), false);
        const { status, headers } = await ask({ extensions: 'Sec-WebSocket-Extensions: x-unknown; a=b, x-other' });
        assert.deepEqual([status, headers.has('sec-websocket-extensions')], [101, false]);
      });
    });

    describe('RFC 6455 §4.4 Supporting multiple versions', () => {
      it('answers a version it does not speak with 426 and the one it speaks', async () => {
        const { status, headers } = await ask({ 'Sec-WebSocket-Version': 'Sec-WebSocket-Version: 25' });
        assert.equal(status, 426);
        assert.equal(headers.get('sec-websocket-version'), '13');
        assert.equal(headers.get('upgrade'), 'websocket');
      });
    });
  });
}

describe('RFC 6455 §1.3 and §10.1', () => {
  it('opens no WebSocket for what a form or a script on a page can send without an upgrade', async () => {
    const { server } = makeServer();
    server.route('/chat', (ctx) => ctx.sendResponse(200, 'plain'));
    const client = await WsClient.connect(await run(server));
    const body = clientFrame(0x81, 'x');
    const head = httpRequest('POST', '/chat', { 'Content-Length': String(body.length), 'Sec-WebSocket-Version': '13' });
    client.write(Buffer.concat([Buffer.from(head), body]));
    const response = await client.readResponse();
    assert.deepEqual([response.status, response.body], [200, 'plain']);
  });
});
