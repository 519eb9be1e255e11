import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { RequestFeed } from '../../lib/net/request-feed.ts';
import { cleanUp } from '../support/clean-up.ts';
import { memoryPair, tcpPair } from '../support/connections.ts';
import { settle, until } from '../support/watchdog.ts';

afterEach(cleanUp);

/** Stands for node:http: remembers the slices it is called with. */
async function makeFed(makePair: () => Promise<readonly [unknown, { write(text: string): unknown }]>) {
  const [socket, there] = (await makePair()) as [Socket, { write(text: string): unknown }];
  const slices: string[] = [];
  const host = { isFull: false, onSlice: (): void => {} };
  socket.on('data', (chunk: Buffer) => {
    slices.push(chunk.toString());
    host.onSlice();
  });
  const feed = RequestFeed.make(socket, host);
  assert.ok(feed !== undefined);
  return { socket, there, slices, host, feed };
}

for (const [name, makePair] of [
  ['TCP', tcpPair],
  ['a Duplex', memoryPair],
] as const) {
  describe(`RequestFeed over ${name}`, () => {
    it('cuts what it hands on behind each end of a head', async () => {
      const { there, slices } = await makeFed(makePair);
      there.write('one\r\n\r\ntwo\r\nthree\r\n\r\n\r\n\r\nfour');
      await until('all', () => slices.length === 4);
      assert.deepEqual(slices, ['one\r\n\r\n', 'two\r\nthree\r\n\r\n', '\r\n\r\n', 'four']);
      there.write('\r\n\r\n');
      await until('the rest', () => slices.length === 5);
      assert.equal(slices[4], '\r\n\r\n');
    });

    it('finds the end of a head that is cut, and takes nothing else for it', async () => {
      for (const cuts of [[1], [2], [3], [1, 2], [2, 3], [1, 2, 3]]) {
        const { there, slices } = await makeFed(makePair);
        let text = 'a\r\n\r\n';
        const at = (cut: number) => text.length - 4 + cut;
        let from = 0;
        for (const cut of cuts) {
          const length = slices.join('').length;
          there.write(text.slice(from, at(cut)));
          from = at(cut);
          await until('a piece', () => slices.join('').length > length);
        }
        there.write(`${text.slice(from)}b\r\n\r\nc`);
        text += 'b\r\n\r\nc';
        await until('all', () => slices.join('') === text);
        assert.deepEqual(slices.slice(-3), [text.slice(from, 5), 'b\r\n\r\n', 'c'], `cut behind ${cuts}`);
      }
    });

    it('takes no line break for the end of a head because of the piece before', async () => {
      for (const pieces of [
        ['a\r\n\r', '\r\n\r', '\nb\r\n\r\n'],
        ['a\r\n', 'b\r', '\n\r', 'c'],
        ['\r', '\r', '\n', '\r', '\n'],
      ]) {
        const { there, slices } = await makeFed(makePair);
        let sent = 0;
        for (const piece of pieces) {
          sent += piece.length;
          there.write(piece);
          await until('a piece', () => slices.join('').length === sent);
        }
        // Never more than one end of a head in a slice, and that at its end.
        for (const slice of slices) assert.match(slice, /^(?!.*\r\n\r\n.)/s);
        assert.equal(slices.join(''), pieces.join(''));
      }
    });

    it('stops while there are enough, keeps the rest, and goes on in order', async () => {
      const { there, slices, host, feed, socket } = await makeFed(makePair);
      host.onSlice = () => {
        host.isFull = true;
      };
      const expected = Array.from({ length: 20 }, (_, i) => `${i}\r\n\r\n`);
      there.write(expected.slice(0, 10).join(''));
      await until('the first', () => slices.length === 1);
      there.write(expected.slice(10).join(''));
      await settle(20);
      feed.resume();
      await settle(5);
      assert.deepEqual([slices.length, socket.isPaused()], [1, true], 'no room yet');
      for (let i = 1; i < 20; i++) {
        host.isFull = false;
        feed.resume();
        await until('the next', () => slices.length === i + 1);
      }
      assert.deepEqual(slices, expected);
    });

    it('stops when the socket is paused by somebody else, and goes on when that one does', async () => {
      const { there, slices, host, feed, socket } = await makeFed(makePair);
      host.onSlice = () => void socket.pause();
      there.write('one\r\n\r\ntwo\r\n\r\n');
      await until('the first', () => slices.length === 1);
      feed.resume();
      await settle(20);
      assert.equal(slices.length, 1);
      socket.resume();
      await until('the second', () => slices.length === 2);
    });

    it('gives back what it did not hand on, and leaves the socket to others', async () => {
      const { there, slices, host, feed, socket } = await makeFed(makePair);
      let rest: Buffer | undefined;
      host.onSlice = () => {
        rest = feed.release();
      };
      there.write('one\r\n\r\nframes\r\n\r\n');
      await until('the first', () => slices.length === 1);
      assert.equal(rest?.toString(), 'frames\r\n\r\n');
      const later: string[] = [];
      socket.on('data', (chunk: Buffer) => later.push(chunk.toString()));
      there.write('later');
      await until('the rest', () => later.length === 1);
      assert.deepEqual([slices.length, later], [1, ['later']]);
    });
  });
}

