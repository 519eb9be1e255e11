import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { natsAt, StartError } from '../../docs/examples/group-chat/broker.ts';
import { createChatServer } from '../../docs/examples/group-chat/chat.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryHub } from '../support/memory-hub.ts';
import { NatsServer, skipWithoutNats } from '../support/nats-server.ts';
import { RedisServer, skipWithoutRedis } from '../support/redis-server.ts';
import { run } from '../support/running-server.ts';
import { soon, until } from '../support/watchdog.ts';
import { ExampleProcess } from './example-process.ts';
import { enterChat, PNG, type Visitor } from './group-chat-visitor.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

async function join(port: number, name: string, query: Record<string, string> = {}): Promise<Visitor> {
  const visitor = await enterChat(port, 'room', { name, ...query });
  await visitor.arrive();
  return visitor;
}

/** Two who come to two processes. Those have just begun, and wait for a second for others: both at a time. */
async function joinBoth([first, second]: readonly [number, number]): Promise<[alan: Visitor, barbara: Visitor]> {
  return Promise.all([join(first, 'Alan'), join(second, 'Barbara')]);
}

/** Has two processes be one chat: who is on either of them sees the other. */
async function areOneChat(ports: readonly [number, number]): Promise<[ada: Visitor, grace: Visitor]> {
  await joinBoth(ports);
  const ada = await join(ports[0], 'Ada', { session: 'secret of Ada' });
  ada.say('said before');
  await ada.nextOf('text');
  const grace = await enterChat(ports[1], 'room', { name: 'Grace' });
  const { names, history } = await grace.arrive();
  assert.deepEqual(names.sort(), ['Ada', 'Alan', 'Barbara', 'Grace']);
  assert.deepEqual(
    history.map((message) => message.text),
    ['said before'],
  );
  for (let event = await ada.next(); event.name !== 'Grace'; event = await ada.next());

  const namesake = await enterChat(ports[1], 'room', { name: 'ada' });
  assert.equal((await namesake.arrive()).name, 'ada 2');
  namesake.client.close(1000);
  for (const visitor of [ada, grace]) assert.equal((await visitor.nextOf('left')).name, 'ada 2');

  grace.client.send('{"type":"typing","isTyping":true}');
  assert.deepEqual((await ada.nextOf('typing')).names, ['Grace']);
  const bytes = Buffer.concat([PNG, Buffer.alloc(100_000, 7)]);
  grace.sendPicture(bytes);
  const picture = await ada.nextOf('picture');
  assert.deepEqual([picture.name, picture.bytes], ['Grace', bytes]);
  return [ada, grace];
}

