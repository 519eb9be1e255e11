import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cleanUp } from '../support/clean-up.ts';
import { freePort } from '../support/free-port.ts';
import { RedisServer, skipWithoutRedis } from '../support/redis-server.ts';
import { clientFrame, type HeaderLines, upgradeRequest, WsClient } from '../support/ws-client.ts';
import { ExampleProcess } from './example-process.ts';

/** Every file of docs/examples is started as a reader would start it, and does what the docs say. */

const EXAMPLES = fileURLToPath(new URL('../../docs/examples', import.meta.url));
const TIMEOUT = { timeout: 30_000 };
const tested = new Set<string>();

/** Runs one example for a group of specs. */
function example(name: string, specs: (run: () => ExampleProcess) => void, env?: () => Record<string, string>): void {
  tested.add(name);
  describe(`docs/examples/${name}`, TIMEOUT, () => {
    let running: ExampleProcess;
    before(async () => {
      running = await ExampleProcess.start(name, env?.());
    });
    after(async () => {
      await running?.stop();
    });
    specs(() => running);
  });
}

/** Opens a WebSocket. */
async function open(run: ExampleProcess, path: string, headers: HeaderLines = {}): Promise<WsClient> {
  const client = await WsClient.connect(run.port);
  await client.upgrade(path, headers);
  return client;
}

/** Asks for a WebSocket, and returns how that is refused. */
async function ask(run: ExampleProcess, path: string, headers: HeaderLines = {}) {
  const client = await WsClient.connect(run.port);
  return client.write(upgradeRequest(path, headers)).readResponse();
}

/** Closes WebSockets, each with a closing handshake. */
async function leave(...clients: WsClient[]): Promise<void> {
  for (const client of clients) assert.equal((await client.close(1000).receiveClose(false)).code, 1000);
}

async function get(run: ExampleProcess, path: string, init?: RequestInit): Promise<[status: number, body: string]> {
  const response = await fetch(`http://127.0.0.1:${run.port}${path}`, init);
  return [response.status, await response.text()];
}

async function echoes(client: WsClient): Promise<void> {
  client.send('Hello');
  assert.equal(await client.receive(), 'Hello');
  client.send(Buffer.from([1, 2, 3]));
  assert.deepEqual(await client.receive(), Buffer.from([1, 2, 3]));
  await leave(client);
}

afterEach(cleanUp);

for (const name of ['echo.ts', 'readme-server.mjs', 'tutorial-echo.mjs', 'attach-http.ts', 'upgrade-event.ts']) {
  example(name, (run) => {
    it('sends back text as text and bytes as bytes', async () => {
      await echoes(await open(run(), '/websocket'));
    });

    it('refuses a path that has no route', async () => {
      const refusal = await ask(run(), '/other');
      assert.equal(refusal.status, 404);
    });

    if (name === 'attach-http.ts' || name === 'upgrade-event.ts') {
      it('leaves plain requests to the app', async () => {
        assert.deepEqual(await get(run(), '/websocket'), [200, 'from the app']);
      });
    }

    if (name === 'upgrade-event.ts') {
      it('cuts the upgrades that are not for it', async () => {
        const client = await WsClient.connect(run().port);
        client.write(upgradeRequest('/websocket', { Host: 'internal.example' }));
        assert.equal((await client.readToEnd()).length, 0);
      });
    }

    if (name === 'readme-server.mjs') {
      it('serves a page to open the console of', async () => {
        assert.deepEqual(await get(run(), '/'), [200, 'Open the console of this page.']);
      });
    }

    if (name === 'tutorial-echo.mjs') {
      it('serves its page, and lets no other page connect', async () => {
        const [status, body] = await get(run(), '/');
        assert.equal(status, 200);
        assert.match(body, /<title>Echo<\/title>/);
        const refusal = await ask(run(), '/websocket', { Origin: 'https://elsewhere.example' });
        assert.equal(refusal.status, 403);
        const host = `127.0.0.1:${run().port}`;
        const same = await open(run(), '/websocket', { Host: host, Origin: `http://${host}` });
        await leave(same);
      });
    }
  });
}

