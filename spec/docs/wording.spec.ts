import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkNames, closestName, kindOf, notABody, show } from '../../lib/wording.ts';

describe('kindOf', () => {
  class Own {}
  const kinds: readonly [value: unknown, kind: string][] = [
    [undefined, 'undefined'],
    [null, 'null'],
    [5, 'the number 5'],
    [7n, 'the bigint 7n'],
    ['a', "the string 'a'"],
    [true, 'the boolean true'],
    [Symbol('a'), 'a symbol'],
    [() => {}, 'a function'],
    [Own, 'a class'],
    [[1], 'an array'],
    [{}, 'an object'],
    [Object.create(null), 'an object'],
    [new Own(), 'an Own'],
    [new Map(), 'a Map'],
    [Promise.resolve(), 'a promise'],
  ];
  for (const [value, kind] of kinds) it(`calls it ${kind}`, () => assert.equal(kindOf(value), kind));
});

describe('notABody', () => {
  const advice: readonly [value: unknown, advice: string][] = [
    [{ a: 1 }, 'send JSON.stringify(value)'],
    [[1], 'send JSON.stringify(value)'],
    [undefined, "give '' if it is meant to be empty"],
    [null, "give '' if it is meant to be empty"],
    [5, 'send String(value), if its text is what is meant'],
    [Promise.resolve('a'), 'await it first'],
    [new ArrayBuffer(1), 'send new Uint8Array(value)'],
    [new SharedArrayBuffer(1), 'send new Uint8Array(value)'],
    [new Float32Array(1), 'send new Uint8Array(value.buffer, value.byteOffset, value.byteLength)'],
    [new Blob(['a']), 'send new Uint8Array(await value.arrayBuffer())'],
  ];
  for (const [value, text] of advice) {
    it(`says of ${kindOf(value)}: ${text}`, () => {
      const { message } = notABody('a message', value);
      assert.equal(message, `a message is a string or bytes (a Uint8Array), and this one is ${kindOf(value)}: ${text}`);
    });
  }
});

describe('closestName', () => {
  const names = ['host', 'port', 'maxMessageBytes', 'maxFrameBytes', 'heartbeatIntervalMs', 'origins'];
  const meant: Record<string, string | undefined> = {
    maxMesageBytes: 'maxMessageBytes',
    maxMessageSize: 'maxMessageBytes',
    MAXFRAMEBYTES: 'maxFrameBytes',
    messageSize: undefined,
    hartbeatInterval: 'heartbeatIntervalMs',
    hots: 'host',
    prot: 'port',
    heartbeatInterval: 'heartbeatIntervalMs',
    origin: 'origins',
    cert: undefined,
    '': undefined,
    verifyClient: undefined,
    ['x'.repeat(100_000)]: undefined,
  };
  for (const [name, closest] of Object.entries(meant)) {
    it(`takes ${name.slice(0, 20)} for ${closest}`, () => assert.equal(closestName(name, names), closest));
  }
});

describe('checkNames', () => {
  it('takes what there is', () => {
    for (const options of [{}, { a: 1 }, { a: undefined, b: 2 }]) checkNames('it', options, ['a', 'b']);
  });

  it('says what it got, and what there is', () => {
    assert.throws(() => checkNames('it', null, ['a', 'b']), {
      name: 'TypeError',
      message: 'it takes its options as an object with a, b, and this is null',
    });
    assert.throws(() => checkNames('it', { lenght: 1 }, ['length']), {
      message: '"lenght" is no option of it: did you mean "length"? there are length',
    });
    assert.throws(() => checkNames('it', { zzz: 1 }, ['length']), {
      message: '"zzz" is no option of it: there are length',
    });
  });
});

describe('show', () => {
  it('shows a value as it is written, and not all of a large one', () => {
    assert.equal(show({ port: '1' }), "{ port: '1' }");
    assert.ok(show('x'.repeat(1000)).length < 130);
    assert.equal(show(Object.fromEntries(Array.from({ length: 99 }, (_, i) => [`key${i}`, i]))).length, 121);
  });
});