describe('docs/examples/group-chat in many processes', { timeout: 60_000 }, () => {
  afterEach(cleanUp);

  it(
    'is one chat over Redis, and a page that comes back to another process has missed nothing',
    skipWithoutRedis(),
    async () => {
      const redis = await RedisServer.start();
      onCleanUp(() => redis.stop());
      const args = ['--redis', `redis://127.0.0.1:${redis.port}`];
      const [first, second] = await Promise.all([
        ExampleProcess.start('group-chat/main.ts', {}, args),
        ExampleProcess.start('group-chat/main.ts', {}, args),
      ]);
      onCleanUp(() => Promise.all([first.stop(), second.stop()]));
      const [ada, grace] = await areOneChat([first.port, second.port]);
      const ended = first.stop('SIGTERM');
      assert.equal((await ada.client.receiveClose()).code, 1001);
      const left = [await grace.nextOf('left'), await grace.nextOf('left')];
      assert.deepEqual(left.map(({ name }) => name).sort(), ['Ada', 'Alan']);
      for (let i = 0; i < 10; i++) grace.say(`missed ${i}`);
      for (let i = 0; i < 10; i++) await grace.nextOf('text');
      const back = await enterChat(second.port, 'room', {
        name: 'Ada',
        session: 'secret of Ada',
        after: ada.position!,
      });
      const { names, history } = await back.arrive();
      assert.deepEqual(names.sort(), ['Ada', 'Barbara', 'Grace']);
      assert.deepEqual(
        history.map((message) => message.text),
        Array.from({ length: 10 }, (_, i) => `missed ${i}`),
      );
      assert.equal(await soon('its end', ended), 0);
      assert.equal(first.output, `http://localhost:${first.port}/\n`);
    },
  );

  it('is one chat over NATS', skipWithoutNats(), async () => {
    const nats = await NatsServer.start();
    onCleanUp(() => nats.stop());
    const ports: number[] = [];
    for (let i = 0; i < 2; i++) {
      const { broker, close } = await natsAt(`127.0.0.1:${nats.port}`);
      onCleanUp(close);
      ports.push(await run(createChatServer({}, broker)));
    }
    await areOneChat([ports[0]!, ports[1]!]);
  });

  it('says in one sentence what it cannot use', async () => {
    const port = await freePort();
    await assert.rejects(natsAt(`127.0.0.1:${port}`), (error) => {
      assert.ok(error instanceof StartError);
      assert.equal(
        error.message,
        `There is no NATS at 127.0.0.1:${port}: start it with nats-server -js, or give its address`,
      );
      return true;
    });
    const url = `redis://127.0.0.1:${port}`;
    const cases: [args: string[], sentence: RegExp][] = [
      [['--redis', url], new RegExp(`^${url} cannot be used: cannot connect to Redis: [^\\n]+\\n$`)],
      [['--redis', 'elsewhere'], /^"elsewhere" is no address of a Redis: [^\n]+\n$/],
      [['--kafka'], /^Unknown option '--kafka': npm start -- [^\n]+\n$/],
    ];
    const checks = cases.map(async ([args, sentence]) => {
      const main = ['--import', 'tsx', 'docs/examples/group-chat/main.ts', '0', ...args];
      const child = spawn(process.execPath, main, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
      onCleanUp(() => child.kill('SIGKILL'));
      const ended = once(child, 'close');
      const printed = await Promise.all([text(child.stdout), text(child.stderr)]);
      assert.match(printed[1], sentence);
      assert.deepEqual([printed[0], await ended], ['', [1, null]]);
    });
    await Promise.all(checks);
  });

  describe('with a broker in memory', () => {
    /** Two servers, each with a line of its own to the hub. */
    async function startTwo() {
      const hub = new MemoryHub();
      const errors: unknown[] = [];
      const brokers = [hub.makeBroker(), hub.makeBroker()] as const;
      const ports: number[] = [];
      for (const broker of brokers) {
        ports.push(await run(createChatServer({}, broker).errorHandle((error) => void errors.push(error))));
      }
      onCleanUp(() => assert.deepEqual(errors, []));
      return { brokers, ports: ports as [number, number] };
    }

    it('renames the later of two who had the same name before their processes knew of each other', async () => {
      const { brokers, ports } = await startTwo();
      const alan = await join(ports[0], 'Alan');
      const barbara = await join(ports[1], 'Barbara');
      await alan.nextOf('joined');
      // From now on nothing of the other process comes here, but answers do.
      brokers[1].hold();
      onCleanUp(() => brokers[1].release());
      await join(ports[0], 'Ada');
      const start = Date.now();
      await until('it is later', () => Date.now() > start);
      const namesake = await enterChat(ports[1], 'room', { name: 'Ada' });
      const pump = setInterval(() => {
        const index = brokers[1].line.findIndex(({ kind }) => kind !== 'signal');
        if (index >= 0) brokers[1].step(index);
      }, 1);
      onCleanUp(() => clearInterval(pump));
      const { name, names } = await namesake.arrive();
      assert.deepEqual([name, names.sort()], ['Ada', ['Ada', 'Alan', 'Barbara']]);
      clearInterval(pump);
      brokers[1].release();
      assert.equal((await namesake.nextOf('renamed')).name, 'Ada 2');
      for (const visitor of [alan, barbara, namesake]) {
        assert.deepEqual((await visitor.nextOf('people')).names!.sort(), ['Ada', 'Ada 2', 'Alan', 'Barbara']);
      }
      namesake.say('by this name');
      assert.equal((await alan.nextOf('text')).name, 'Ada 2');
    });

    it('posts what was said while the broker was away, once, and lets nobody in before it is back', async () => {
      const { brokers, ports } = await startTwo();
      const [ada, grace] = await joinBoth(ports);
      const tries = () => brokers[0].calls.get('publish') ?? 0;
      const before = tries();
      brokers[0].disconnect();
      ada.say('once');
      const edsger = await enterChat(ports[0], 'room', { name: 'Edsger' });
      await until('it was tried', () => tries() > before);
      brokers[0].reconnect();
      ada.say('and more');
      for (const said of ['once', 'and more']) assert.equal((await grace.nextOf('text')).text, said);
      const { history } = await edsger.arrive();
      assert.ok(history.length <= 2);
    });
  });
});
