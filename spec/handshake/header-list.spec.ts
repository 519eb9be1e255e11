import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isToken, isTokenChar, listHasToken, parseTokenList } from '../../lib/handshake/header-list.ts';

const TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

describe('isTokenChar', () => {
  it('tells each character of RFC 9110 §5.6.2 from all others', () => {
    for (let code = 0; code < 0x180; code++) {
      assert.equal(isTokenChar(code), TOKEN_CHARS.includes(String.fromCharCode(code)), `U+${code.toString(16)}`);
    }
  });
});

describe('isToken', () => {
  it('takes the characters of RFC 9110 §5.6.2 and no others', () => {
    for (let code = 0; code < 0x180; code++) {
      const char = String.fromCharCode(code);
      assert.equal(isToken(char), TOKEN_CHARS.includes(char), `U+${code.toString(16)}`);
      assert.equal(isToken(`a${char}b`), TOKEN_CHARS.includes(char), `a U+${code.toString(16)} b`);
    }
  });

  it('does not take the empty text', () => {
    assert.ok(!isToken(''));
  });
});

describe('parseTokenList', () => {
  const cases: [text: string, tokens: string[] | undefined][] = [
    ['', []],
    ['chat', ['chat']],
    ['chat, superchat', ['chat', 'superchat']],
    ['chat,superchat', ['chat', 'superchat']],
    ['a ,\tb\t , c ', ['a', 'b', 'c']],
    [' ,, a , ,b,,', ['a', 'b']],
    [' \t ', []],
    ['a, a', ['a', 'a']],
    ['constructor, __proto__, toString', ['constructor', '__proto__', 'toString']],
    ['a b', undefined],
    ['a, b c', undefined],
    ['a\tb', undefined],
    ['a;b', undefined],
    ['"a"', undefined],
    ['a, "b, c"', undefined],
    ['a=b', undefined],
    ['a\r\nb: c', undefined],
    ['é', undefined],
    ['a\0', undefined],
  ];
  for (const [text, tokens] of cases) {
    it(`reads ${JSON.stringify(text)} as ${JSON.stringify(tokens)}`, () => {
      assert.deepEqual(parseTokenList(text), tokens);
    });
  }
});

describe('listHasToken', () => {
  it('finds an element in any case of letters', () => {
    for (const text of [
      'Upgrade',
      'upgrade',
      'keep-alive, Upgrade',
      'keep-alive,UPGRADE ',
      '\tupgrade\t,x',
      'a b, upgrade',
    ]) {
      assert.ok(listHasToken(text, 'upgrade'), text);
    }
    assert.ok(listHasToken('upgrade', 'Upgrade'));
  });

  it('does not find part of an element', () => {
    for (const text of ['', 'upgraded', 'no-upgrade', 'up grade', 'upgrade;q=1', '"upgrade"', ', ,']) {
      assert.ok(!listHasToken(text, 'upgrade'), text);
    }
  });
});

describe('the lists of headers', () => {
  it('are read in one pass: no character is looked at more than a few times', () => {
    // The shapes that made regular expressions quadratic: runs of spaces and commas, with nothing that ends them.
    const shapes = [' ', ',', ', ', ' ,', 'a ', 'a,', 'a, ', '\t', 'upgrade '];
    for (const shape of shapes) {
      for (const read of [parseTokenList, (text: string) => listHasToken(text, 'upgrade')]) {
        const [small, large] = [1000, 4000].map((count) => countReads(`a${shape.repeat(count)}b`, read));
        assert.ok(large! <= small! * 4 + 100, `${JSON.stringify(shape)}: ${small} reads, then ${large}`);
      }
    }
  });
});

/** Counts how often a function looks at a text: a stand-in that counts calls of the methods of strings on it. */
function countReads(text: string, read: (text: string) => unknown): number {
  let reads = 0;
  const original = String.prototype.charCodeAt;
  const trim = String.prototype.trim;
  try {
    String.prototype.charCodeAt = function (this: string, index: number): number {
      reads++;
      return original.call(this, index);
    };
    String.prototype.trim = function (this: string): string {
      reads += this.length;
      return trim.call(this);
    };
    read(text);
  } finally {
    String.prototype.charCodeAt = original;
    String.prototype.trim = trim;
  }
  return reads;
}
