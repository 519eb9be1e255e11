import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { type CookieOptions, formatCookie, isSameCookie, readCookie, readCookies } from '../../lib/server/cookies.ts';
import { Response } from '../../lib/server/response.ts';
import { cleanUp } from '../support/clean-up.ts';
import { makeServer, run } from '../support/running-server.ts';
import { httpRequest, upgradeRequest, WsClient } from '../support/ws-client.ts';

afterEach(cleanUp);

describe('readCookies', () => {
  const cases: [header: string | undefined, cookies: Record<string, string>][] = [
    [undefined, {}],
    ['', {}],
    ['a=1', { a: '1' }],
    ['a=1; b=2', { a: '1', b: '2' }],
    ['a=1;b=2 ;\tc = 3', { a: '1', b: '2', c: '3' }],
    ['a=', { a: '' }],
    ['a=b=c==', { a: 'b=c==' }],
    ['=1; a', {}],
    [';;;a=1;;', { a: '1' }],
    ['a="quoted text"; b="; c=""; d="half', { a: 'quoted text', b: '"', c: '', d: '"half' }],
    ['a=%C3%A9%3B; b=100%; c=%ff', { a: 'é;', b: '100%', c: '%ff' }],
    ['a=first; a=second; A=other', { a: 'first', A: 'other' }],
    ['constructor=1', { constructor: '1' }],
  ];
  for (const [header, cookies] of cases) {
    it(`reads ${JSON.stringify(header)}`, () => {
      assert.deepEqual([...readCookies(header)], Object.entries(cookies));
      for (const [name, value] of Object.entries(cookies)) assert.equal(readCookie(header, name), value);
    });
  }

  it('has no cookie that is not there', () => {
    for (const name of ['b', '', 'constructor', '__proto__', 'a=1'])
      assert.equal(readCookie('a=1; ab=2', name), undefined);
    assert.deepEqual([...readCookies('__proto__=1')], [['__proto__', '1']]);
  });

  it('takes time that grows with the length of the header alone', () => {
    for (const header of [
      ';'.repeat(100_000),
      ' '.repeat(100_000),
      `a=${'"'.repeat(100_000)}`,
      'a=1;'.repeat(25_000),
    ]) {
      readCookies(header);
      assert.equal(readCookie(header, 'none'), undefined);
    }
  });
});

