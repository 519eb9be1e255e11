import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defer, RESOLVED, rejected, unwatched } from '../../lib/net/promises.ts';
import { settle } from '../support/watchdog.ts';

describe('the promises of a connection', () => {
  it('end no process that nobody watches', async (t) => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    t.after(() => process.off('unhandledRejection', note));
    const error = new Error('unwatched');
    const promise = Promise.reject(error);
    assert.equal(unwatched(promise), promise);
    const other = rejected(error);
    await settle(2);
    assert.deepEqual(unhandled, []);
    for (const each of [promise, other]) await assert.rejects(each, error);
    assert.equal(await RESOLVED, undefined);
  });

  it('are settled from outside', async () => {
    const resolved = defer<number>();
    resolved.resolve(1);
    assert.equal(await resolved.promise, 1);
    const failed = defer();
    failed.reject(new Error('failed'));
    await assert.rejects(failed.promise, { message: 'failed' });
  });
});
