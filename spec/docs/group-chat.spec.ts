import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { afterEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createChatServer } from '../../docs/examples/group-chat/chat.ts';
import { type ChatLimits, DEFAULT_LIMITS } from '../../docs/examples/group-chat/limits.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { run } from '../support/running-server.ts';
import { until } from '../support/watchdog.ts';
import { WsClient } from '../support/ws-client.ts';
import { ExampleProcess } from './example-process.ts';
import { type ChatEventRead, enterChat, PNG, type Visitor } from './group-chat-visitor.ts';

const { pieceBytes } = DEFAULT_LIMITS;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('docs/examples/group-chat', { timeout: 60_000 }, () => {
  afterEach(cleanUp);

  let port: number;
  async function start(limits: Partial<ChatLimits> = {}): Promise<void> {
    port = await run(createChatServer(limits).errorHandle((error) => void errors.push(error)));
  }

  /** What the handlers of the chat threw: nothing. */
  const errors: unknown[] = [];
  afterEach(() => assert.deepEqual(errors.splice(0), []));

  async function enter(room: string, query: Record<string, string>): Promise<Visitor> {
    return enterChat(port, room, query);
  }

  async function join(room: string, name: string): Promise<Visitor> {
    const visitor = await enter(room, { name });
    await visitor.arrive();
    return visitor;
  }

  it('tells who comes, who goes, and what is said, in one room and not in others', async () => {
    await start();
    const ada = await join('green', 'Ada');
    const elsewhere = await join('blue', 'Alan');
    const grace = await enter('green', { name: 'Grace' });
    assert.deepEqual((await grace.arrive()).names, ['Ada', 'Grace']);
    assert.deepEqual(await ada.next(), { type: 'joined', name: 'Grace' });
    grace.say('  Hello \n you ');
    const { id, text, name } = await ada.next();
    assert.deepEqual([text, name], ['Hello \n you', 'Grace']);
    assert.equal((await grace.next()).id, id);
    grace.client.close(1000);
    assert.deepEqual(await ada.next(), { type: 'left', name: 'Grace' });
    ada.client.reset();
    elsewhere.say('nobody else is here');
    assert.equal((await elsewhere.next()).text, 'nobody else is here');
  });

  it('gives each person a name of their own', async () => {
    await start();
    const names: (string | undefined)[] = [];
    for (const name of ['Ada', 'Ada', 'ada', '\u{1D400}da', ' A\u0000d\u202Ea ', '', 'x'.repeat(100)]) {
      names.push((await (await enter('names', { name })).arrive()).name);
    }
    assert.deepEqual(names, ['Ada', 'Ada 2', 'ada 3', '\u{1D400}da 4', 'Ada 5', 'Guest', 'x'.repeat(24)]);
  });

  it('frees a name when its person leaves, and takes a page that comes back for the same one', async () => {
    await start();
    const ada = await join('names', 'Ada');
    const grace = await enter('names', { name: 'Grace', session: 'secret of Grace' });
    const first = await grace.arrive();
    const back = await enter('names', { name: 'Grace', session: 'secret of Grace' });
    const { welcome, name, names } = await back.arrive();
    assert.deepEqual([welcome.key, name, names], [first.welcome.key, 'Grace', ['Ada', 'Grace']]);
    assert.ok(!welcome.key!.includes('secret'));
    grace.client.reset();
    await grace.client.waitForEnd();
    back.say('still here');
    const seen = [await ada.next(), await ada.next()];
    assert.deepEqual([seen[0], seen[1]!.text], [{ type: 'joined', name: 'Grace' }, 'still here']);
    ada.client.close(1000);
    await back.nextOf('left');
    assert.equal((await (await enter('names', { name: 'Ada' })).arrive()).name, 'Ada');
  });

  it('posts a text once, however often its page sends it', async () => {
    await start();
    const ada = await enter('once', { name: 'Ada', session: 'secret of Ada' });
    await ada.arrive();
    const grace = await join('once', 'Grace');
    ada.say('once', 'the-id');
    ada.client.reset();
    assert.equal((await grace.nextOf('text')).text, 'once');
    const back = await enter('once', { name: 'Ada', session: 'secret of Ada' });
    await back.arrive();
    back.say('once', 'the-id');
    back.say('more');
    assert.equal((await grace.nextOf('text')).text, 'more');
    grace.say('of another page', 'the-id');
    assert.equal((await grace.nextOf('text')).text, 'of another page');
  });

  it('keeps the last messages for those who come later, bounded in number', async () => {
    await start({ maxHistoryMessages: 3 });
    const ada = await join('history', 'Ada');
    const texts = (events: ChatEventRead[]) => events.map(({ type, text }) => text ?? type);
    const positions: string[] = [];
    for (let i = 0; i < 5; i++) {
      ada.say(`message ${i}`);
      await ada.next();
      positions.push(ada.position!);
    }
    const { history } = await (await enter('history', { name: 'Grace' })).arrive();
    assert.deepEqual(texts(history), ['message 2', 'message 3', 'message 4']);
    const rest = await (await enter('history', { name: 'Alan', after: positions[3]! })).arrive();
    assert.deepEqual(texts(rest.history), ['message 4']);
    const late = await (await enter('history', { name: 'Edsger', after: positions[0]! })).arrive();
    assert.deepEqual(texts(late.history), ['gap', 'message 2', 'message 3', 'message 4']);
    const lost = await (await enter('history', { name: 'Tony', after: 'no position' })).arrive();
    assert.deepEqual(texts(lost.history), ['gap', 'message 2', 'message 3', 'message 4']);
  });

  it('keeps pictures in pieces, each a message of the history', async () => {
    await start({ maxHistoryMessages: 4 });
    const ada = await join('history', 'Ada');
    for (let i = 0; i < 2; i++) {
      ada.sendPicture(Buffer.concat([PNG, Buffer.alloc(pieceBytes, i)]));
      await ada.nextOf('picture');
    }
    const { history } = await (await enter('history', { name: 'Grace' })).arrive();
    assert.deepEqual(
      history.map(({ bytes }) => (bytes as Buffer).at(-1)),
      [1],
    );
  });

  it('keeps the history of a room that is empty, until its place is needed', async () => {
    await start({ maxRooms: 2 });
    const ada = await join('first', 'Ada');
    ada.say('remember');
    await ada.nextOf('text');
    ada.client.close(1000);
    await ada.client.waitForEnd();
    const back = await enter('first', { name: 'Ada' });
    assert.equal((await back.arrive()).history[0]?.text, 'remember');
    const alan = await join('second', 'Alan');
    const refused = await enter('third', { name: 'Grace' });
    assert.deepEqual(await refused.client.receiveClose(), { code: 4002, reason: 'there are too many rooms' });
    alan.client.close(1000);
    await alan.client.waitForEnd();
    assert.deepEqual((await (await enter('third', { name: 'Grace' })).arrive()).names, ['Grace']);
  });

  it('passes on pictures of the types it knows, and refuses others with a sentence', async () => {
    await start({ maxPictureBytes: 2048 });
    const ada = await join('pictures', 'Ada');
    const pictures: [string, Buffer][] = [
      ['image/png', PNG],
      ['image/jpeg', Buffer.from('ffd8ffe0', 'hex')],
      ['image/gif', Buffer.from('GIF89a...')],
      ['image/gif', Buffer.from('GIF87a')],
      ['image/webp', Buffer.from('RIFF....WEBPVP8 ')],
    ];
    for (const [mediaType, bytes] of pictures) {
      ada.sendPicture(bytes);
      const picture = await ada.nextOf('picture');
      assert.deepEqual([picture.mediaType, picture.name, picture.bytes], [mediaType, 'Ada', bytes]);
    }
    for (const bytes of [Buffer.from('<svg></svg>'), PNG.subarray(0, 7), Buffer.from('RIFF....WAVE')]) {
      ada.sendPicture(bytes, 7);
      const { message, number } = await ada.nextOf('problem');
      assert.match(message!, /Only PNG, JPEG, GIF and WebP/);
      assert.equal(number, 7);
    }
    ada.sendPicture(Buffer.concat([PNG, Buffer.alloc(2048)]));
    assert.match((await ada.nextOf('problem')).message!, /at most 2 KiB/);
  });

  it('tells how much of a picture has arrived, and how large the one is that it sends', async () => {
    await start();
    const [ada, grace] = [await join('pieces', 'Ada'), await join('pieces', 'Grace')];
    await ada.nextOf('joined');
    const bytes = Buffer.concat([PNG, Buffer.alloc(2 * pieceBytes, 7)]);
    ada.sendPicture(bytes, 3, 2);
    assert.deepEqual(await ada.next(), { type: 'received', number: 3, bytes: pieceBytes });
    assert.deepEqual(await ada.next(), { type: 'received', number: 3, bytes: 2 * pieceBytes });
    ada.say('while it is under way');
    assert.equal((await grace.next()).text, 'while it is under way');
    ada.client.send(bytes.subarray(2 * pieceBytes));
    assert.deepEqual(await ada.nextOf('received'), { type: 'received', number: 3, bytes: bytes.length });
    const picture = await grace.next();
    assert.deepEqual([picture.size, picture.bytes], [bytes.length, bytes]);
  });

  it('gives up a picture when it is told to, or when its pieces are no pieces', async () => {
    await start();
    const [ada, grace] = [await join('pieces', 'Ada'), await join('pieces', 'Grace')];
    const bytes = Buffer.concat([PNG, Buffer.alloc(2 * pieceBytes, 7)]);
    ada.sendPicture(bytes, 1, 2);
    ada.client.send('{"type":"cancel"}');
    ada.client.send(bytes.subarray(2 * pieceBytes));
    for (const piece of [Buffer.alloc(0), PNG, Buffer.alloc(pieceBytes + 1)]) {
      ada.sendPicture(bytes, 2, 0);
      ada.client.send(piece);
      const { message, number } = await ada.nextOf('problem');
      assert.match(message!, /did not arrive whole/);
      assert.equal(number, 2);
      ada.client.send(bytes.subarray(0, pieceBytes));
    }
    ada.say('nothing came of them');
    assert.equal((await grace.next()).text, 'nothing came of them');
    ada.sendPicture(bytes, 3);
    assert.deepEqual((await grace.next()).bytes, bytes);
    const rude = await join('pieces', 'Rude');
    rude.client.send(Buffer.alloc(2 ** 20));
    assert.equal((await rude.client.receiveClose()).code, 1009);
  });

  it('tells who writes, until they have said it, stop, leave, or are silent for a while', async () => {
    await start({ typingExpiresMs: 600, typingToldEveryMs: 10, maxTypingNames: 2 });
    const [ada, grace] = [await join('typing', 'Ada'), await join('typing', 'Grace')];
    const [alan, barbara] = [await join('typing', 'Alan'), await join('typing', 'Barbara')];
    const tells = async (...names: string[]) => assert.deepEqual((await grace.nextOf('typing')).names, names);
    const types = (visitor: Visitor, isTyping: boolean) =>
      visitor.client.send(JSON.stringify({ type: 'typing', isTyping }));
    types(ada, true);
    await tells('Ada');
    ada.say('done');
    await tells();
    types(ada, true);
    await tells('Ada');
    types(ada, false);
    await tells();
    types(alan, true);
    await tells('Alan');
    await tells();
    types(barbara, true);
    await tells('Barbara');
    barbara.client.close(1000);
    await tells();
  });

  it('tells of few who write, and lets go of what it is told too often', async () => {
    await start({ typingExpiresMs: 60_000, typingToldEveryMs: 10, maxTypingNames: 2, burstMessages: 2 });
    const people: Visitor[] = [];
    for (const name of ['Ada', 'Grace', 'Alan']) people.push(await join('typing', name));
    const [ada, grace, alan] = people as [Visitor, Visitor, Visitor];
    for (let i = 0; i < 100; i++) alan.client.send(JSON.stringify({ type: 'typing', isTyping: i % 2 === 0 }));
    alan.say('I may still speak');
    assert.equal((await alan.nextOf('text')).text, 'I may still speak');
    for (const one of people) one.client.send('{"type":"typing","isTyping":true}');
    let names: string[] = [];
    while (names.length < 2) names = (await grace.nextOf('typing')).names!;
    const late = await enter('typing', { name: 'Late' });
    assert.deepEqual((await late.arrive()).typing, names);
    ada.say('a last word');
    let longest = 0;
    for (let event = await grace.next(); event.type !== 'text' || event.name !== 'Ada'; event = await grace.next())
      longest = Math.max(longest, event.names?.length ?? 0);
    assert.ok(longest <= 2);
    assert.equal(names.length, 2);
  });

  it('survives what no page of its own sends', async () => {
    await start({ burstMessages: 40 });
    const ada = await join('robust', 'Ada');
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '7',
      '"text"',
      '{"type":"text","text":"without an id"}',
      '{"type":"text","id":"a","text":{}}',
      '{"type":"text","id":"a/b","text":"a"}',
      `{"type":"text","id":"${'x'.repeat(41)}","text":"a"}`,
      '{"type":1}',
      '{"type":"picture"}',
      '{"type":"picture","number":1,"id":"a","size":0}',
      '{"type":"picture","number":1,"id":"a","size":1.5}',
      '{"type":"picture","number":-1,"id":"a","size":9}',
      '{"type":"picture","number":1,"size":9}',
      '{"type":"typing","isTyping":"yes"}',
    ]) {
      ada.client.send(text);
      assert.match((await ada.next()).message!, /did not understand/, text);
    }
    ada.client.send('{"__proto__":{"type":"ping"}}');
    assert.equal((await ada.next()).type, 'problem');
    ada.client.send('{"type":"cancel"}');
    ada.client.send(PNG);
    ada.say('   ');
    ada.client.send('{"type":"ping"}');
    assert.equal((await ada.next()).type, 'pong');
    ada.client.write(Buffer.from('ff80', 'hex'));
    assert.equal((await ada.client.receiveClose()).code, 1002);
    await join('robust', 'Grace');
  });

  it('gives back text that is too long or comes too fast', async () => {
    await start({ maxTextLength: 10, burstMessages: 2, messagesPerSecond: 0.001 });
    const ada = await join('rate', 'Ada');
    ada.say('eleven char');
    assert.deepEqual(await ada.next(), {
      type: 'problem',
      message: 'A message has at most 10 characters; this one has 11.',
      unsent: 'eleven char',
    });
    ada.say('two');
    assert.equal((await ada.next()).text, 'two');
    ada.say('three');
    const { type, unsent } = await ada.next();
    assert.deepEqual([type, unsent], ['problem', 'three']);
  });

  it('takes a room of any name', async () => {
    await start();
    const rooms: [path: string, name: string][] = [
      ['caf%C3%A9%20%E2%98%95', 'café ☕'],
      ['a%2Fb%3Fc', 'a/b?c'],
      ['cafe%CC%81', 'café'],
      ['%FF%', '%FF%'],
      ['__proto__', '__proto__'],
      ['%20%00', 'lobby'],
      ['x'.repeat(99), 'x'.repeat(40)],
    ];
    for (const [path, name] of rooms) {
      const visitor = await enter(path, { name: 'Ada' });
      assert.equal((await visitor.arrive()).welcome.room, name);
    }
  });

  it('serves one who reads too slowly from the history, and tells where that was not enough', async () => {
    await start({ maxWaitingMessages: 4, maxHistoryMessages: 128, burstMessages: 1000 });
    const [ada, slow] = [await join('slow', 'Ada'), await join('slow', 'Slow')];
    await ada.nextOf('joined');
    slow.client.socket.pause();
    const picture = Buffer.concat([PNG, Buffer.alloc(2 ** 20 - PNG.length)]);
    for (let i = 0; i < 24; i++) {
      ada.sendPicture(picture);
      await ada.nextOf('picture');
    }
    slow.client.socket.resume();
    ada.say('after all');
    await slow.nextOf('gap');
    assert.equal((await slow.nextOf('text')).text, 'after all');
  });

  it('serves the page at / and at the address of each room, and nothing that may run foreign code', async () => {
    await start();
    const types: [path: string, type: RegExp][] = [
      ['/', /^text\/html; charset=utf-8$/],
      ['/chat/any%20room', /^text\/html; charset=utf-8$/],
      ['/page/client.js', /^text\/javascript/],
      ['/page/uploads.js', /^text\/javascript/],
      ['/page/style.css', /^text\/css/],
      ['/page/icon.svg', /^image\/svg\+xml$/],
    ];
    for (const [path, type] of types) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type')!, type);
      assert.match(response.headers.get('content-security-policy')!, /^default-src 'none'; script-src 'self'; /);
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
      assert.ok((await response.text()).length > 100);
    }
    for (const path of ['/page/..%2Fmain.ts', '/page/main.ts', '/page/constructor', '/nowhere']) {
      assert.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 404, path);
    }
  });

  it('opens a WebSocket in a room only, and only for its own page', async () => {
    await start();
    const client = await WsClient.connect(port);
    await assert.rejects(client.upgrade('/page/client.js'), /404/);
    const other = await WsClient.connect(port);
    await assert.rejects(other.upgrade('/chat/room', { Origin: 'https://elsewhere.example' }), /403/);
    const plain = await WsClient.connect(port);
    await assert.rejects(plain.upgrade('/chat/room'), /400/);
  });

  it('says in one sentence that its port is taken, and ends in order when it is told to', async () => {
    const first = await ExampleProcess.start('group-chat/main.ts');
    onCleanUp(() => first.stop());
    port = first.port;
    const second = spawnSync(process.execPath, ['--import', 'tsx', 'docs/examples/group-chat/main.ts'], {
      cwd: ROOT,
      env: { ...process.env, PORT: String(port) },
      encoding: 'utf8',
    });
    const sentence = `Port ${port} is in use by another program; choose another: PORT=${port + 1} npm start\n`;
    assert.deepEqual([second.status, second.stderr, second.stdout], [1, sentence, '']);
    const wrong = spawnSync(process.execPath, ['--import', 'tsx', 'docs/examples/group-chat/main.ts', 'eighty'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    assert.match(wrong.stderr, /^"eighty" is no port: [^\n]+\n$/);

    const ada = await join('end', 'Ada');
    const ended = first.stop('SIGTERM');
    assert.equal((await ada.client.receiveClose()).code, 1001);
    assert.equal(await ended, 0);
    await until('it printed its address only', () => first.output === `http://localhost:${port}/\n`);
  });
});
