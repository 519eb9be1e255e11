import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CloseCode, isWireCloseCode, listApplicationCodes } from '../../lib/codec/close-code.ts';

describe('isWireCloseCode', () => {
  it('says of every code from 0 to 70000 what §7.4 says', () => {
    const registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    for (let code = 0; code <= 70_000; code++) {
      const expected = registered.includes(code) || (code >= 3000 && code <= 4999);
      assert.equal(isWireCloseCode(code), expected, `${code}`);
    }
  });

  it('refuses what is no whole number', () => {
    for (const code of [-1, -1000, 999.5, 1000.5, 3000.5, 4999.5, Number.NaN, Infinity, -Infinity]) {
      assert.equal(isWireCloseCode(code), false, `${code}`);
    }
  });
});

describe('listApplicationCodes', () => {
  it('names those that an application would use, and none that may not be sent', () => {
    const text = listApplicationCodes();
    assert.equal(text, '1000, 1001, 1008, 1011 to 1014, or 3000 to 4999');
    for (const code of text.match(/\d+/g)!) assert.ok(isWireCloseCode(Number(code)));
  });
});

describe('CloseCode', () => {
  it('has the numbers of the registry', () => {
    assert.deepEqual(
      Object.values(CloseCode),
      [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015],
    );
  });

  it('holds three codes that are never sent', () => {
    const unsent = Object.values(CloseCode).filter((code) => !isWireCloseCode(code));
    assert.deepEqual(unsent, [CloseCode.NoStatus, CloseCode.Abnormal, CloseCode.TlsHandshake]);
  });
});