for (const name of ['readme-rooms.mjs', 'topics.ts']) {
  example(name, (run) => {
    it('sends what one client sends to the others in its room, and what it has missed to one that was away', async () => {
      const [ada, bob, eve] = [
        await open(run(), '/room/7'),
        await open(run(), '/room/7'),
        await open(run(), '/room/8'),
      ];
      ada.send('one');
      assert.equal(await bob.receive(), 'one');
      bob.send('two');
      assert.equal(await ada.receive(), 'two');
      const lost = await open(run(), '/room/7?after=nonsense');
      if (name === 'topics.ts') {
        assert.match(String(await lost.receive()), /^\{"reload":"[\w-]+\.2"\}$/);
        const [status, position] = await get(run(), '/announce/7', { method: 'POST', body: 'hear' });
        assert.equal(status, 200);
        for (const client of [ada, bob, lost]) assert.equal(await client.receive(), 'hear');
        const late = await open(run(), `/room/7?after=${position.replace(/\d+$/, '0')}`);
        for (const body of ['one', 'two', 'hear']) assert.equal(await late.receive(), body);
        await leave(late);
      }
      await leave(ada, bob, eve, lost);
    });
  });
}

example(
  'many-cores.ts',
  (run) => {
    it('has the clients of all workers in one room, in one order', async () => {
      for (const worker of [1, 2]) await run().prints(`worker ${worker} listens`);
      // node:cluster gives connections to its workers in turn.
      const clients = await Promise.all([1, 2, 3, 4].map(() => open(run(), '/rooms/a')));
      const greetings = await Promise.all(clients.map((client) => client.receive()));
      assert.deepEqual([...new Set(greetings)].sort(), ['you are with worker 1', 'you are with worker 2']);
      const [sender, ...others] = clients as [WsClient, ...WsClient[]];
      const texts = Array.from({ length: 20 }, (_, i) => `message ${i}`);
      for (const text of texts) sender.send(text);
      for (const client of others) {
        for (const text of texts) assert.equal(await client.receive(), text);
      }
      await leave(...clients);
    });

    it('says goodbye on SIGTERM, and ends', async () => {
      const client = await open(run(), '/rooms/a');
      await client.receive();
      const stopped = run().stop('SIGTERM');
      assert.equal((await client.receiveClose()).code, 1001);
      assert.equal(await stopped, 0);
    });
  },
  () => ({ WORKERS: '2' }),
);

