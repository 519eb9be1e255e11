import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NatsBroker, type NatsBrokerOptions } from '../../lib/brokers/nats.ts';
import type { NatsConnection } from '../../lib/brokers/nats-connection.ts';
import type { NatsTiming } from '../../lib/brokers/nats-link.ts';
import { BrokerError } from '../../lib/errors.ts';
import type { BrokerSettings } from '../../lib/topics/broker.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { NatsServer, skipWithoutNats } from '../support/nats-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { Follower, GAP } from '../support/topic-follower.ts';
import { until } from '../support/watchdog.ts';

const TIMING = { checkMs: 50, answerMs: 1000, quietChecks: 30 };
const STREAM = 'hyperlane';
const FEW = { historyMessages: 10, historyMs: 1000 };

async function start(...args: string[]): Promise<NatsServer> {
  const server = await NatsServer.start(...args);
  onCleanUp(() => server.stop());
  return server;
}

async function openProxy(server: NatsServer): Promise<TcpProxy> {
  const proxy = await TcpProxy.open(server.port);
  onCleanUp(() => proxy.close());
  return proxy;
}

function make(connection: NatsConnection, options: Partial<NatsBrokerOptions> = {}, timing = TIMING): NatsBroker {
  const broker = new NatsBroker({ connection, ...options }, timing);
  onCleanUp(() => broker.close());
  return broker;
}

interface FollowOptions extends Partial<NatsBrokerOptions> {
  readonly port?: number;
  readonly topic?: string;
  readonly settings?: BrokerSettings;
  readonly timing?: NatsTiming;
}

async function follow(server: NatsServer, options: FollowOptions = {}): Promise<Follower> {
  const { port = server.port, topic = 'room', settings, timing, ...rest } = options;
  return Follower.open(make(await server.connect(port), rest, timing), topic, settings);
}

/** Publishes numbers, one after the other, until `stop`, which returns them. Each is repeated until it is published. */
function publishNumbers(follower: Follower): { stop(): Promise<string[]>; more(): Promise<void> } {
  const published: string[] = [];
  let isOver = false;
  const running = (async () => {
    while (!isOver) {
      await follower.publish(`${published.length}`);
      published.push(`${published.length}`);
      await sleep(1);
    }
  })();
  return {
    more: () => {
      const goal = published.length + 20;
      return until('more is published', () => published.length >= goal);
    },
    async stop() {
      isOver = true;
      await running;
      return published;
    },
  };
}

function untilLogged(follower: Follower, text: string): Promise<void> {
  return until(`${text} is told`, () => follower.log.at(-1) === text);
}

/** A connection that does not hear what it is told to miss. */
function deaf(connection: NatsConnection, isMissed: (subject: string, text: string) => boolean): NatsConnection {
  const methods = ['publish', 'flush', 'status', 'isClosed'] as const;
  const rest = Object.fromEntries(methods.map((name) => [name, (connection[name] as () => unknown).bind(connection)]));
  return {
    ...(rest as unknown as NatsConnection),
    subscribe: (subject, { callback }) =>
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (!isMissed(message.subject, Buffer.from(message.data).toString())) callback(error, message);
        },
      }),
  };
}

