import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HandshakeError } from '../../lib/errors.ts';
import type { OriginRule } from '../../lib/handshake/origin.ts';
import { checkUpgrade, type UpgradeHead, WEBSOCKET_VERSION } from '../../lib/handshake/upgrade.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

type Changes = Omit<Partial<UpgradeHead>, 'headers'> & { headers?: Record<string, string | string[] | undefined> };

function head({ headers, ...rest }: Changes = {}): UpgradeHead {
  return {
    method: 'GET',
    url: '/chat',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    ...rest,
    headers: {
      host: 'example.com',
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-key': KEY,
      'sec-websocket-version': '13',
      ...headers,
    } as UpgradeHead['headers'],
  };
}

function statusOf(request: UpgradeHead, origins: OriginRule = 'same-origin'): number {
  try {
    checkUpgrade(request, origins);
    return 101;
  } catch (error) {
    assert.ok(error instanceof HandshakeError);
    assert.equal(error.code, 'WS_ERR_HANDSHAKE');
    assert.ok(!/[\r\n]/.test(error.message));
    return error.httpStatus;
  }
}

/** One table of requests: what is changed in a request that is right, and the status that answers it. */
const TABLE: [what: string, changes: Changes, status: number][] = [
  ['a request that is right', {}, 101],
  ['Upgrade in capitals', { headers: { upgrade: 'WebSocket' } }, 101],
  ['Connection among others', { headers: { connection: 'keep-alive, UPGRADE' } }, 101],
  ['a newer minor version of HTTP', { httpVersionMinor: 2 }, 101],
  ['POST', { method: 'POST' }, 405],
  ['HEAD', { method: 'HEAD' }, 405],
  ['a method in small letters', { method: 'get' }, 405],
  ['no method', { method: undefined }, 405],
  ['HTTP/1.0', { httpVersionMinor: 0 }, 400],
  ['HTTP/2', { httpVersionMajor: 2, httpVersionMinor: 0 }, 400],
  ['a later version than HTTP/1.1 that ends as it does', { httpVersionMajor: 2, httpVersionMinor: 1 }, 400],
  ['no Upgrade', { headers: { upgrade: undefined } }, 400],
  ['another Upgrade', { headers: { upgrade: 'h2c' } }, 400],
  ['Upgrade twice', { headers: { upgrade: 'websocket, websocket' } }, 400],
  ['no Connection', { headers: { connection: undefined } }, 400],
  ['Connection without Upgrade', { headers: { connection: 'keep-alive' } }, 400],
  ['no Host', { headers: { host: undefined } }, 400],
  ['an empty Host', { headers: { host: '' } }, 400],
  ['a Host with a port alone', { headers: { host: ':80' } }, 400],
  ['a Host with a port', { headers: { host: '[::1]:80' } }, 101],
  ['a Host with a user', { headers: { host: 'a@example.com' } }, 400],
  ['a Host once', { rawHeaders: ['Host', 'example.com', 'Via', 'host'] }, 101],
  ['a Host, and another name as long', { rawHeaders: ['Host', 'example.com', 'Date', 'example.com'] }, 101],
  ['two Hosts', { rawHeaders: ['Host', 'example.com', 'HOST', 'example.com'] }, 400],
  ['a body', { headers: { 'content-length': '5' } }, 400],
  ['a body in chunks', { headers: { 'transfer-encoding': 'chunked' } }, 400],
  ['a length that is none', { headers: { 'content-length': '0, 0' } }, 400],
  ['a body of no bytes', { headers: { 'content-length': '0' } }, 101],
  ['no version', { headers: { 'sec-websocket-version': undefined } }, 400],
  ['a draft', { headers: { 'sec-websocket-version': '8' } }, 426],
  ['version 0', { headers: { 'sec-websocket-version': '0' } }, 426],
  ['version 13.0', { headers: { 'sec-websocket-version': '13.0' } }, 426],
  ['version 013', { headers: { 'sec-websocket-version': '013' } }, 426],
  ['the version twice', { headers: { 'sec-websocket-version': '13, 13' } }, 426],
  ['an empty version', { headers: { 'sec-websocket-version': '' } }, 426],
  ['no key', { headers: { 'sec-websocket-key': undefined } }, 400],
  ['an empty key', { headers: { 'sec-websocket-key': '' } }, 400],
  ['a key that is too short', { headers: { 'sec-websocket-key': 'dGhl' } }, 400],
  ['a key that is no base64', { headers: { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZ*==' } }, 400],
  ['the key twice', { headers: { 'sec-websocket-key': `${KEY}, ${KEY}` } }, 400],
  ['a list where one value belongs', { headers: { 'sec-websocket-key': [KEY] } }, 400],
  ['a list of one Upgrade', { headers: { upgrade: ['websocket'] } }, 400],
  ['a page of the same origin', { headers: { origin: 'https://example.com' } }, 101],
  ['a page of another origin', { headers: { origin: 'https://evil.com' } }, 403],
  ['a sandboxed page', { headers: { origin: 'null' } }, 403],
  ['a subprotocol', { headers: { 'sec-websocket-protocol': 'chat' } }, 101],
  ['names of the prototype', { headers: { 'sec-websocket-protocol': 'constructor, __proto__' } }, 101],
  ['a subprotocol twice', { headers: { 'sec-websocket-protocol': 'chat, chat' } }, 400],
  ['an empty subprotocol', { headers: { 'sec-websocket-protocol': '' } }, 400],
  ['commas and no subprotocol', { headers: { 'sec-websocket-protocol': ' , ' } }, 400],
  ['a subprotocol that is no token', { headers: { 'sec-websocket-protocol': 'a b' } }, 400],
  ['a subprotocol with a byte above ASCII', { headers: { 'sec-websocket-protocol': 'ch\u00e4t' } }, 400],
];

describe('checkUpgrade', () => {
  for (const [what, changes, status] of TABLE) {
    it(`answers ${what} with ${status}`, () => assert.equal(statusOf(head(changes)), status));
  }

  it('can do without any header, even the one that made it an upgrade', () => {
    const headers = {} as UpgradeHead['headers'];
    assert.equal(statusOf({ ...head(), headers }), 400);
  });

  it('checks the origin last: a request that is not right tells nothing of the rule', () => {
    const rule = () => assert.fail('is not asked');
    assert.equal(statusOf(head({ headers: { 'sec-websocket-version': '8', origin: 'http://a.com' } }), rule), 426);
    assert.equal(statusOf(head({ headers: { origin: 'http://a.com' } }), '*'), 101);
    assert.equal(statusOf(head({ headers: { origin: 'http://a.com' } }), ['http://a.com']), 101);
    assert.equal(
      statusOf(head(), () => false),
      403,
    );
  });

  it('lets an error of the rule through', () => {
    const rule = () => {
      throw new TypeError('mine');
    };
    assert.throws(() => checkUpgrade(head(), rule), /mine/);
  });

  it('returns the key and the subprotocols in the order of the client', () => {
    const offer = { 'sec-websocket-protocol': 'b,a ,\tconstructor' };
    assert.deepEqual(checkUpgrade(head({ headers: offer }), '*'), {
      key: KEY,
      subprotocols: ['b', 'a', 'constructor'],
    });
    assert.deepEqual(checkUpgrade(head(), '*').subprotocols, []);
  });

  it('serves version 13 alone', () => {
    assert.equal(WEBSOCKET_VERSION, '13');
  });
});