describe('docs/examples/thread-broker.ts', TIMEOUT, () => {
  tested.add('thread-broker.ts').add('thread-broker.test.ts');

  it('keeps the contract of a broker', () => {
    const report = execFileSync(
      process.execPath,
      ['--import', 'tsx', '--test', '--test-reporter=tap', join(EXAMPLES, 'thread-broker.test.ts')],
      // It is a run of its own, and none of the runner that runs this spec.
      { encoding: 'utf8', env: { ...process.env, NODE_TEST_CONTEXT: undefined } },
    );
    assert.match(report, /^# pass [1-9]\d$/m);
  });
});

// Not in its group, which does not run where there is no Redis.
tested.add('many-machines-redis.ts');
describe('docs/examples/many-machines-redis.ts', { ...TIMEOUT, ...skipWithoutRedis() }, () => {
  it('passes what is said in a room to those who are connected to another process', async () => {
    const redis = await RedisServer.start();
    const env = { REDIS_URL: `redis://127.0.0.1:${redis.port}` };
    const starting = [0, 1].map(() => ExampleProcess.start('many-machines-redis.ts', env));
    try {
      const clients = await Promise.all(starting.map(async (run) => open(await run, '/room/7')));
      for (const client of clients) assert.equal(await client.receive(), 'welcome');
      clients[0]!.send('from the one');
      assert.equal(await clients[1]!.receive(), 'from the one');
      clients[1]!.send('from the other');
      assert.equal(await clients[0]!.receive(), 'from the other');
      await leave(...clients);
    } finally {
      for (const run of await Promise.allSettled(starting)) if (run.status === 'fulfilled') await run.value.stop();
      await redis.stop();
    }
  });
});

describe('docs/examples/readme-client.mjs', TIMEOUT, () => {
  tested.add('readme-client.mjs');

  it('says Hello and prints what comes back', async () => {
    const server = await ExampleProcess.start('readme-server.mjs');
    try {
      const code = readFileSync(join(EXAMPLES, 'readme-client.mjs'), 'utf8');
      const printed = await new Promise<string[]>((resolve) => {
        // A browser's WebSocket, as far as this client uses it. Node 20 has none of its own.
        class WebSocket {
          onopen?: () => void;
          onmessage?: (event: { data: unknown }) => void;
          onclose?: (event: { code: number }) => void;
          #client: WsClient | undefined;

          constructor(url: string) {
            assert.equal(url, 'ws://localhost:60000/websocket');
            void this.#run();
          }

          send(data: string): void {
            this.#client?.send(data);
          }

          async #run(): Promise<void> {
            this.#client = await open(server, '/websocket');
            this.onopen?.();
            this.onmessage?.({ data: await this.#client.receive() });
            await leave(this.#client);
            this.onclose?.({ code: 1000 });
            resolve(lines);
          }
        }
        const lines: string[] = [];
        const console = { log: (...values: unknown[]) => lines.push(values.join(' ')) };
        new Function('WebSocket', 'console', code)(WebSocket, console);
      });
      assert.deepEqual(printed, ['Received: Hello', 'Closed: 1000']);
    } finally {
      await server.stop();
    }
  });
});

example('broadcast.ts', (run) => {
  it('sends what one client sends to all of them', async () => {
    const [ada, alan] = await Promise.all([open(run(), '/inner'), open(run(), '/inner')]);
    ada.send('Hello from Ada');
    assert.equal(await ada.receive(), 'Hello from Ada');
    assert.equal(await alan.receive(), 'Hello from Ada');
    alan.send(Buffer.from('bytes'));
    assert.deepEqual(await ada.receive(), Buffer.from('bytes'));
    assert.deepEqual(await alan.receive(), Buffer.from('bytes'));
    await leave(ada, alan);
  });

  it('wants a first message on a route whose handler does not own the stream, and does not pass it on', async () => {
    const [ada, alan] = await Promise.all([open(run(), '/websocket'), open(run(), '/inner')]);
    alan.send('too early for Ada');
    assert.equal(await alan.receive(), 'too early for Ada');
    ada.send('');
    ada.send('Ada is here');
    assert.equal(await ada.receive(), 'Ada is here');
    assert.equal(await alan.receive(), 'Ada is here');
    await leave(ada, alan);
  });
});

example('sse.ts', (run) => {
  it('sends the events one after the other, and ends', async () => {
    const started = Date.now();
    const response = await fetch(`http://127.0.0.1:${run().port}/events`);
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    const events: string[] = [];
    let firstAfter = 0;
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      if (events.length === 0) firstAfter = Date.now() - started;
      events.push(...chunk.split('\n\n').filter((event) => event !== ''));
    }
    assert.deepEqual(
      events,
      [1, 2, 3, 4, 5].map((i) => `data: event ${i}`),
    );
    assert.ok(firstAfter < Date.now() - started - 400, 'the first event did not wait for the last');
  });

  it('serves a page that listens to them', async () => {
    const [status, body] = await get(run(), '/');
    assert.equal(status, 200);
    assert.match(body, /new EventSource\('\/events'\)/);
  });
});

example('tutorial-rooms.mjs', (run) => {
  it('passes a message on to all who are in the same room, and to nobody else', async () => {
    const [ada, alan, grace] = await Promise.all([
      open(run(), '/rooms/green'),
      open(run(), '/rooms/green'),
      open(run(), '/rooms/blue'),
    ]);
    ada.send('to the green room');
    assert.equal(await ada.receive(), 'to the green room');
    assert.equal(await alan.receive(), 'to the green room');
    grace.send('to the blue room');
    assert.equal(await grace.receive(), 'to the blue room');
    await leave(ada);
    alan.send('still here');
    assert.equal(await alan.receive(), 'still here');
    await leave(alan, grace);
  });

  it('serves its page, and prints no error when clients leave', async () => {
    const [, body] = await get(run(), '/');
    assert.match(body, /<title>Rooms<\/title>/);
    assert.equal(run().output.trim(), `Open http://localhost:${run().port}/`);
  });
});

example('http.ts', (run) => {
  it('answers plain requests, with what the middleware adds', async () => {
    const response = await fetch(`http://127.0.0.1:${run().port}/hello/Ada%20Lovelace`);
    assert.equal(response.headers.get('x-powered-by'), 'hyperlane-ws');
    assert.equal(await response.text(), 'Hello, Ada Lovelace!');
    assert.deepEqual(await get(run(), '/sum', { method: 'POST', body: '[1, 2, 3]' }), [200, '{"sum":6}']);
    assert.deepEqual(await get(run(), '/nowhere'), [404, 'no route has this path']);
  });

  it('refuses a large body in the middleware', async () => {
    const [status] = await get(run(), '/sum', { method: 'POST', body: 'x'.repeat(1001) });
    assert.equal(status, 413);
  });

  it('has its error handler answer what a handler threw', async () => {
    assert.deepEqual(await get(run(), '/sum', { method: 'POST', body: '{' }), [400, 'the body is not JSON']);
    assert.match(run().output, /\/sum SyntaxError/);
  });

  it('serves the same handler over both', async () => {
    assert.deepEqual(await get(run(), '/upper', { method: 'POST', body: 'text' }), [200, 'TEXT']);
    const client = await open(run(), '/upper');
    client.send('text');
    assert.equal(await client.receive(), 'TEXT');
    await leave(client);
  });
});

example('auth.ts', (run) => {
  it('refuses without a token, before anything is open', async () => {
    for (const path of ['/me', '/me?token=wrong']) {
      const refusal = await ask(run(), path);
      assert.equal(refusal.status, 401);
      assert.equal(refusal.headers.get('www-authenticate'), 'Bearer');
      assert.match(refusal.body, /give a token/);
    }
  });

  it('knows who sends each message', async () => {
    const client = await open(run(), '/me?token=secret-of-ada');
    assert.equal(await client.receive(), 'Hello, Ada.');
    client.send('one');
    client.send('two');
    assert.equal(await client.receive(), 'Ada said: one');
    assert.equal(await client.receive(), 'Ada said: two');
    await leave(client);
  });
});

example('validate.ts', (run) => {
  it('hands on what the schema takes, and closes for the rest', async () => {
    const client = await open(run(), '/messages');
    client.send('{"to":"Alan","text":"Hello","extra":1}').send('{"to":"Ada","text":"Hi","urgent":true}');
    assert.deepEqual(await client.receiveAll(2), ['{"sent":"Alan: Hello"}', '{"sent":"(!) Ada: Hi"}']);
    const { code, reason } = await client.send('{"to":""}').receiveClose();
    assert.equal(code, 1007);
    assert.match(reason, /^invalid body at to: /);
    const [status, body] = await get(run(), '/messages', { method: 'POST', body: '{"to":"Ada"}' });
    assert.deepEqual([status, JSON.parse(body).issues[0].path], [400, ['text']]);
  });

  it('answers instead, where it is told so', async () => {
    const client = await open(run(), '/patient');
    client.send('{}').send('{"to":"Alan","text":"Hello"}');
    const [first, second] = await client.receiveAll(2);
    assert.equal(JSON.parse(first as string).issues.length, 2);
    assert.equal(second, '{"sent":"Hello"}');
    await leave(client);
  });
});

example('limit-the-rate.ts', (run) => {
  it('has a client that sends too fast wait, and loses nothing', async () => {
    const client = await open(run(), '/websocket');
    const texts = Array.from({ length: 45 }, (_, i) => String(i));
    for (const text of texts) client.send(text);
    assert.deepEqual(await client.receiveAll(texts.length), texts);
    await leave(client);
  });

  it('closes it on the route that says so', async () => {
    const client = await open(run(), '/search');
    for (let i = 0; i < 50; i++) client.send('a');
    assert.deepEqual(await client.receiveAll(5), new Array(5).fill('results for a'));
    const { code, reason } = await client.receiveClose();
    assert.equal(code, 1008);
    assert.match(reason, /sends more messages than it may/);
  });
});

example('connections.ts', (run) => {
  const login = async (user: string) => open(run(), '/chat', { Cookie: `user=${user}` });
  const admin = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${run().port}/admin${path}`, { method });

  it('refuses whoever has no name, and plain requests to the chat', async () => {
    assert.equal((await ask(run(), '/chat')).status, 401);
    assert.equal((await fetch(`http://127.0.0.1:${run().port}/chat`)).status, 426);
  });

  it('sends to one user, and tells when that is not there', async () => {
    const [ada, alan] = await Promise.all([login('Ada'), login('Alan')]);
    ada.send('{"to":"Alan","text":"Hello"}').send('{"to":"Grace","text":"Are you there?"}');
    assert.equal(await alan.receive(), '{"from":"Ada","text":"Hello"}');
    assert.equal(await ada.receive(), '{"error":"Grace is not here"}');
    await leave(ada, alan);
  });

  it('lists who is there, and closes one of them', async () => {
    const ada = await login('Ada');
    const listed = (await (await admin('/connections')).json()) as { id: string; user: string }[];
    const { id, ...shown } = listed.find(({ user }) => user === 'Ada')!;
    assert.deepEqual(Object.keys(shown), ['user', 'address', 'path', 'since', 'messages', 'unsentBytes']);
    assert.equal((await admin(`/kick/${id}`)).status, 405);
    assert.equal((await admin(`/kick/${id}`, 'POST')).status, 204);
    assert.deepEqual(await ada.receiveClose(), { code: 4001, reason: 'kicked by the operator' });
    await sleep(50);
    assert.equal((await admin(`/kick/${id}`, 'POST')).status, 404);
  });
});