describe('formatCookie', () => {
  const right: [name: string, value: string, options: CookieOptions, line: string][] = [
    ['a', '1', {}, 'a=1; Path=/'],
    ['a', '', { maxAge: 0 }, 'a=; Max-Age=0; Path=/'],
    ['a', 'é; "\r\n', {}, 'a=%C3%A9%3B%20%22%0D%0A; Path=/'],
    [
      'a',
      '1',
      { expires: new Date(Date.UTC(2026, 0, 2, 3, 4, 5)) },
      'a=1; Expires=Fri, 02 Jan 2026 03:04:05 GMT; Path=/',
    ],
    ['a', '1', { path: '/app', domain: 'example.com' }, 'a=1; Path=/app; Domain=example.com'],
    [
      'a',
      '1',
      { secure: true, httpOnly: true, sameSite: 'none', partitioned: true },
      'a=1; Path=/; Secure; HttpOnly; SameSite=None; Partitioned',
    ],
    ['a', '1', { sameSite: 'lax', secure: false, httpOnly: false }, 'a=1; Path=/; SameSite=Lax'],
    ['a', '1', { sameSite: 'strict', domain: undefined }, 'a=1; Path=/; SameSite=Strict'],
    ['__Host-id', '1', { secure: true }, '__Host-id=1; Path=/; Secure'],
    ['__Secure-id', '1', { secure: true, path: '/a' }, '__Secure-id=1; Path=/a; Secure'],
  ];
  for (const [name, value, options, line] of right) {
    it(`writes ${line}`, () => {
      assert.equal(formatCookie(name, value, options), line);
      assert.equal(readCookie(line, name), value);
    });
  }

  const wrong: [name: unknown, value: unknown, options: object, message: RegExp][] = [
    ['', '1', {}, /^the cookie name "" is not valid: use letters/],
    ['a b', '1', {}, /the cookie name "a b"/],
    ['a;', '1', {}, /the cookie name "a;"/],
    ['a=', '1', {}, /the cookie name/],
    [5, '1', {}, /the cookie name 5/],
    ['a', 5, {}, /^the value of the cookie "a" is a string, and not of type number$/],
    ['a', '\ud800', {}, /half of a surrogate pair/],
    ['a', 'x'.repeat(4096), {}, /its name and value take 4097 bytes, and browsers take 4096/],
    ['a', 'é'.repeat(700), {}, /take 4201 bytes/],
    ['a', '1', { maxage: 5 }, /^"maxage" is no option of a cookie: there are maxAge, expires, /],
    ['a', '1', { maxAge: 0.5 }, /maxAge is 0.5: give whole seconds/],
    ['a', '1', { maxAge: Number.POSITIVE_INFINITY }, /maxAge is Infinity/],
    ['a', '1', { expires: new Date(Number.NaN) }, /expires is no valid Date/],
    ['a', '1', { expires: 5 }, /expires is no valid Date/],
    ['a', '1', { path: 'app' }, /path is "app": begin it with "\/"/],
    ['a', '1', { path: '/a;Domain=evil.example' }, /leave out ";"/],
    ['a', '1', { path: '/a\r\nX: y' }, /path is/],
    ['a', '1', { path: '/é' }, /path is/],
    ['a', '1', { domain: 'a.example;b' }, /domain is "a.example;b": give the name of a host/],
    ['a', '1', { domain: '' }, /domain is ""/],
    ['a', '1', { domain: 'https://example.com' }, /domain is/],
    ['a', '1', { sameSite: 'None' }, /sameSite is "None": give 'strict', 'lax' or 'none'/],
    ['a', '1', { sameSite: 'toString' }, /sameSite is "toString"/],
    ['a', '1', { sameSite: 'none' }, /secure: true only, because of sameSite: 'none'$/],
    ['a', '1', { partitioned: true }, /because of partitioned: true$/],
    ['__Secure-a', '1', {}, /secure: true only, because of its name$/],
    ['__Host-a', '1', {}, /secure: true only, because of its name$/],
    ['__HOST-a', '1', { secure: true, path: '/app' }, /with the path "\/" and without a domain only/],
    ['__Host-a', '1', { secure: true, domain: 'example.com' }, /without a domain only/],
  ];
  for (const [name, value, options, message] of wrong) {
    it(`refuses ${JSON.stringify(name)}, ${String(value).slice(0, 10)}, ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => formatCookie(name as string, value as string, options),
        (error: Error) => {
          assert.match(error.message, message);
          return error instanceof TypeError || error instanceof RangeError;
        },
      );
    });
  }
});

describe('isSameCookie', () => {
  it('compares name, domain and path', () => {
    const same = [
      ['a=1; Path=/', 'a=2; Path=/; Secure'],
      ['a=1; Domain=Example.com; Path=/', 'a=2; path=/; domain=.example.com'],
      ['a=1', 'a=2'],
    ];
    const other = [
      ['a=1; Path=/', 'A=1; Path=/'],
      ['a=1; Path=/', 'a=1; Path=/a'],
      ['a=1; Path=/', 'a=1; Path=/; Domain=example.com'],
      ['a=1; Path=/', 'a=1'],
    ];
    for (const [one, two] of same) assert.equal(isSameCookie(one!, two!), true, `${one} | ${two}`);
    for (const [one, two] of other) assert.equal(isSameCookie(one!, two!), false, `${one} | ${two}`);
  });
});

describe('Response.setCookie', () => {
  const linesOf = (response: Response) => response.getHeaders().map(([name, value]) => `${name}: ${value}`);

  it('adds lines, behind those that were set as a header, and replaces the same cookie', () => {
    const response = new Response().setHeader('set-cookie', 'old=1').setCookie('a', '1').setCookie('b', '2');
    response.setCookie('a', '3').setCookie('a', '4', { path: '/app' });
    assert.deepEqual(
      linesOf(response),
      ['old=1', 'b=2; Path=/', 'a=3; Path=/', 'a=4; Path=/app'].map((line) => `Set-Cookie: ${line}`),
    );
  });

  it('changes nothing when it throws', () => {
    const response = new Response().setCookie('a', '1');
    assert.throws(() => response.setCookie('a', '2', { path: 'x' }));
    assert.deepEqual(linesOf(response), ['Set-Cookie: a=1; Path=/']);
  });
});

describe('cookies of a context', () => {
  const session = (headers: ReadonlyMap<string, string>) => headers.get('set-cookie');

  it('are read and set over plain HTTP, and with the 101, where they last for all messages', async () => {
    const { server, errors } = makeServer();
    server.upgradeMiddleware(
      (ctx) => void ctx.setResponseCookie('seen', `${ctx.getRequestCookie('name')}`).setResponseCookie('b', ''),
    );
    server.route('/', (ctx) => {
      if (!ctx.isWebSocket()) ctx.setResponseCookie('name', 'Ada Lovelace', { httpOnly: true });
      void ctx.sendResponseJson([
        ctx.getRequestCookie('name'),
        ctx.getRequestCookie('none') ?? null,
        ctx.getRequestCookies().size,
      ]);
    });
    const port = await run(server);
    const first = await (await WsClient.connect(port)).write(httpRequest('GET', '/')).readResponse();
    assert.equal(session(first.headers), 'name=Ada%20Lovelace; Path=/; HttpOnly');

    const client = await WsClient.connect(port);
    const answer = await client.upgrade('/', { Cookie: 'x=1; name=Ada%20Lovelace' });
    assert.match(answer.text, /\r\nSet-Cookie: seen=Ada%20Lovelace; Path=\/\r\nSet-Cookie: b=; Path=\/\r\n/);
    for (let i = 0; i < 2; i++) assert.equal(await client.send('').receive(), '["Ada Lovelace",null,2]');
    assert.deepEqual(errors, []);
  });

  it('go out with a refusal', async () => {
    const { server } = makeServer();
    server.upgradeMiddleware((ctx) => ctx.setResponseCookie('a', '', { maxAge: 0 }).sendResponse(401, 'no'));
    const client = await WsClient.connect(await run(server));
    const refusal = await client.write(upgradeRequest('/')).readResponse();
    assert.deepEqual([refusal.status, session(refusal.headers)], [401, 'a=; Max-Age=0; Path=/']);
  });

  it('of several headers are all there', async () => {
    const { server } = makeServer();
    server.route('/', (ctx) => ctx.sendResponseJson([...ctx.getRequestCookies()]));
    const client = await WsClient.connect(await run(server));
    const { body } = await client.write(httpRequest('GET', '/', { Cookie: ['a=1', 'b=2; c=3'] })).readResponse();
    assert.deepEqual(JSON.parse(body), [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ]);
  });

  it('cannot be set on a WebSocket, which is said once', async () => {
    const warnings: string[] = [];
    const listener = (warning: Error & { code?: string }) => void warnings.push(`${warning.code}: ${warning.message}`);
    process.on('warning', listener);
    const { server, errors } = makeServer();
    server.route('/', (ctx) => void ctx.setResponseCookie('a', '1').sendResponseBody('done'));
    const client = await WsClient.open(await run(server));
    await client.send('').send('').receiveAll(2);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', listener);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /^WS_WARN_COOKIE_ON_WEBSOCKET: setResponseCookie does nothing on a WebSocket/);
    assert.deepEqual(errors, []);
  });
});
