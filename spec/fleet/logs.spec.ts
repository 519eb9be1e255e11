import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkLogs, type LogEntry, type SubscriberLog } from './logs.ts';

/** A log of messages by their offsets, `!` for a gap; each says its place, unless it is told otherwise. */
function log(name: string, told: string): SubscriberLog {
  const entries = told.split(' ').map((one): LogEntry => {
    if (one === '!') return { gap: 'e.0' };
    const [position = '', body = `m${position}`] = one.split('=');
    return { position: position.includes('.') ? position : `e.${position}`, body };
  });
  return { name, room: 'r', entries };
}

function faultsOf(...told: string[]): string[] {
  const published = new Map([['r', ['m1', 'm2', 'm3']]]);
  return checkLogs(
    told.map((one, i) => log(`c${i}`, one)),
    published,
  ).faults;
}

describe('the check of logs', () => {
  it('is content with runs of one order, and with gaps where something is missing', () => {
    assert.deepEqual(faultsOf('1 2 3', '1 2 3'), []);
    assert.deepEqual(faultsOf('1 2 3 4', '2 3'), []);
    assert.deepEqual(faultsOf('1 2 3 7', '1 ! 7'), []);
    assert.deepEqual(faultsOf('1 2 3 ! f.1=m4', '1 2 3 ! f.1=m4'), []);
    assert.deepEqual(faultsOf('1 2 3 ! f.1=m3'), [], 'published again at a broker that has lost all');
  });

  for (const [what, told, fault] of [
    ['a message that is left out', ['1 2 3', '1 3'], /c1 was not told what lies between e\.1 and e\.3, nor of a gap/],
    ['one that comes twice', ['1 2 3', '1 2 2 3'], /c1 was told m2 at e\.2 behind e\.2/],
    ['another order', ['1 2 3', '2 1 3'], /c1 was told m1 at e\.1 behind e\.2/],
    ['one that was stored twice', ['1 2 3 4=m1'], /m1 stands at e\.1 and at e\.4/],
    ['two at one place', ['1 2 3', '1 2=x 3'], /c1 was told x at e\.2, others m2/],
    ['another epoch without a gap', ['1 2 3 f.1=m4'], /nor of a gap/],
    ['one that was published and reached nobody', ['1 2'], /1 messages were published and reached nobody: m3/],
  ] as const) {
    it(`finds ${what}`, () => {
      const faults = faultsOf(...told);
      assert.ok(
        faults.some((one) => fault.test(one)),
        faults.join(),
      );
    });
  }
});