describe('docs/examples/attach-https.ts', TIMEOUT, () => {
  tested.add('attach-https.ts');
  const directory = mkdtempSync(join(tmpdir(), 'hyperlane-tls-'));
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('echoes over TLS', async () => {
    const subject = ['-subj', '/CN=localhost', '-days', '2', '-nodes'];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-keyout', key, '-out', cert, ...subject], {
      stdio: 'ignore',
    });
    const run = await ExampleProcess.start('attach-https.ts', { TLS_KEY: key, TLS_CERT: cert });
    try {
      const client = await WsClient.connect(run.port, { tls: true });
      await client.upgrade('/websocket');
      await echoes(client);
    } finally {
      await run.stop();
    }
  });
});

example('proxy.ts', (run) => {
  it('lets in the pages it knows, and tells clients by the header of the proxy', async () => {
    const headers = { Origin: 'https://example.com', 'X-Forwarded-For': '203.0.113.9, 198.51.100.7' };
    const client = await open(run(), '/websocket', headers);
    client.send('');
    assert.equal(await client.receive(), 'you are 198.51.100.7');
    await leave(client);
  });

  it('refuses other pages', async () => {
    const refusal = await ask(run(), '/websocket', { Origin: 'https://evil.example' });
    assert.equal(refusal.status, 403);
    assert.match(refusal.body, /option origins/);
  });
});

