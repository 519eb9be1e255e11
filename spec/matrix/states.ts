import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from '../../lib/server/context.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import { httpRequest, upgradeRequest } from '../support/ws-client.ts';
import type { Cell } from './cell.ts';
import { filled, type Peer } from './peer.ts';

/** What a connection is doing when something happens to it. */
export interface State {
  /** As the table names it. */
  readonly name: string;
  /** `plain`: there is no WebSocket, and none was asked for; `opening`: one was asked for; `open`: it is, or was. */
  readonly kind: 'plain' | 'opening' | 'open';
  readonly options?: ServerOptions;
  /** Whether the plain requests have to be our server's own, as where it listens. */
  readonly needsListening?: boolean;
  /** Whether there is a hook that runs when it is open: another way into the session than the first message. */
  readonly hooked?: boolean;
  /** Whether a handler is running, or the message for it is on its way. */
  readonly isWorking?: boolean;
  /** Whether the server does not see what the peer does before it goes on: it does not read, or knows enough. */
  readonly isDeaf?: boolean;
  /** Whether the handler of the first message goes on to receive. */
  readonly takesOver?: boolean;
  /** Whether it holds the thread pool. */
  readonly holdsPool?: boolean;
  /** Whether its handler waits for none of its sends. */
  readonly awaitsNothing?: boolean;
  /** Whether the peer has begun the head of a request. */
  readonly isHeadBegun?: boolean;
  setUp?(cell: Cell): void;
  /** Brings the cell into the state, and returns when it is there. */
  enter(cell: Cell): Promise<void>;
  /** The peer goes on, once the event has happened. */
  goOn?(cell: Cell): void;
  /** What the handler of the first message does before it answers. */
  handle?(cell: Cell, ctx: Context): Promise<void> | void;
  /** The application's plain requests: ours is attached to its server. */
  application?(cell: Cell, request: IncomingMessage, response: ServerResponse): void;
}

const COMPRESSED: ServerOptions = { perMessageDeflate: { thresholdBytes: 0 } };

/** A message in two fragments. */
function fragments(peer: Peer, text: string): [Buffer, Buffer] {
  const [first, second] = [peer.message(text.slice(0, 1000)), peer.message(text.slice(1000))];
  first[0] = 0x01;
  second[0] = 0x80;
  return [first, second];
}

async function openIdle(cell: Cell): Promise<void> {
  await cell.upgrade();
  await cell.until('it is open on both sides', () => cell.stream !== undefined);
}

async function openBusy(cell: Cell, messages: number = 1, behind: boolean = false): Promise<void> {
  cell.holds = true;
  const bytes = cell.peer.someMessages(messages);
  if (behind) await cell.upgrade('/', {}, bytes);
  else {
    await cell.upgrade();
    cell.peer.write(bytes);
  }
  await cell.until('the first message is being handled', () => cell.running > 0);
}

/** Has the server go on streaming the response that an upgrade waits behind. */
async function waitBehindResponse(cell: Cell, path: string): Promise<void> {
  cell.peer.write(httpRequest('GET', path), upgradeRequest('/'));
  cell.peer.sentRequests++;
  await cell.until('the response has begun', () => cell.peer.responses.length === 1);
}

const RESPONSES_OF_APPLICATION = (cell: Cell, _request: IncomingMessage, response: ServerResponse): void => {
  response.write('part 1');
  void cell.gate.promise.then(() => response.end('part 2'));
};

