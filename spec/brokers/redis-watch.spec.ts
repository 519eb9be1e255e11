import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RedisWatch } from '../../lib/brokers/redis-watch.ts';
import { defer, settle } from '../support/watchdog.ts';

/** A watch of a connection that answers when it is told to, and the errors it has told. */
function watch(): { it: RedisWatch; answers: ReturnType<typeof defer<void>>[]; errors: string[] } {
  const answers: ReturnType<typeof defer<void>>[] = [];
  const errors: string[] = [];
  const ask = (): Promise<void> => {
    answers.push(defer());
    return answers.at(-1)!.promise;
  };
  return { it: new RedisWatch('to a command', ask, 1000, ({ message }) => errors.push(message)), answers, errors };
}

describe('RedisWatch', () => {
  it('asks again when it was answered, and not before', async () => {
    const { it: watched, answers, errors } = watch();
    watched.tick(0);
    watched.tick(250);
    assert.equal(answers.length, 1);
    answers[0]!.resolve();
    await settle();
    watched.tick(500);
    assert.equal(answers.length, 2);
    await settle();
    assert.deepEqual(errors, []);
  });

  it('tells of a connection that does not answer in time', async () => {
    const { it: watched, errors } = watch();
    watched.tick(0);
    watched.tick(1000);
    await settle();
    assert.deepEqual(errors, []);
    watched.tick(1250);
    assert.deepEqual(errors, [], 'what has come already is read first');
    await settle();
    assert.deepEqual(errors, ['no answer came to a command within 1000 ms']);
  });

  it('takes an answer that was there when this process stood still', async () => {
    const { it: watched, answers, errors } = watch();
    watched.tick(0);
    watched.tick(60_000);
    answers[0]!.resolve();
    await settle();
    assert.deepEqual(errors, []);
  });

  it('waits longer for a connection that is busy with something else', async () => {
    const { it: watched, errors } = watch();
    watched.hear(0);
    watched.tick(0);
    watched.hear(900);
    watched.tick(1250);
    await settle();
    assert.deepEqual(errors, []);
    watched.tick(2000);
    await settle();
    assert.equal(errors.length, 1);
  });

  it('tells what an answer says that is an error', async () => {
    const { it: watched, answers, errors } = watch();
    watched.tick(0);
    answers[0]!.reject(new Error('the server is another than before'));
    await settle();
    assert.deepEqual(errors, ['the server is another than before']);
  });
});
