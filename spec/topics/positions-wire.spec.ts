import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { GapError } from '../../lib/errors.ts';
import { formatPosition } from '../../lib/topics/position.ts';
import { positionsWire, wireOf } from '../../lib/topics/positions-wire.ts';
import { TopicMessage } from '../../lib/topics/topic-entry.ts';
import { hex } from '../support/hex.ts';

const page = readFileSync(new URL('../../docs/reference/positions.md', import.meta.url), 'utf8');

/** What the page says is sent, by what it is. */
const vectors = new Map(
  /```text\n(start,[\s\S]*?)```/
    .exec(page)![1]!
    .trim()
    .split('\n')
    .map((line): [string, string | Buffer] => {
      const [, what, type, message] = /^(.*?) +(text|binary) +(.*)$/.exec(line)!;
      return [what!, type === 'text' ? (JSON.parse(message!) as string) : hex(message!)];
    }),
);

function at(offset: number, body: string | Buffer): TopicMessage {
  return new TopicMessage('ZmlsbQ', offset - 1, offset, body, 0, true);
}

describe('positions.hyperlane', () => {
  it('encodes what the page says', () => {
    assert.deepEqual(
      new Map<string, string | Uint8Array>([
        ['start, of a client without a position', positionsWire.encodeStart(formatPosition('ZmlsbQ', 4))],
        ['data, "hello" at ZmlsbQ.5', positionsWire.encode(at(5, 'hello'))],
        ['data, "" at ZmlsbQ.6', positionsWire.encode(at(6, ''))],
        ['data, "a\\nb" at ZmlsbQ.7', positionsWire.encode(at(7, 'a\nb'))],
        ['data, "=x" at ZmlsbQ.8', positionsWire.encode(at(8, '=x'))],
        ['data, 00 0a ff at ZmlsbQ.9', positionsWire.encode(at(9, hex('000aff')))],
        ['start, behind a message of its own', positionsWire.encodeStart(formatPosition('ZmlsbQ', 10))],
        ['gap, up to ZmlsbQ.20', positionsWire.encodeGap(new GapError('t', 'history', 'ZmlsbQ.20', Number.NaN))],
        ['data, "welcome", by the handler', '\nwelcome'],
      ]),
      vectors,
    );
  });

  it('is for connections that have agreed to it', () => {
    assert.equal(wireOf('positions.hyperlane'), positionsWire);
    assert.equal(wireOf(''), undefined);
  });

  it('encodes a message once for all that are sent it', () => {
    const message = at(1, Buffer.from('x'));
    assert.equal(positionsWire.encode(message), positionsWire.encode(message));
  });
});

/** What a page does, with what the browser has for it. */
describe('the page of positions.hyperlane', () => {
  class FakeWebSocket {
    static readonly made: FakeWebSocket[] = [];
    readonly url: string;
    readonly sent: string[] = [];
    onmessage: ((event: { data: string | ArrayBuffer }) => void) | undefined;
    onclose: (() => void) | undefined;
    readonly protocol: string;
    constructor(url: URL, protocol: string) {
      this.url = String(url);
      this.protocol = protocol;
      FakeWebSocket.made.push(this);
    }
    send(body: string): void {
      this.sent.push(body);
    }
  }

  it('reads what the page of the reference says', async (t) => {
    const source = readFileSync(new URL('../../docs/examples/positions-page.js', import.meta.url), 'utf8');
    assert.ok(source.trim().split('\n').length <= 40);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const follow = new Function('WebSocket', 'location', `${source.replace('export ', '')}; return follow;`)(
      FakeWebSocket,
      {
        href: 'https://example.com/film',
      },
    ) as (url: string, onMessage: (body: unknown) => void, onStart: () => void) => (body: string) => void;
    const seen: unknown[] = [];
    const send = follow(
      '/room/7',
      (body) => seen.push(body),
      () => seen.push('start'),
    );
    send('hi');
    const [socket] = FakeWebSocket.made;
    assert.deepEqual(
      [socket!.url, socket!.protocol, socket!.sent],
      ['wss://example.com/room/7', 'positions.hyperlane', ['hi']],
    );
    for (const message of vectors.values()) {
      socket!.onmessage!({ data: typeof message === 'string' ? message : Uint8Array.from(message).buffer });
    }
    assert.deepEqual(seen, ['start', 'hello', '', 'a\nb', '=x', Uint8Array.of(0, 10, 255), 'start', 'welcome']);
    socket!.onclose!();
    t.mock.timers.tick(500);
    assert.equal(FakeWebSocket.made[1]!.url, 'wss://example.com/room/7?after=ZmlsbQ.20');
    FakeWebSocket.made[1]!.onmessage!({ data: '=ZmlsbQ.20\n' });
    assert.equal(seen.length, 8, 'nothing is missing');
  });
});
