import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Extension, formatExtension, parseExtensions } from '../../lib/extensions/extension-header.ts';
import { seed } from '../support/seed.ts';

/** `a; b; c=1` as `{ name: 'a', parameters: [['b', undefined], ['c', '1']] }`, written in one line. */
function extension(name: string, ...parameters: [name: string, value?: string][]): Extension {
  return { name, parameters: parameters.map(([parameter, value]) => ({ name: parameter, value })) };
}

describe('parseExtensions', () => {
  it('reads names, parameters and values', () => {
    assert.deepEqual(parseExtensions('foo'), [extension('foo')]);
    assert.deepEqual(parseExtensions('foo; bar; baz=2'), [extension('foo', ['bar'], ['baz', '2'])]);
    assert.deepEqual(parseExtensions('deflate-stream, mux; max-channels=4; flow-control, deflate-stream'), [
      extension('deflate-stream'),
      extension('mux', ['max-channels', '4'], ['flow-control']),
      extension('deflate-stream'),
    ]);
  });

  it('keeps parameters that come twice, in order', () => {
    assert.deepEqual(parseExtensions('a;x=1;y;x=2'), [extension('a', ['x', '1'], ['y'], ['x', '2'])]);
  });

  it('lets spaces and tabs stand around all separators', () => {
    assert.deepEqual(parseExtensions(' \ta\t; b = 1 ;c="2"\t, d '), [
      extension('a', ['b', '1'], ['c', '2']),
      extension('d'),
    ]);
  });

  it('skips empty elements', () => {
    assert.deepEqual(parseExtensions(', a,, ,b,'), [extension('a'), extension('b')]);
  });

  it('reads quoted values, which must be tokens once unquoted', () => {
    assert.deepEqual(parseExtensions('a; b="c"'), [extension('a', ['b', 'c'])]);
    assert.deepEqual(parseExtensions(String.raw`a; b="\c\d"; e="1\2"`), [extension('a', ['b', 'cd'], ['e', '12'])]);
    for (const value of [
      '""',
      '"a b"',
      '"a,b"',
      '"ä"',
      '"',
      '"a',
      String.raw`"a\"`,
      String.raw`"\"`,
      String.raw`"a\ b"`,
    ]) {
      assert.equal(parseExtensions(`a; b=${value}`), undefined, value);
    }
  });

  it('gives names of prototypes no meaning', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      assert.deepEqual(parseExtensions(`${name}; ${name}; ${name}=${name}`), [extension(name, [name], [name, name])]);
    }
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
  });

  it('refuses what breaks the grammar', () => {
    const malformed = [
      '',
      ' ',
      ',',
      'a;',
      'a; ;b',
      'a; =1',
      'a; b=',
      'a; b=;c',
      'a; b==1',
      'a=1',
      'a b',
      'a; b c',
      'a; b=1 2',
      'a; b="1"2',
      'a; b="1" "2"',
      'a;; b',
      ';',
      'ä',
      'a; ö',
      'a\n',
      'a\0',
      '"a"',
      'a; "b"',
      'a/b',
      '\u{1f600}',
    ];
    for (const text of malformed) assert.equal(parseExtensions(text), undefined, JSON.stringify(text));
  });

  it('takes time in proportion to the length of what it reads', () => {
    // Each of them made a parser somewhere take seconds or minutes; 1 MiB takes some 20 ms here.
    const length = 1 << 20;
    const inputs = [
      `a; b="${'\\c'.repeat(length / 2)}`,
      `a; b="${'c'.repeat(length)}`,
      `a${' '.repeat(length)}b`,
      `a;${' '.repeat(length)}`,
      ','.repeat(length),
      'a,'.repeat(length / 2),
      'a;b=c;'.repeat(length / 6),
    ];
    const start = process.cpuUsage();
    for (const input of inputs) parseExtensions(input);
    const { user, system } = process.cpuUsage(start);
    assert.ok(user + system < 3_000_000, `${user + system} µs`);
  });

  const token = fc.string({ unit: fc.constantFrom(...'aZ09-_!#~|^'), minLength: 1, maxLength: 8 });
  const plain = { noNullPrototype: true };
  const parameter = fc.record({ name: token, value: fc.option(token, { nil: undefined }) }, plain);
  const element = fc.record({ name: token, parameters: fc.array(parameter, { maxLength: 4 }) }, plain);
  const extensions = fc.array(element, { minLength: 1, maxLength: 4 });

  it(`reads what formatExtension writes (seed ${seed})`, () => {
    fc.assert(
      fc.property(extensions, (list) => {
        assert.deepEqual(parseExtensions(list.map(formatExtension).join(', ')), list);
      }),
    );
  });

  it(`reads quoted and spaced text as it reads plain text (seed ${seed})`, () => {
    const space = fc.constantFrom('', ' ', '\t', ' \t ');
    const quote = fc.constantFrom(
      (value: string) => value,
      (value: string) => `"${value}"`,
      (value: string) => `"${value.replace(/./g, '\\$&')}"`,
    );
    fc.assert(
      fc.property(extensions, space, space, quote, (list, before, after, quoted) => {
        const text = list
          .map(({ name, parameters }) =>
            [
              name,
              ...parameters.map((p) =>
                p.value === undefined ? p.name : `${p.name}${before}=${after}${quoted(p.value)}`,
              ),
            ].join(`${before};${after}`),
          )
          .join(`${before},${after}`);
        assert.deepEqual(parseExtensions(text), list);
      }),
    );
  });

  it(`returns a list or nothing for any text (seed ${seed})`, () => {
    const unit = fc.constantFrom(...'ab;=,"\\ \t\n\0é'.split(''));
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 20 }), (text) => {
        const list = parseExtensions(text);
        if (list !== undefined) assert.deepEqual(parseExtensions(list.map(formatExtension).join(',')), list);
      }),
    );
  });
});

describe('formatExtension', () => {
  it('writes one element of the header', () => {
    assert.equal(formatExtension(extension('a')), 'a');
    assert.equal(formatExtension(extension('a', ['b'], ['c', '1'])), 'a; b; c=1');
  });
});