describe('RequestFeed', () => {
  it('is not made where it does not know who listens', async () => {
    const host = { isFull: false };
    const [nobody] = await tcpPair();
    assert.equal(RequestFeed.make(nobody, host), undefined);
    const [two] = await tcpPair();
    two.on('data', () => {}).on('data', () => {});
    assert.equal(RequestFeed.make(two, host), undefined);
    assert.equal(two.listenerCount('data'), 2);
  });

  it('reads a socket in place: others hear of no data', async () => {
    const { there, slices, socket } = await makeFed(tcpPair);
    socket.on('data', () => assert.fail('is told by an event'));
    there.write('one');
    await until('the bytes', () => slices.length === 1);
  });

  it('hands on what came as it is, where that is one slice', async () => {
    const [socket] = (await memoryPair()) as unknown as [Socket];
    const handedOn: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => handedOn.push(chunk));
    RequestFeed.make(socket, { isFull: false });
    const [head, body] = [Buffer.from('head\r\n\r\n'), Buffer.from('body')];
    for (const chunk of [head, body]) socket.emit('data', chunk);
    assert.equal(handedOn[0], head);
    assert.equal(handedOn[1], body);
  });

  it('keeps what a paused socket still brings behind what it kept before', async () => {
    const { slices, host, feed, socket } = await makeFed(memoryPair);
    host.onSlice = () => {
      host.isFull = true;
    };
    for (const text of ['one\r\n\r\ntwo', '\r\n\r\nthr', 'ee']) socket.emit('data', Buffer.from(text));
    assert.deepEqual(slices, ['one\r\n\r\n']);
    for (const slice of ['two\r\n\r\n', 'three']) {
      host.isFull = false;
      feed.resume();
      await settle(2);
      assert.equal(slices.at(-1), slice);
    }
  });

  it('finds the end of a head by the bytes in front of it, and by no others', async () => {
    for (const [pieces, expected] of [
      [
        ['a\r\n', 'b\r\n\r', '\nc'],
        ['a\r\n', 'b\r\n\r', '\n', 'c'],
      ],
      [
        ['a', '\n\r\nb'],
        ['a', '\n\r\nb'],
      ],
      [
        ['a\r\r', '\n\r\nb'],
        ['a\r\r', '\n\r\n', 'b'],
      ],
    ] as const) {
      const { slices, socket } = await makeFed(memoryPair);
      for (const piece of pieces) socket.emit('data', Buffer.from(piece));
      assert.deepEqual(slices, expected);
    }
  });

  it('does not start a socket again that others have paused meanwhile', async () => {
    const { slices, host, feed, socket } = await makeFed(memoryPair);
    host.onSlice = () => {
      host.isFull = true;
    };
    socket.emit('data', Buffer.from('one\r\n\r\ntwo\r\n\r\n'));
    host.isFull = false;
    feed.resume();
    await settle(2);
    assert.equal(slices.length, 2);
    socket.pause();
    host.isFull = false;
    feed.resume();
    assert.equal(socket.isPaused(), true);
  });

  it('leaves no listener behind, and hears nothing that was under way', async () => {
    const { slices, feed, socket } = await makeFed(memoryPair);
    for (const name of ['data', 'resume']) {
      socket.prependListener(name, () => feed.release());
      socket.emit(name, Buffer.from('late'));
      assert.equal(socket.listenerCount(name), 1, name);
    }
    assert.deepEqual(slices, []);
    const other = await makeFed(memoryPair);
    other.feed.release();
    assert.deepEqual([other.socket.listenerCount('data'), other.socket.listenerCount('resume')], [0, 0]);
    const resumed = await makeFed(memoryPair);
    resumed.socket.prependListener('resume', () => resumed.feed.release());
    resumed.socket.emit('resume');
    assert.equal(resumed.socket.listenerCount('resume'), 1);
  });

  it('hands nothing on once the socket is destroyed', async () => {
    const { there, slices, host, socket } = await makeFed(tcpPair);
    host.onSlice = () => void socket.destroy();
    there.write('one\r\n\r\ntwo\r\n\r\n');
    await until('the first', () => slices.length === 1);
    await settle(10);
    assert.deepEqual(slices, ['one\r\n\r\n']);
  });
});