export const STATES: readonly State[] = [
  {
    name: 'silent',
    kind: 'plain',
    needsListening: true,
    async enter() {},
  },
  {
    name: 'half a head',
    kind: 'plain',
    needsListening: true,
    isHeadBegun: true,
    async enter(cell) {
      cell.peer.write(upgradeRequest().slice(0, 60));
    },
  },
  {
    name: 'plain request',
    kind: 'plain',
    needsListening: true,
    isWorking: true,
    async enter(cell) {
      cell.peer.write(httpRequest('GET', '/plain'));
      cell.peer.sentRequests++;
      await cell.until('the handler runs', () => cell.running === 1);
    },
  },
  {
    name: 'event stream',
    kind: 'plain',
    needsListening: true,
    isWorking: true,
    async enter(cell) {
      cell.peer.write(httpRequest('GET', '/stream?events'));
      cell.peer.sentRequests++;
      await cell.until('the response has begun', () => cell.peer.responses.length === 1);
    },
  },
  {
    name: 'refused',
    kind: 'plain',
    setUp(cell) {
      cell.server.upgradeMiddleware((ctx) => {
        ctx.setResponseStatusCode(403);
      });
    },
    async enter(cell) {
      cell.peer.endsWhenServerEnds = false;
      cell.peer.write(upgradeRequest());
      cell.peer.sentRequests++;
      await cell.until('it is refused', () => cell.peer.ended);
    },
    goOn(cell) {
      cell.peer.end();
    },
  },
  {
    name: 'behind a response',
    kind: 'opening',
    needsListening: true,
    isWorking: true,
    isDeaf: true,
    async enter(cell) {
      await waitBehindResponse(cell, '/stream');
    },
  },
  {
    name: 'behind a response, attached',
    kind: 'opening',
    isDeaf: true,
    async enter(cell) {
      await waitBehindResponse(cell, '/application');
    },
    application: RESPONSES_OF_APPLICATION,
  },
  {
    name: 'upgrade middleware',
    kind: 'opening',
    options: { maxQueuedMessages: 4 },
    isWorking: true,
    isDeaf: true,
    setUp(cell) {
      cell.server.upgradeMiddleware((ctx) => cell.decide(ctx));
    },
    async enter(cell) {
      cell.peer.write(upgradeRequest(), cell.peer.someMessages(12));
      await cell.until('the middleware runs', () => cell.running === 1);
    },
  },
  {
    name: 'idle',
    kind: 'open',
    enter: openIdle,
  },
  {
    name: 'idle, compressed',
    kind: 'open',
    options: {
      perMessageDeflate: { thresholdBytes: 0, serverNoContextTakeover: false, clientNoContextTakeover: false },
    },
    async enter(cell) {
      await cell.upgradeCompressed(true);
      cell.peer.write(cell.peer.someMessages(1));
      await cell.until('an answer has come', () => cell.peer.messages.length === 1 && cell.running === 0);
    },
  },
  {
    name: 'half a frame',
    kind: 'open',
    async enter(cell) {
      await openIdle(cell);
      const frame = cell.peer.message(filled(cell.peer.nextLabel()));
      cell.peer.write(frame.subarray(0, 50_000));
      cell.peer.restOfFrame = frame.subarray(50_000);
      await cell.until('half of it is there', () => cell.stream!.receivedBytes > 40_000);
    },
  },
  {
    name: 'half a message',
    kind: 'open',
    async enter(cell) {
      await openIdle(cell);
      const [first, second] = fragments(cell.peer, filled(cell.peer.nextLabel()));
      cell.peer.write(first);
      cell.peer.restOfMessage = second;
      await cell.until('a fragment is there', () => cell.stream!.receivedBytes > 0);
    },
  },
  {
    name: 'handler busy',
    kind: 'open',
    isWorking: true,
    hooked: false,
    enter: (cell) => openBusy(cell),
  },
  {
    name: 'messages with the head',
    kind: 'open',
    isWorking: true,
    hooked: false,
    enter: (cell) => openBusy(cell, 3, true),
  },
  {
    name: 'queue full',
    kind: 'open',
    options: { maxQueuedMessages: 4 },
    isWorking: true,
    isDeaf: true,
    async enter(cell) {
      await openBusy(cell, 12);
      await cell.until('the queue is full', () => cell.stream!.receivedBytes >= 4 * 2);
    },
  },
  {
    name: 'queue full with the head',
    kind: 'open',
    options: { maxQueuedMessages: 4 },
    isWorking: true,
    isDeaf: true,
    hooked: false,
    async enter(cell) {
      await openBusy(cell, 12, true);
      await cell.until('the queue is full', () => cell.stream!.receivedBytes >= 4 * 2);
    },
  },
  {
    name: 'decompressing',
    kind: 'open',
    options: COMPRESSED,
    holdsPool: true,
    isWorking: true,
    isDeaf: true,
    async enter(cell) {
      cell.holdPool();
      await cell.upgradeCompressed(false);
      cell.peer.write(cell.peer.message(filled(cell.peer.nextLabel())));
      await cell.untilQuiet();
    },
  },
  {
    name: 'compressing',
    kind: 'open',
    options: COMPRESSED,
    holdsPool: true,
    isDeaf: true,
    handle: compress,
    awaitsNothing: true,
    async enter(cell) {
      cell.holdPool();
      await cell.upgradeCompressed(false);
      cell.peer.write(cell.peer.someMessages(1));
      await cell.until('the message was handled', () => cell.handled.length === 1 && cell.running === 0);
    },
  },
  {
    name: 'output blocked',
    kind: 'open',
    isWorking: true,
    hooked: false,
    handle: (cell, ctx) => cell.sendBulk(ctx),
    async enter(cell) {
      await cell.upgrade();
      cell.peer.stopReading();
      cell.peer.write(cell.peer.someMessages(1));
      await cell.untilBlocked();
    },
    goOn(cell) {
      cell.peer.readOn();
    },
  },
  {
    name: 'waits for a Pong',
    kind: 'open',
    isWorking: true,
    async handle(cell) {
      await cell.stream!.ping();
    },
    async enter(cell) {
      await cell.upgrade();
      cell.peer.answersPings = false;
      cell.peer.write(cell.peer.someMessages(1));
      await cell.until('the Ping is there', () => cell.peer.unansweredPings > 0);
    },
    goOn(cell) {
      cell.peer.beGood();
    },
  },
  {
    name: 'handler receives',
    kind: 'open',
    takesOver: true,
    async enter(cell) {
      await cell.upgrade();
      cell.peer.write(cell.peer.someMessages(1));
      await cell.until('the answer is there', () => cell.peer.messages.length === 1 && cell.running === 0);
    },
  },
  {
    name: 'owner receives',
    kind: 'open',
    async enter(cell) {
      await cell.upgrade('/owner');
    },
  },
  {
    name: 'owner busy',
    kind: 'open',
    isWorking: true,
    async enter(cell) {
      cell.holds = true;
      await cell.upgrade('/owner');
      cell.peer.write(cell.peer.someMessages(3));
      await cell.until('the owner works', () => cell.running === 1 && cell.stream!.receivedBytes >= 2 * 2);
    },
  },
  {
    name: 'closing from here',
    kind: 'open',
    isWorking: true,
    async handle(cell, ctx) {
      void ctx.close(4000);
      await cell.gate.promise;
    },
    async enter(cell) {
      await cell.upgrade();
      cell.peer.answersClose = false;
      cell.peer.write(cell.peer.someMessages(1));
      await cell.until('the Close frame is there', () => cell.peer.closeCode === 4000);
    },
    goOn(cell) {
      cell.peer.beGood();
    },
  },
  {
    name: 'closing from there',
    kind: 'open',
    isWorking: true,
    isDeaf: true,
    async enter(cell) {
      await openBusy(cell);
      cell.peer.write(cell.peer.close());
      await cell.until('the Close frame is there', () => cell.progress > 0);
    },
  },
  {
    name: 'closing from there, compressing',
    kind: 'open',
    options: COMPRESSED,
    holdsPool: true,
    isDeaf: true,
    handle: compress,
    awaitsNothing: true,
    async enter(cell) {
      cell.holdPool();
      await cell.upgradeCompressed(false);
      cell.peer.write(cell.peer.someMessages(1));
      await cell.until('the message was handled', () => cell.handled.length === 1 && cell.running === 0);
      cell.peer.write(cell.peer.close());
      await cell.until('the Close frame is there', () => cell.progress > 0);
    },
  },
];

/** Sends three large messages and waits for none of them. */
function compress(cell: Cell, ctx: Context): void {
  for (let i = 1; i <= 3; i++) cell.post(ctx, filled(`large${i}`));
}
