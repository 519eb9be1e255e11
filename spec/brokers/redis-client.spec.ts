import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as ioredis from 'ioredis';
import * as redis from 'redis';
import { type RedisBrokerOptions, redisBroker } from '../../lib/brokers/redis.ts';
import { readRedisClient } from '../../lib/brokers/redis-client.ts';

const NO_EVENTS = { message() {}, signal() {}, up() {}, down() {} };
const NO_HISTORY = { historyMessages: 0, historyMs: 0 };

/** A port on which nothing listens. */
const NOWHERE = 1;

describe('the client of redisBroker', () => {
  const refused: [what: string, client: unknown, says: RegExp][] = [
    ['nothing', undefined, /this one is undefined$/],
    [
      'a URL',
      'redis://127.0.0.1',
      /the string 'redis:\/\/127\.0\.0\.1': pass createClient\(\{ url: '…' \}\) of redis, or/,
    ],
    ['the options of a client', { host: '127.0.0.1' }, /this one is an object$/],
    ['the module redis', redis, /the module redis: pass createClient\(\{ url \}\) of it$/],
    ['the module ioredis', ioredis, /the module ioredis: pass new Redis\(url\) of it$/],
    ['a class', ioredis.Redis, /a class: pass a client, such as new Redis\(url\)$/],
    ['a client that is still being made', Promise.resolve({}), /a promise: await it first$/],
    ['a pool of redis', redis.createClientPool(), /a pool: pass the client that it was made of/],
    [
      'a Sentinel client of redis',
      redis.createSentinel({ name: 'x', sentinelRootNodes: [{ host: '127.0.0.1', port: NOWHERE }] }),
      /a Sentinel client of redis.*pass new Redis\(\{ sentinels, name \}\) of ioredis$/,
    ],
    [
      'a client of redis 4',
      { duplicate() {}, connect() {}, on() {}, sendCommand() {}, sSubscribe() {} },
      /redis 4: update it/,
    ],
    [
      'a client of something else',
      { duplicate() {}, connect() {}, on() {}, status: 'ready' },
      /this one is an object$/,
    ],
    [
      'one that only looks like ioredis',
      { duplicate() {}, connect() {}, on() {}, callBuffer() {}, disconnect() {} },
      /an object$/,
    ],
    [
      'one that only looks like redis',
      { duplicate() {}, connect() {}, on() {}, sendCommand() {}, sSubscribe() {}, destroy() {} },
      /an object$/,
    ],
  ];
  for (const [what, client, says] of refused) {
    it(`refuses ${what}, and says what to pass`, () => {
      assert.throws(
        () => redisBroker({ client } as RedisBrokerOptions),
        (error: Error) => {
          assert.ok(error instanceof TypeError);
          assert.match(error.message, /^client is a client of the package redis or ioredis, such as createClient/);
          assert.match(error.message, says);
          return true;
        },
      );
    });
  }

  it('refuses options that do not exist', () => {
    const client = redis.createClient();
    assert.throws(
      () => redisBroker({ client, prefx: 'x' } as RedisBrokerOptions),
      /"prefx" is no option of redisBroker.*prefix/,
    );
  });

  it('refuses a prefix with braces, by which Redis Cluster finds the server of a key', () => {
    assert.throws(
      () => redisBroker({ client: redis.createClient(), prefix: '{app}' }),
      /RangeError: prefix .*without \{ and \}.*'\{app\}'/,
    );
  });

  it('refuses times that are none', () => {
    const client = redis.createClient();
    for (const wrong of [0, -1, Number.NaN, '5000']) {
      for (const name of ['timeoutMs', 'forgetAfterMs']) {
        assert.throws(
          () => redisBroker({ client, [name]: wrong } as RedisBrokerOptions),
          (error: Error) => error.message.startsWith(`${name} is a number of milliseconds from 1 to `),
        );
      }
    }
  });

  const databases: [what: string, client: unknown, database: number][] = [
    ['redis', redis.createClient({ database: 3 }), 3],
    ['redis by a URL', redis.createClient({ url: 'redis://127.0.0.1/4' }), 4],
    ['redis without any option', redis.createClient(), 0],
    ['ioredis', new ioredis.Redis({ db: 5, lazyConnect: true }), 5],
    ['a cluster by redis', redis.createCluster({ rootNodes: [{}] }), 0],
    ['a cluster by ioredis', new ioredis.Cluster([NOWHERE], { lazyConnect: true }), 0],
  ];
  for (const [what, client, database] of databases) {
    it(`is told apart by what it is: ${what}`, () => {
      assert.equal(readRedisClient(client, 1000).database, database);
    });
  }

  const unreachable: [what: string, client: RedisBrokerOptions['client']][] = [
    ['redis', redis.createClient({ socket: { host: '127.0.0.1', port: NOWHERE } })],
    ['ioredis', new ioredis.Redis({ port: NOWHERE, lazyConnect: true })],
    ['a cluster by redis', redis.createCluster({ rootNodes: [{ socket: { host: '127.0.0.1', port: NOWHERE } }] })],
    ['a cluster by ioredis', new ioredis.Cluster([{ host: '127.0.0.1', port: NOWHERE }], { lazyConnect: true })],
  ];
  for (const [what, client] of unreachable) {
    it(`has open reject where there is no server: ${what}`, async () => {
      const broker = redisBroker({ client });
      await assert.rejects(broker.open(NO_EVENTS, NO_HISTORY), (error: Error) => {
        assert.equal((error as { code?: string }).code, 'WS_ERR_BROKER_UNAVAILABLE');
        assert.match(error.message, /^cannot connect to Redis: /);
        assert.ok(error.cause instanceof Error);
        return true;
      });
      await broker.close();
    });
  }
});
