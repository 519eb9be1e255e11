import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import fc from 'fast-check';
import { NatsBroker, natsBroker } from '../../lib/brokers/nats.ts';
import { FollowedTopic } from '../../lib/brokers/nats-followed.ts';
import { hashOfId, NatsSubjects } from '../../lib/brokers/nats-subjects.ts';
import type { BrokerMessage } from '../../lib/topics/broker.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { NatsServer, skipWithoutNats } from '../support/nats-server.ts';
import { Follower } from '../support/topic-follower.ts';

const CONNECTION = { publish() {}, subscribe() {}, flush() {}, status() {}, isClosed() {} };

function make(options: unknown): unknown {
  return natsBroker(options as Parameters<typeof natsBroker>[0]);
}

describe('natsBroker', () => {
  it('refuses by name what is no connection, and says what to pass', () => {
    const pass = /pass what connect\(\) of '@nats-io\/transport-node' resolves with$/;
    for (const [connection, what] of [
      [undefined, /this is undefined/],
      ['nats://127.0.0.1', /this is the string 'nats:\/\/127\.0\.0\.1'/],
      [Promise.resolve(CONNECTION), /this is a promise: await it first/],
      [{ publish() {}, getOptions() {} }, /a client of JetStream/],
      [{ publish() {}, consumers() {} }, /a client of JetStream/],
      [{ sendCommand() {} }, /a client of Redis, which is for redisBroker/],
      [{ psubscribe() {} }, /a client of Redis/],
      [{ ...CONNECTION, flush: undefined }, /this is an object/],
    ] as const) {
      const check = (error: Error): boolean =>
        error instanceof TypeError && what.test(error.message) && pass.test(error.message);
      assert.throws(() => make({ connection }), check);
    }
  });

  it('refuses options that there are not, and a prefix that is none', () => {
    const connection = CONNECTION;
    assert.throws(() => make({ connection, prefx: 'x' }), /"prefx" is no option of natsBroker: did you mean "prefix"/);
    assert.throws(() => make({ connection, jetstream: { replica: 3 } }), /did you mean "replicas"/);
    assert.throws(() => make({ connection, jetstream: 'yes' }), TypeError);
    for (const prefix of ['', 'a.', '.a', 'a b', 'a.*', '>', 'x'.repeat(101), 7]) {
      assert.throws(() => make({ connection, prefix }), /prefix is the beginning of all subjects/);
    }
    for (const prefix of ['a', 'a.b-c.D_9']) make({ connection, prefix, jetstream: { replicas: 3 } });
  });

  it('does nothing before it is open, and nothing once it is closed', async () => {
    const broker = natsBroker({ connection: CONNECTION as unknown as NatsBroker as never });
    assert.equal(broker.name, 'nats');
    await assert.rejects(broker.publish('a', new Uint8Array(), undefined), { code: 'WS_ERR_BROKER_UNAVAILABLE' });
    await broker.unsubscribe('a');
    await broker.close();
    await assert.rejects(broker.read('a', 0, 1), /the broker is closed/);
    const events = { message() {}, signal() {}, up() {}, down() {} };
    await assert.rejects(broker.open(events, { historyMessages: 0, historyMs: 0 }), /the broker is closed/);
  });
});

describe('NatsSubjects', () => {
  const subjects = new NatsSubjects('app.one');
  const topic = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc
      .array(fc.constantFrom('\ud800', '\udc00', '=', '~', '.', '*', '>', ' ', '/'), { maxLength: 8 })
      .map((all) => all.join('')),
  );

  it('property: each topic has subjects of its own, in one bounded word of what NATS takes', () => {
    fc.assert(
      fc.property(topic, topic, (one, other) => {
        const subject = subjects.keptOf(one, 'life');
        assert.match(subject, /^app\.one\.kept\.life\.[\w=~-]{1,180}$/);
        assert.equal(subject === subjects.keptOf(other, 'life'), one === other);
        assert.equal(subjects.allOf(one).replace('*', 'signal'), subjects.signalsOf(one));
        assert.equal(subjects.allOf(one).replace('*', 'message'), subjects.messagesOf(one));
      }),
    );
  });

  it('leaves a name as it is where it can, and names a stream without dots', () => {
    assert.equal(subjects.signalsOf('room/7'), 'app.one.topic.room=2F7.signal');
    assert.equal(subjects.signalsOf('zß€'), 'app.one.topic.z=DF=u20AC.signal');
    assert.equal(subjects.stream, 'app_one');
  });

  it('property: an id is of its topic alone', () => {
    fc.assert(
      fc.property(topic, topic, topic, topic, (a, b, c, d) => {
        assert.equal(hashOfId(a, b).equals(hashOfId(c, d)), a === c && b === d);
        assert.equal(hashOfId(a, b).length, 16);
      }),
    );
  });
});

