import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isHost, isHostAllowed } from '../../lib/handshake/host.ts';

describe('isHost', () => {
  it('takes a name or an address, with a port or without', () => {
    for (const text of [
      'example.com',
      'EXAMPLE.com:8080',
      'localhost:',
      'a',
      'azAZ09:0123456789',
      'under_score.example',
      'xn--bcher-kva.example',
      'b%C3%BCcher.example',
      '127.0.0.1:60000',
      '[::1]',
      '[::1]:8080',
      '[fe80::1%25eth0]',
      '[v1.a:b]:1',
    ]) {
      assert.equal(isHost(text), true, text);
    }
  });

  it('takes nothing else: no empty host, no user, no path, and nothing to be mended', () => {
    for (const text of [
      '',
      ':',
      ':8080',
      ' ',
      'exa mple.com',
      ' example.com',
      'exa\tmple.com',
      'example.com:port',
      'example.com:80:80',
      'example.com:-1',
      'user@example.com',
      'example.com/path',
      'example.com?query',
      'example.com#hash',
      'example.com\\path',
      'http://example.com',
      'ex\u00e4mple.com',
      'ex"ample.com',
      '<example.com>',
      '[]',
      '[]:80',
      '[::1',
      '[::1/',
      '[::1/:80',
      '[::1]80',
      '[::1]]',
      '[[::1]]',
      '::1',
      'a[::1]',
    ]) {
      assert.equal(isHost(text), false, text);
    }
  });
});

describe('isHostAllowed', () => {
  const rule = ['localhost', 'Example.com:8080', '[::1]', '[::2]:81'];

  it('takes a name with any port, and one with a port with that alone, in any case of letters', () => {
    for (const host of [
      'localhost',
      'LOCALHOST:3000',
      'localhost:',
      'example.com:8080',
      '[::1]',
      '[::1]:9',
      '[::2]:81',
    ]) {
      assert.equal(isHostAllowed(rule, host), true, host);
    }
  });

  it('takes no other, and none at all', () => {
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      'evil.localhost',
      'localhost@evil.example',
      'example.com',
      'example.com:80',
      'example.com:80801',
      '[::2]',
      '[::2]:8',
      '[::1',
      '',
      undefined,
    ]) {
      assert.equal(isHostAllowed(rule, host), false, host);
    }
  });

  it('takes all with *', () => {
    for (const host of ['evil.example', '', undefined]) assert.equal(isHostAllowed('*', host), true);
  });
});
