import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HandshakeError } from '../../lib/errors.ts';
import { isToken, listHasToken, parseTokenList } from '../../lib/handshake/header-list.ts';
import type { OriginRule } from '../../lib/handshake/origin.ts';
import { parseHeaderLines, parseUpgradeHead } from '../../lib/handshake/request-parser.ts';
import { formatAccept, formatRefusal } from '../../lib/handshake/response.ts';
import { checkUpgrade, type UpgradeHead } from '../../lib/handshake/upgrade.ts';
import type { FuzzTarget, Random } from '../support/fuzzing.ts';
import { upgradeRequest } from '../support/ws-client.ts';

const ORIGINS: readonly OriginRule[] = ['same-origin', '*', [], ['https://example.com'], (origin) => origin !== 'null'];
/** The statuses that the documentation of `checkUpgrade` names. */
const STATUSES = [400, 403, 405, 426];
const MAX_HEADER_BYTES = 1024;

/** A response that is one head, and in it nothing that the peer could have put there. */
function checkHead(text: string): void {
  const end = text.indexOf('\r\n\r\n');
  assert.notEqual(end, -1);
  const [status, ...lines] = text.slice(0, end).split('\r\n');
  assert.match(status!, /^HTTP\/1\.1 \d{3} [\x20-\x7e]*$/);
  for (const line of lines) assert.match(line, /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [^\r\n\0]*$/);
}

function check(request: UpgradeHead, random: Random): string {
  try {
    const { key, subprotocols } = checkUpgrade(request, random.pick(ORIGINS));
    assert.ok(subprotocols.every(isToken));
    assert.equal(new Set(subprotocols).size, subprotocols.length);
    checkHead(formatAccept(key, subprotocols.length === 0 ? [] : [['Sec-WebSocket-Protocol', subprotocols.at(-1)!]]));
    return `accepted ${subprotocols.length}`;
  } catch (error) {
    if (!(error instanceof HandshakeError)) throw error;
    assert.equal(error.code, 'WS_ERR_HANDSHAKE');
    assert.ok(STATUSES.includes(error.httpStatus), String(error.httpStatus));
    checkHead(formatRefusal(error.httpStatus, error.message).toString('latin1'));
    return `refused ${error.message}`;
  }
}

/** Reads the text as one header value, against naive readers. */
function checkLists(text: string): void {
  const naive = text.split(',').map((element) => element.replace(/^[ \t]+|[ \t]+$/g, ''));
  const wanted = naive.filter((element) => element !== '');
  assert.deepEqual(
    parseTokenList(text),
    wanted.every((one) => /^[!#$%&'*+\-.^_`|~\w]+$/.test(one)) ? wanted : undefined,
  );
  assert.equal(typeof listHasToken(text, 'upgrade'), 'boolean');
}

/** The upgrade request: a head of our own parser is one that may be trusted, and is accepted or refused as documented. */
export const target: FuzzTarget = {
  name: 'handshake',
  inputs: fc
    .dictionary(
      fc.constantFrom(
        'Origin',
        'Host',
        'Sec-WebSocket-Protocol',
        'Sec-WebSocket-Key',
        '__proto__',
        'constructor',
        'Expect',
        'Cookie',
      ),
      fc.oneof(fc.string(), fc.constantFrom('a, b', 'websocket', 'https://example.com', 'null', 'a\tb', '\x7f', 'é')),
    )
    .map((headers) => Buffer.from(upgradeRequest('/path?query', headers), 'latin1')),
  run(input, random) {
    checkLists(input.toString('latin1', 0, 200));
    const head = parseUpgradeHead(input, MAX_HEADER_BYTES);
    if (head === undefined) {
      // What node:http would make of anything: headers are missing, or are not what they seem.
      const headers = { host: 'a', [random.pick(['upgrade', 'connection', 'origin'])]: input.toString('latin1') };
      return `left to node:http, ${check({ method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1, headers }, random)}`;
    }
    assert.ok(head.bytes <= MAX_HEADER_BYTES && head.bytes <= input.length);
    assert.equal(input.toString('latin1', head.bytes - 4, head.bytes), '\r\n\r\n');
    assert.match(head.url, /^\/[\x21-\x7e]*$/);
    assert.equal(Object.getPrototypeOf(head.headers), null);
    for (const [name, value] of Object.entries(head.headers)) {
      assert.ok(isToken(name) && name === name.toLowerCase());
      assert.match(value as string, /^([\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?)?$/);
    }
    assert.deepEqual(parseHeaderLines(head.lines), head.headers);
    return check(head, random);
  },
};