example('development.ts', (run) => {
  it('lets in the page of the bundler, and says what it refuses', async () => {
    const client = await open(run(), '/websocket', { Origin: 'http://localhost:5173' });
    await echoes(client);
    assert.equal((await ask(run(), '/websocket', { Origin: 'http://localhost:3000' })).status, 403);
    await run().prints('refused: origin 403 /websocket from http://localhost:3000');
    assert.equal((await ask(run(), '/other')).status, 404);
    await run().prints('refused: route 404 /other from no page');
    assert.doesNotMatch(run().output, /Warning/);
  });
});

example('endings.ts', (run) => {
  it('says why a client is gone, and counts it', async () => {
    const client = await open(run(), '/websocket?name=Ada');
    client.send('hello');
    assert.equal(await client.receive(), 'hello');
    client.send('x'.repeat(1001));
    assert.equal((await client.receiveClose()).code, 1009);
    await run().prints('Ada is gone, by the server (limit: WS_ERR_UNSUPPORTED_MESSAGE_LENGTH), code 1006, after ');
    await run().prints('1 messages in, 1 out; 0 are here');
    await leave(await open(run(), '/websocket?name=Bob'));
    await run().prints('Bob is gone, by the peer (peer), code 1000, after ');
  });
});

example('metrics.ts', (run) => {
  it('counts as text what comes, goes and ends', async () => {
    const client = await open(run(), '/websocket');
    client.send('hello');
    assert.equal(await client.receive(), 'hello');
    const other = await open(run(), '/websocket');
    other.send('x'.repeat(1001));
    assert.equal((await other.receiveClose()).code, 1009);
    assert.equal((await ask(run(), '/other')).status, 404);
    const counted = async (): Promise<string[]> => {
      const [status, body] = await get(run(), '/metrics');
      assert.equal(status, 200);
      assert.match(body, /^((# TYPE \w+ (counter|gauge|histogram)|\w+(\{\w+="[\w.+]+"\})? [\d.]+)\n)+$/);
      return body.split('\n').filter((line) => / [1-9]/.test(line));
    };
    let lines = await counted();
    // The end of the second may come a moment later than its last byte.
    while (lines.includes('websocket_open 2')) lines = await counted();
    assert.deepEqual(lines, [
      'websocket_open 1',
      'websocket_opened_total 2',
      'websocket_closed_total{cause="limit"} 1',
      'websocket_refused_total{reason="route"} 1',
      'websocket_messages_total{direction="in"} 1',
      'websocket_messages_total{direction="out"} 1',
      lines.find((line) => line.startsWith('websocket_bytes_total{direction="in"} ')),
      lines.find((line) => line.startsWith('websocket_bytes_total{direction="out"} ')),
    ]);
    await leave(client);
  });
});

const heartbeats = () => ({ HEARTBEAT_MS: '300' });

example(
  'metrics.ts',
  (run) => {
    it('counts the answers to its heartbeats by how long they took', async () => {
      let body = '';
      while (!/^websocket_latency_seconds_count [1-9]/m.test(body)) {
        const client = await open(run(), '/websocket');
        const ping = await client.readFrame();
        assert.equal(ping?.opcode, 9);
        client.write(clientFrame(0x8a, ping.payload));
        await leave(client);
        [, body] = await get(run(), '/metrics');
      }
      assert.match(body, /^websocket_latency_seconds_bucket\{le="0.01"\} \d+$/m);
      assert.match(body, /^websocket_latency_seconds_bucket\{le="\+Inf"\} [1-9]$/m);
      assert.match(body, /^websocket_latency_seconds_sum \S+$/m);
    });
  },
  heartbeats,
);

example('metrics-opentelemetry.ts', (run) => {
  it('gives its counters to the exporter, and the latency by route', async () => {
    const client = await open(run(), '/websocket');
    client.send('hello');
    const ping = await client.readFrame();
    assert.equal(ping?.opcode, 9);
    client.write(clientFrame(0x8a, ping.payload));
    assert.equal(await client.receive(), 'hello');
    const stopped = run().stop('SIGTERM');
    assert.equal((await client.receiveClose()).code, 1001);
    assert.equal(await stopped, 0);
    const { output } = run();
    for (const name of ['open', 'closed', 'messages', 'buffered', 'latency']) {
      assert.ok(output.includes(`name: 'websocket.${name}'`), output);
    }
    assert.match(output, /attributes: \{ cause: 'shutdown' \},[^}]*value: 1/);
    assert.match(output, /attributes: \{ direction: 'out' \},[^}]*value: 1/);
    assert.match(output, /attributes: \{ route: '\/websocket' \}/);
  });
});

example('backpressure.ts', (run) => {
  it('sends a download whole to a client that stalls in between', async () => {
    const client = await open(run(), '/download');
    client.socket.pause();
    await sleep(300);
    client.socket.resume();
    for (let i = 0; i < 256; i++) assert.equal((await client.receive()).length, 64 * 1024);
    assert.equal((await client.receiveClose()).code, 1000);
  });

  it('goes on with the ticker', async () => {
    const client = await open(run(), '/ticker');
    assert.equal(await client.receive(), 'tick 0');
    assert.equal(await client.receive(), 'tick 1');
    await leave(client);
  });
});

example('compress.ts', (run) => {
  const offer = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };

  it('compresses what is long, for a client that offers it', async () => {
    const client = await open(run(), '/readings', offer);
    const frame = (await client.send('now').readFrame())!;
    assert.ok(frame.rsv1);
    assert.ok(frame.payload.length < 1500, `${frame.payload.length} bytes`);
    await leave(client);
  });

  it('leaves alone what it is told to, and clients that do not offer it', async () => {
    for (const headers of [offer, {}]) {
      const client = await open(run(), '/image', headers);
      assert.equal((await client.send('now').receive()).length, 64 * 1024);
      await leave(client);
    }
  });
});