describe('FollowedTopic', () => {
  let told: number[];
  let topic: FollowedTopic;

  function message(offset: number, previous: number = offset - 1): BrokerMessage {
    return { offset, previous, data: new Uint8Array() };
  }

  function receive(...offsets: number[]): void {
    for (const offset of offsets) topic.receive(message(offset), 0);
  }

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    told = [];
    topic = new FollowedTopic(({ offset }) => told.push(offset));
  });
  afterEach(() => mock.timers.reset());

  it('puts in order what comes too early, and tells it when it does not wait any longer', () => {
    topic.stand(3, 3, 0);
    receive(5, 7, 6);
    assert.deepEqual(told, []);
    receive(4);
    assert.deepEqual(told, [4, 5, 6, 7]);
    receive(10, 9);
    mock.timers.tick(99);
    assert.deepEqual(told, [4, 5, 6, 7]);
    mock.timers.tick(1);
    assert.deepEqual(told, [4, 5, 6, 7, 9, 10]);
    receive(8, 11);
    assert.deepEqual(told, [4, 5, 6, 7, 9, 10, 8, 11], 'what is late is told too: it is known as such');
    assert.equal(topic.newest, 11);
  });

  it('waits for where the topic stands', () => {
    receive(6, 4, 5);
    mock.timers.tick(1000);
    assert.deepEqual(told, []);
    topic.stand(5, 9, 1);
    assert.deepEqual(told, [4, 5, 6]);
    assert.deepEqual([topic.newest, topic.confirmed, topic.round], [6, 9, 1]);
    receive(8);
    topic.stand(6, 9, 2);
    mock.timers.tick(100);
    assert.deepEqual(told, [4, 5, 6, 8]);
  });

  it('holds back a thousand messages, and no more', () => {
    topic.stand(1, 1, 0);
    for (let i = 0; i < 1000; i++) receive(3 + i);
    assert.equal(told.length, 0);
    receive(1003);
    assert.equal(told.length, 1001);
  });

  it('forgets what waits when it ends', () => {
    topic.stand(1, 1, 0);
    receive(3);
    topic.end();
    mock.timers.tick(1000);
    receive(2);
    assert.deepEqual(told, [2]);
    topic.forget();
    assert.equal(topic.newest, undefined);
  });

  it('property: whatever comes in whichever order is told once waiting is over, the next ones in order', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(
          [...Array(20).keys()].map((i) => i + 1),
          { minLength: 1 },
        ),
        (offsets) => {
          told = [];
          topic = new FollowedTopic(({ offset }) => told.push(offset));
          topic.stand(0, 0, 0);
          receive(...offsets);
          mock.timers.tick(100);
          assert.deepEqual(
            told,
            [...offsets].sort((a, b) => a - b),
          );
        },
      ),
    );
  });
});

describe('NATS that lets a user do only so much', skipWithoutNats(), () => {
  afterEach(cleanUp);

  async function startWith(permissions: string): Promise<NatsServer> {
    const config = join(tmpdir(), `hyperlane-nats-${process.pid}.conf`);
    writeFileSync(config, `authorization { users: [{ user: u, password: p, permissions: ${permissions} }] }`);
    onCleanUp(() => rmSync(config, { force: true }));
    const server = await NatsServer.start('-js', '-c', config);
    onCleanUp(() => server.stop());
    return server;
  }

  async function follow(server: NatsServer): Promise<Follower> {
    const connection = await server.connect(server.port, { user: 'u', pass: 'p' });
    const broker = new NatsBroker({ connection }, { checkMs: 50, answerMs: 500, quietChecks: 30 });
    onCleanUp(() => broker.close());
    return Follower.open(broker, 'room');
  }

  it('needs the subjects of its prefix and the API of JetStream, and nothing else', async () => {
    const server = await startWith('{ publish: ["hyperlane.>", "$JS.API.>"], subscribe: ["hyperlane.>"] }');
    const a = await follow(server);
    await a.publish('one');
    await a.broker.signal(undefined, new Uint8Array());
    assert.equal((await a.broker.read('room', 0, 10)).messages.length, 1);
  });

  it('says what is missing', async () => {
    const deaf = await startWith('{ publish: [">"], subscribe: ["nothing"] }');
    await assert.rejects(follow(deaf), /does not let this user subscribe to hyperlane\.inbox/);
    const half = await startWith('{ publish: [">"], subscribe: ["hyperlane.inbox.>"] }');
    await assert.rejects(follow(half), /does not let this user subscribe to the subjects of the prefix/);
  });
});