describe('NATS with JetStream, when something breaks', skipWithoutNats(), () => {
  afterEach(cleanUp);

  it('misses nothing when connections are cut, again and again, under load', async () => {
    const server = await start();
    const proxies = [await openProxy(server), await openProxy(server)] as const;
    const [a, b] = [await follow(server, { port: proxies[0].port }), await follow(server, { port: proxies[1].port })];
    const numbers = publishNumbers(a);
    for (let round = 0; round < 4; round++) {
      const proxy = proxies[round % 2]!;
      proxy.cut();
      await sleep(20);
      proxy.heal();
      await [a, b][round % 2]!.untilUp((round >> 1) + 1);
      await numbers.more();
    }
    const published = await numbers.stop();
    for (const follower of [a, b]) {
      await untilLogged(follower, published.at(-1)!);
      assert.deepEqual(follower.log, published);
      assert.ok(follower.downs.every((error) => error instanceof BrokerError));
    }
  });

  it('misses nothing when the server is killed and comes back with what it had', async () => {
    const server = await start();
    const [a, b] = [await follow(server), await follow(server)];
    const numbers = publishNumbers(a);
    const { epoch } = b;
    for (let round = 1; round <= 2; round++) {
      await numbers.more();
      await server.kill();
      await server.begin();
      await Promise.all([a.untilUp(round), b.untilUp(round)]);
    }
    await numbers.more();
    const published = await numbers.stop();
    for (const follower of [a, b]) {
      await untilLogged(follower, published.at(-1)!);
      assert.deepEqual(follower.log, published);
      assert.equal(follower.epoch, epoch);
    }
  });

  it('says that there is a gap when the server comes back without what it had', async () => {
    const server = await start();
    const [a, b] = [await follow(server), await follow(server)];
    await a.publish('before');
    await untilLogged(b, 'before');
    await server.kill();
    server.forget();
    await server.begin();
    await Promise.all([a.untilUp(1), b.untilUp(1)]);
    await a.publish('after');
    await untilLogged(b, 'after');
    assert.deepEqual(b.log, ['before', GAP, 'after']);
  });

  it('says that there is a gap when the server comes back without the end of what it had', async () => {
    const server = await start();
    const [a, b] = [await follow(server), await follow(server)];
    await a.publish('kept');
    await server.kill();
    server.save();
    await server.begin();
    await Promise.all([a.untilUp(1), b.untilUp(1)]);
    await a.publish('lost');
    await untilLogged(b, 'lost');
    await server.kill();
    server.restore();
    await server.begin();
    await Promise.all([a.untilUp(2), b.untilUp(2)]);
    await a.publish('other');
    await untilLogged(b, 'other');
    assert.deepEqual(b.log, ['kept', 'lost', GAP, 'other']);
    assert.equal(a.epoch, b.epoch);
    const late = await follow(server);
    assert.equal(late.epoch, b.epoch, 'who comes later knows of it');
  });

  it('makes the stream again when it was deleted, and says that there is a gap', async () => {
    const server = await start();
    const memory = { jetstream: { storage: 'memory' } } as const;
    const [a, b] = [await follow(server, memory), await follow(server, memory)];
    await a.publish('before');
    await untilLogged(b, 'before');
    await server.api(`STREAM.DELETE.${STREAM}`);
    await a.publish('missed');
    await Promise.all([a.untilUp(1), b.untilUp(1)]);
    await a.publish('after');
    await untilLogged(b, 'after');
    assert.deepEqual(
      b.log.filter((entry) => entry !== 'missed'),
      ['before', GAP, 'after'],
    );
  });

  it('has no message that was purged, and tells that', async () => {
    const server = await start();
    const [a, b] = [await follow(server), await follow(server)];
    await a.publish('one');
    const seen = await a.publish('two');
    await a.publish('purged');
    await untilLogged(b, 'purged');
    await server.api(`STREAM.PURGE.${STREAM}`);
    const page = await b.broker.read('room', seen.offset, 10);
    assert.deepEqual([page.messages.length, page.offset > seen.offset], [0, true], 'there were messages behind it');
    const next = await a.publish('next');
    await untilLogged(b, 'next');
    const [message] = (await b.broker.read('room', seen.offset, 10)).messages;
    assert.deepEqual([message!.offset, message!.previous > seen.offset], [next.offset, true]);
    assert.deepEqual(b.log, ['one', 'two', 'purged', 'next'], 'who had seen all has no gap');
  });

  it('notices a connection that is half open', async () => {
    const server = await start();
    const proxy = await openProxy(server);
    const broker = make(await server.connect(proxy.port), {}, { ...TIMING, answerMs: 400 });
    const [a, b] = [await follow(server), await Follower.open(broker, 'room')];
    proxy.forget();
    await a.publish('meanwhile');
    await b.untilUp(1);
    await untilLogged(b, 'meanwhile');
    assert.equal(b.downs.length, 1);
    proxy.stall();
    await until('it says so', () => b.downs.length === 2);
    await assert.rejects(b.broker.publish('room', Buffer.from('x'), undefined), BrokerError);
    await a.publish('again');
    proxy.heal();
    await untilLogged(b, 'again');
    assert.deepEqual(b.log, ['meanwhile', 'again']);
  });

  it('finds out what core NATS has lost, at the end of a topic too', async () => {
    const server = await start();
    const timing = { ...TIMING, checkMs: 10, quietChecks: 1 };
    const connection = await server.connect();
    const isMissed = (subject: string, text: string): boolean => subject.includes('.topic.') && text.startsWith('lost');
    const b = await Follower.open(make(deaf(connection, isMissed), {}, timing), 'room');
    const a = await follow(server);
    for (const text of ['0', 'lost 1', '2', 'lost 3', 'lost 4']) await a.publish(text);
    await untilLogged(b, 'lost 4');
    assert.deepEqual(b.log, ['0', 'lost 1', '2', 'lost 3', 'lost 4']);
  });

  it('has no gap in a topic that is quiet for longer than anything is kept', async () => {
    const server = await start();
    const short = { jetstream: { keepMs: 1500 }, settings: FEW, timing: { ...TIMING, checkMs: 10, quietChecks: 1 } };
    const [quiet, busy] = [await follow(server, short), await follow(server, { ...short, topic: 'busy' })];
    const first = await quiet.publish('first');
    await untilLogged(quiet, 'first');
    const numbers = publishNumbers(busy);
    const empty = async () => (await quiet.broker.read('room', first.offset, 10)).offset > first.offset;
    while (!(await empty())) await sleep(20);
    const late = await follow(server, short);
    assert.equal((await late.broker.read('room', 1e9, 10)).offset < 1e9, true, 'so far nothing has been');
    await numbers.more();
    await quiet.publish('second');
    await numbers.stop();
    await untilLogged(late, 'second');
    await untilLogged(quiet, 'second');
    assert.deepEqual([quiet.log, late.log], [['first', 'second'], ['second']]);
    assert.ok((await quiet.broker.read('room', first.offset, 10)).messages[0]!.previous > first.offset, 'nobody knows');
  });

  it('never leaves out a message that is forgotten while it is read', async () => {
    const server = await start();
    const settings = { historyMessages: 5, historyMs: 1000 };
    const [a, b] = [await follow(server, { settings }), await follow(server, { settings, topic: 'other' })];
    const offsets: number[] = [];
    let isOver = false;
    const publishing = (async () => {
      while (!isOver) {
        const places = await Promise.all(Array.from({ length: 3 }, () => a.publish('x')));
        offsets.push(...places.map(({ offset }) => offset));
      }
    })();
    const seen: { offset: number; previous: number }[] = [];
    for (let last = 0; seen.length < 150; ) {
      const { messages } = await b.broker.read('room', last, 100);
      seen.push(...messages);
      last = messages.at(-1)?.offset ?? last;
    }
    isOver = true;
    await publishing;
    offsets.sort((one, other) => one - other);
    for (const { offset, previous } of seen) {
      const before = offsets.filter((one) => one < offset).at(-1) ?? 0;
      assert.ok(previous >= before, `${offset} says that ${previous} was before it, and that was ${before}`);
    }
  });

  it('keeps as much as any process asks for', async () => {
    const server = await start();
    await follow(server, { settings: { historyMessages: 20, historyMs: 1000 } });
    await follow(server, { settings: FEW });
    const limit = async (): Promise<number> => {
      const info = await server.api<{ config: { max_msgs_per_subject: number } }>(`STREAM.INFO.${STREAM}`);
      return info.config.max_msgs_per_subject;
    };
    assert.equal(await limit(), 20);
    await follow(server, { settings: { historyMessages: 30, historyMs: 1000 }, jetstream: { storage: 'memory' } });
    assert.equal(await limit(), 30);
  });

  it('is down for good when the connection is closed, and says what to do', async () => {
    const server = await start();
    const connection = await server.connect();
    const a = await Follower.open(make(connection), 'room');
    await connection.close();
    await until('it says so', () => a.downs.length === 1);
    assert.match(a.downs[0]!.message, /maxReconnectAttempts: -1/);
    await assert.rejects(a.broker.publish('room', Buffer.from('x'), undefined), { code: 'WS_ERR_BROKER_UNAVAILABLE' });
    await a.broker.signal('room', Buffer.from('nobody'));
    const never = make(connection, { prefix: 'other' });
    await assert.rejects(Follower.open(never, 'room'), /does not take/);
  });
});