example('shutdown.ts', (run) => {
  it('closes its WebSockets with 1001, and ends by itself', async () => {
    const client = await open(run(), '/websocket');
    client.send('Hello');
    assert.equal(await client.receive(), 'Hello');
    const stopped = run().stop('SIGTERM');
    assert.deepEqual(await client.receiveClose(), { code: 1001, reason: 'restarting' });
    assert.equal(await stopped, 0);
    assert.match(run().output, /1 closed, 0 cut/);
  });
});

describe('docs/examples/rolling-restart.ts', TIMEOUT, () => {
  tested.add('rolling-restart.ts');

  it('restarts one process after the other, each of which says goodbye', async () => {
    const ports = [await freePort(), await freePort()];
    const run = await ExampleProcess.start('rolling-restart.ts', { PAUSE_MS: '0' }, [
      'spec/docs/farewell-server.mjs',
      ...ports.map(String),
    ]);
    try {
      await run.prints('2 processes run');
      const [first, second] = await Promise.all(ports.map((port) => WsClient.connect(port)));
      run.send('SIGHUP');
      assert.equal((await first!.readToEnd()).toString(), 'hello goodbye ');
      assert.equal((await second!.readToEnd()).toString(), 'hello goodbye ');
      // The first was there again before the second was told.
      const again = await WsClient.connect(ports[0]!);
      await again.readUntil('hello ');
      await run.prints('all are restarted');
      const last = await WsClient.connect(ports[1]!);
      await last.readUntil('hello ');
    } finally {
      assert.equal(await run.stop('SIGTERM'), 0);
    }
  });
});

