import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isOriginAllowed, type OriginRule } from '../../lib/handshake/origin.ts';
import type { UpgradeHead } from '../../lib/handshake/upgrade.ts';

function head(origin: string | undefined, host: string | undefined = 'example.com'): UpgradeHead {
  return { method: 'GET', url: '/', httpVersionMajor: 1, httpVersionMinor: 1, headers: { host, origin } };
}

describe('isOriginAllowed', () => {
  describe("'same-origin'", () => {
    const cases: [origin: string | undefined, host: string | undefined, allowed: boolean, why: string][] = [
      [undefined, 'example.com', true, 'no browser sends no Origin'],
      [undefined, undefined, true, 'and none of both'],
      ['http://example.com', 'example.com', true, 'the same'],
      ['https://example.com', 'example.com', true, 'the same behind TLS'],
      ['http://example.com', 'EXAMPLE.com', true, 'in any case of letters'],
      ['http://example.com', 'example.com:80', true, 'the default port'],
      ['https://example.com', 'example.com:443', true, 'the default port of TLS'],
      ['http://example.com:80', 'example.com', true, 'the default port on the other side'],
      ['https://example.com', 'example.com:80', false, 'the default port of something else'],
      ['http://example.com', 'example.com:443', false, 'the default port of TLS, without it'],
      ['http://example.com:8080', 'example.com:8080', true, 'the same port'],
      ['http://example.com:8080', 'example.com', false, 'another port'],
      ['http://example.com', 'example.com:8080', false, 'another port on the other side'],
      ['http://example.com.evil', 'example.com', false, 'a longer name'],
      ['http://evil-example.com', 'example.com', false, 'a longer name in front'],
      ['http://www.example.com', 'example.com', false, 'a subdomain'],
      ['http://example.com', 'www.example.com', false, 'the domain above'],
      ['http://[::1]:8080', '[::1]:8080', true, 'IPv6'],
      ['http://[::1]', '[0:0:0:0:0:0:0:1]', true, 'IPv6 written in another way'],
      ['http://[::1]', '[::2]', false, 'another IPv6 host'],
      ['http://127.0.0.1:3000', '127.0.0.1:3000', true, 'IPv4'],
      ['http://localhost:3000', '127.0.0.1:3000', false, 'a name is not its address'],
      ['null', 'example.com', false, 'a sandboxed frame or a file'],
      ['', 'example.com', false, 'empty'],
      ['example.com', 'example.com', false, 'no scheme'],
      ['http://', 'example.com', false, 'no host'],
      ['http://example.com, http://example.com', 'example.com', false, 'two origins'],
      ['ftp://example.com', 'example.com', false, 'a scheme without WebSockets'],
      ['file://', '', false, 'a file'],
      ['chrome-extension://abc', 'abc', false, 'an extension'],
      ['http://example.com', undefined, false, 'no host to compare with'],
      ['http://example.com', '', false, 'an empty host'],
      ['http://example.com', 'example.com:port', false, 'a malformed host'],
      ['http://example.com', 'evil.com/@example.com', false, 'a host that is more than a host'],
      ['http://example.com', 'evil@example.com', false, 'a host with a user'],
      ['http://example.com', 'example.com/path', false, 'a host with a path'],
      ['http://example.com', 'example.com?query', false, 'a host with a query'],
      ['http://example.com', 'example.com#hash', false, 'a host with a fragment'],
      ['http://example.com', 'exa\tmple.com', false, 'a host that a URL parser would mend'],
      ['http://example.com', ' example.com', false, 'another one'],
    ];
    for (const [origin, host, allowed, why] of cases) {
      it(`${allowed ? 'lets in' : 'refuses'} ${origin} at ${host}: ${why}`, () => {
        const request: UpgradeHead = { ...head(origin), headers: { origin, host } };
        assert.equal(isOriginAllowed('same-origin', request), allowed);
      });
    }
  });

  it("lets in all by '*'", () => {
    for (const origin of [undefined, 'null', 'http://evil.com', 'garbage'])
      assert.ok(isOriginAllowed('*', head(origin)));
  });

  it('lets in those of a list, to the letter, and what has no Origin', () => {
    const rule = ['https://a.com', 'null'];
    for (const origin of [undefined, 'https://a.com', 'null']) assert.ok(isOriginAllowed(rule, head(origin)), origin);
    for (const origin of [
      'http://a.com',
      'https://a.com:444',
      'https://a.com.evil',
      'https://a',
      'http://example.com',
      '',
    ]) {
      assert.ok(!isOriginAllowed(rule, head(origin)), origin);
    }
    assert.ok(!isOriginAllowed([], head('http://example.com')));
  });

  it('asks a function, also about requests without Origin', () => {
    const asked: unknown[] = [];
    const request = head('http://a.com');
    const rule = (origin: string | undefined, given: UpgradeHead) => {
      asked.push(origin);
      return given === request;
    };
    assert.ok(isOriginAllowed(rule, request));
    assert.ok(!isOriginAllowed(rule, head(undefined)));
    assert.deepEqual(asked, ['http://a.com', undefined]);
  });

  it('takes nothing but true from a function: a promise is no permission', () => {
    for (const answer of [Promise.resolve(false), 'no', 1, {}, undefined]) {
      const rule = (() => answer) as unknown as OriginRule;
      assert.equal(isOriginAllowed(rule, head('http://a.com')), false);
    }
  });
});
