import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type PerMessageDeflateOptions, resolveDeflateOptions } from '../../lib/extensions/deflate-options.ts';

describe('resolveDeflateOptions', () => {
  it('compresses nothing unless it is told to', () => {
    assert.equal(resolveDeflateOptions(false), undefined);
  });

  it('keeps no context by default', () => {
    const defaults = {
      thresholdBytes: 1024,
      level: 3,
      memLevel: 8,
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 15,
      clientMaxWindowBits: 15,
      maxContextBytes: 64 * 1024 * 1024,
      maxRatio: Number.POSITIVE_INFINITY,
    };
    assert.deepEqual(resolveDeflateOptions(true), defaults);
    assert.deepEqual(resolveDeflateOptions({}), defaults);
    assert.deepEqual(resolveDeflateOptions({ level: undefined } as never), defaults);
  });

  it('makes contexts small, and compresses small messages, when the server keeps one for each connection', () => {
    const options = resolveDeflateOptions({ serverNoContextTakeover: false })!;
    assert.equal(options.thresholdBytes, 128);
    assert.equal(options.memLevel, 5);
    assert.equal(options.serverMaxWindowBits, 12);
    assert.equal(options.clientNoContextTakeover, true);
  });

  it('takes each option as it is given', () => {
    const given = {
      thresholdBytes: 0,
      level: 9,
      memLevel: 1,
      serverNoContextTakeover: false,
      clientNoContextTakeover: false,
      serverMaxWindowBits: 8,
      clientMaxWindowBits: 9,
      maxContextBytes: 0,
      maxRatio: 10.5,
    };
    assert.deepEqual(resolveDeflateOptions(given), given);
  });

  it('refuses numbers out of range, and says what to give', () => {
    const wrong: [option: PerMessageDeflateOptions, message: RegExp][] = [
      [{ serverMaxWindowBits: 7 }, /perMessageDeflate\.serverMaxWindowBits is 7: give a whole number from 8 to 15/],
      [{ clientMaxWindowBits: 16 }, /whole number from 8 to 15/],
      [{ clientMaxWindowBits: 9.5 }, /is 9\.5/],
      [{ level: 0 }, /from 1 to 9/],
      [{ memLevel: 10 }, /from 1 to 9/],
      [{ thresholdBytes: -1 }, /a number of at least 0/],
      [{ thresholdBytes: Number.NaN }, /is NaN/],
      [{ maxRatio: 0.5 }, /at least 1/],
      [{ maxContextBytes: '1' as never }, /is '1': give a number/],
    ];
    for (const [option, message] of wrong)
      assert.throws(() => resolveDeflateOptions(option), { name: 'RangeError', message });
  });

  it('refuses options that do not exist, and switches that are no booleans', () => {
    assert.throws(() => resolveDeflateOptions({ threshold: 1 } as never), {
      name: 'TypeError',
      message:
        /"threshold" is no option of perMessageDeflate: did you mean "thresholdBytes"\? there are serverNoContextTakeover, .*thresholdBytes/,
    });
    assert.throws(() => resolveDeflateOptions({ constructor: 1 } as never), /"constructor" is no option/);
    assert.throws(() => resolveDeflateOptions({ clientNoContextTakeover: 1 } as never), {
      name: 'TypeError',
      message: /perMessageDeflate\.clientNoContextTakeover is 1: give true or false/,
    });
  });
});