example('application.ts', (run) => {
  async function login(name: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${run().port}/login`, {
      method: 'POST',
      body: JSON.stringify({ name }),
    });
    assert.equal(response.status, 200);
    return response.headers.getSetCookie()[0]!.split(';')[0]!;
  }

  const join = async (name: string, room: string) => open(run(), `/rooms/${room}`, { Cookie: await login(name) });
  const next = async (client: WsClient) => JSON.parse(String(await client.receive()));
  const say = (client: WsClient, message: object) => client.send(JSON.stringify(message));

  it('lets in who has logged in, and nobody else', async () => {
    assert.equal((await get(run(), '/login', { method: 'POST', body: '{"name":" "}' }))[0], 400);
    assert.equal((await ask(run(), '/rooms/lobby')).status, 401);
    assert.equal((await ask(run(), '/rooms/lobby', { Cookie: 'session=guessed' })).status, 401);
    assert.equal((await get(run(), '/rooms/lobby'))[0], 426);
  });

  it('tells a room who is in it, and what is said', async () => {
    const ada = await join('Ada', 'lobby');
    assert.deepEqual(await next(ada), { type: 'presence', names: ['Ada'] });
    const alan = await join('Alan', 'lobby');
    const grace = await join('Grace', 'kitchen');
    assert.deepEqual(await next(ada), { type: 'presence', names: ['Ada', 'Alan'] });
    assert.deepEqual(await next(alan), { type: 'presence', names: ['Ada', 'Alan'] });
    assert.deepEqual(await next(grace), { type: 'presence', names: ['Grace'] });
    say(ada, { type: 'say', text: 'Hello' });
    for (const client of [ada, alan]) {
      assert.deepEqual(await next(client), { type: 'said', from: 'Ada', text: 'Hello' });
    }
    say(ada, { type: 'whisper', to: 'Grace', text: 'psst' });
    assert.deepEqual(await next(grace), { type: 'whispered', from: 'Ada', text: 'psst' });
    say(ada, { type: 'whisper', to: 'Barbara', text: 'psst' });
    assert.deepEqual(await next(ada), { type: 'nobody' });
    await leave(alan);
    assert.deepEqual(await next(ada), { type: 'presence', names: ['Ada'] });
    await leave(ada, grace);
  });

  it('has the operator close a connection, and nobody else', async () => {
    const [ada, operator] = [await join('Ada', 'lobby'), await join('Operator', 'office')];
    await next(ada);
    await next(operator);
    say(ada, { type: 'kick', name: 'Operator' });
    assert.deepEqual(await next(ada), { type: 'refused', what: 'kick' });
    say(operator, { type: 'kick', name: 'Ada' });
    assert.deepEqual(await ada.receiveClose(), { code: 4003, reason: 'kicked by Operator' });
    await leave(operator);
  });

  it('closes who sends what is no message, or too much, and counts that', async () => {
    const [wrong, fast] = [await join('Ada', 'lobby'), await join('Alan', 'kitchen')];
    await next(wrong);
    assert.equal((await wrong.send('{"type":"shout"}').receiveClose()).code, 1007);
    await next(fast);
    for (let i = 0; i < 100; i++) say(fast, { type: 'kick', name: 'Ada' });
    let frame = await fast.readFrame();
    while (frame?.opcode === 1) frame = await fast.readFrame();
    assert.equal(frame?.payload.readUInt16BE(0), 1008);
    wrong.socket.destroy();
    fast.socket.destroy();
    const metrics = async () => JSON.parse((await get(run(), '/metrics'))[1]);
    // They are counted when their connections are gone.
    while ((await metrics()).open > 0) await sleep(20);
    const { closed, refused } = await metrics();
    const { peer, application, body, limit } = closed;
    assert.deepEqual({ peer, application, body, limit }, { peer: 4, application: 1, body: 1, limit: 1 });
    assert.equal(refused.middleware, 2);
  });

  it('closes all when it is told to end', async () => {
    const ada = await join('Ada', 'lobby');
    await next(ada);
    const stopped = run().stop('SIGTERM');
    assert.deepEqual(await ada.receiveClose(), { code: 1001, reason: 'restarting' });
    assert.equal(await stopped, 0);
    assert.match(run().output, /1 closed, 0 cut/);
  });
});

example('positions.ts', (run) => {
  tested.add('positions-page.js');
  const asking = { 'Sec-WebSocket-Protocol': 'positions.hyperlane' };

  it('sends to who asks for it where each message stands, and goes on from there', async () => {
    const [ada, eve] = [await open(run(), '/room/7', asking), await open(run(), '/room/7')];
    assert.match(String(await ada.receive()), /^=[\w-]+\.0\n$/);
    eve.send('hello');
    const [, position] = /^(.*)\nhello$/.exec(String(await ada.receive()))!;
    ada.send('own');
    assert.match(String(await ada.receive()), /^=[\w-]+\.2\n$/);
    assert.equal(await eve.receive(), 'own');
    await leave(ada);
    eve.send('missed');
    const back = await open(run(), `/room/7?after=${position}`, asking);
    assert.equal(await back.receive(), `=${position}\n`);
    assert.match(String(await back.receive()), /\nown$/);
    assert.match(String(await back.receive()), /\nmissed$/);
    await leave(back, eve);
  });

  it('serves a page, and what it follows the room with', async () => {
    assert.match((await get(run(), '/'))[1], /follow\('\/room\/7'/);
    assert.match((await get(run(), '/positions-page.js'))[1], /export function follow/);
  });
});

example('presence.ts', (run) => {
  const next = async (client: WsClient): Promise<Record<string, unknown>> => JSON.parse(String(await client.receive()));

  it('tells who is there, who comes and who leaves', async () => {
    const ada = await open(run(), '/room/7?user=ada');
    assert.deepEqual(Object.keys((await next(ada)).here as object), ['ada']);
    const [eve, eveAgain] = [await open(run(), '/room/7?user=eve'), await open(run(), '/room/7?user=eve')];
    assert.equal((await next(ada)).join, 'eve');
    assert.equal((await next(ada)).update, 'eve');
    assert.deepEqual(await get(run(), '/count/7'), [200, '2']);
    eveAgain.reset();
    assert.equal((await next(ada)).update, 'eve');
    eve.reset();
    assert.equal((await next(ada)).leave, 'eve');
    await leave(ada);
  });
});

describe('docs/examples', () => {
  it('has no file that is not tried here', () => {
    const files = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isFile());
    assert.deepEqual(files.map((entry) => entry.name).sort(), [...tested].sort());
  });
});