describe('NATS that cannot be used', skipWithoutNats(), () => {
  afterEach(cleanUp);

  it('is refused without JetStream where there is history, and used where there is none', async () => {
    const server = await start('--name', 'plain');
    await assert.rejects(follow(server), /JetStream does not answer: start nats-server with -js/);
    const settings = { historyMessages: 0, historyMs: 0 };
    const [a, b] = [await follow(server, { settings }), await follow(server, { settings })];
    await a.publish('one');
    await b.publish('two');
    await untilLogged(b, 'two');
    await untilLogged(a, 'two');
    assert.deepEqual(
      [a.log, b.log],
      [
        ['one', 'two'],
        ['one', 'two'],
      ],
    );
    await b.broker.signal('room', Buffer.from('signal'));
    await b.broker.signal(undefined, Buffer.from('to all'));
    await until('signals come', () => a.signals.length === 2 && b.signals.length === 2);
    await server.kill();
    await server.begin();
    await Promise.all([a.untilUp(1), b.untilUp(1)]);
    await a.publish('three');
    await untilLogged(b, 'three');
    assert.deepEqual(b.log, ['one', 'two', GAP, 'three']);
  });

  it('is refused where its stream is of something else', async () => {
    const server = await start();
    await server.api('STREAM.CREATE.hyperlane', { name: 'hyperlane', subjects: ['orders'], storage: 'memory' });
    await assert.rejects(follow(server), /made by something else: choose another prefix/);
  });

  it('is refused when it does not hear itself', async () => {
    const server = await start();
    const connection = await server.connect(server.port, { noEcho: true });
    await assert.rejects(Follower.open(make(connection), 'room'), /without noEcho/);
  });
});
