import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import fc from 'fast-check';
import { closeCodeOf, WebSocketError } from '../../lib/errors.ts';
import { parseUpgradeHead } from '../../lib/handshake/request-parser.ts';
import { Request } from '../../lib/server/request.ts';
import { Server } from '../../lib/server/server.ts';
import { frames } from '../support/arbitraries.ts';
import { cleanUp } from '../support/clean-up.ts';
import { cutByChance, type FuzzTarget } from '../support/fuzzing.ts';
import { referenceEncode, referenceParse } from '../support/reference-codec.ts';
import { upgradeRequest, WsClient } from '../support/ws-client.ts';

/** Longer than any session takes, also on a busy machine: what is not over by then never will be. */
const PATIENCE_MS = 10_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** Every how many sessions one is run that must work. */
const CHECK_EVERY = 64;

const errors: unknown[] = [];

/** A server whose routes answer at once, later, from a loop of their own, and by throwing. */
const server = new Server({ maxMessageBytes: 1024, maxQueuedMessages: 4, closeTimeoutMs: 1000, heartbeatIntervalMs: 0 })
  .onUpgradeRefused(() => {})
  .route('/', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()))
  .route('/later', async (ctx) => {
    await new Promise((done) => setImmediate(done));
    await ctx.sendResponseBody(ctx.getRequestBody());
  })
  .route('/own', async (ctx) => {
    const stream = ctx.getStream();
    if (stream === undefined) return;
    for (;;) await stream.send((await Request.websocketRequestFromStream(stream)).getBody());
  })
  .enableInnerWebsocketHandle('/own')
  .route('/throw', () => {
    throw new Error('thrown by the handler');
  })
  .upgradeMiddleware(async (ctx) => {
    if (ctx.getRequestPath() === '/later') await new Promise((done) => setImmediate(done));
  })
  .errorHandle((error) => {
    errors.push(error);
  });
const http = createServer((_request, response) => response.end('plain'));
server.attach(http);

let sessions = 0;

/** Plays a session from the first byte to the last, and returns all that the server sent. */
async function play(chunks: readonly Buffer[], throughHttp: boolean): Promise<Buffer> {
  const [here, there] = duplexPair() as [Duplex, Duplex];
  const received: Buffer[] = [];
  there.on('data', (chunk: Buffer) => received.push(chunk));
  there.on('error', () => {});
  const over = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the session never ends')), PATIENCE_MS);
    here.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  const [first, ...rest] = chunks as [Buffer, ...Buffer[]];
  const head = throughHttp ? undefined : parseUpgradeHead(first, MAX_HEADER_BYTES);
  if (head === undefined) {
    http.emit('connection', here);
    there.write(first);
  } else {
    server.handleUpgrade(head, here, first.subarray(head.bytes));
  }
  for (const chunk of rest) {
    there.write(chunk);
    if (chunk.length % 3 === 0) await new Promise((done) => setImmediate(done));
  }
  there.end();
  await over;
  return Buffer.concat(received);
}

/** Opens a WebSocket, sends a text, and returns the answer. */
async function echo(text: string): Promise<string> {
  const [here, there] = duplexPair() as [Duplex, Duplex];
  const client = new WsClient(there);
  http.emit('connection', here);
  await client.upgrade();
  const answer = await client.send(text).receive();
  client.close(1000);
  assert.equal((await client.receiveClose(false)).code, 1000);
  here.destroy();
  await cleanUp();
  return answer.toString();
}

/** Checks what the server sent, and tells it in short. */
function check(sent: Buffer): string {
  if (sent.length === 0) return 'nothing';
  const text = sent.toString('latin1');
  const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(text) ?? assert.fail(`no status line: ${text.slice(0, 80)}`);
  if (status !== '101') return status!;
  const rules = { expectMask: false, allowRsv1: false, maxFrameBytes: Number.POSITIVE_INFINITY };
  const { frames: out, error, partial } = referenceParse(sent.subarray(text.indexOf('\r\n\r\n') + 4), rules);
  assert.deepEqual([error, partial], [undefined, undefined], 'what is sent are whole frames, and legal');
  const closes = out.filter(({ opcode }) => opcode === 8);
  assert.ok(closes.length <= 1, 'at most one Close frame is sent');
  if (closes.length === 1) assert.equal(out.at(-1), closes[0], 'nothing is sent behind a Close frame');
  const code = closes[0] === undefined || closes[0].payload.length === 0 ? undefined : closes[0].payload.readUInt16BE();
  return `101, ${out
    .map(({ opcode }) => opcode.toString(16))
    .join('')
    .slice(0, 6)} ${code}`;
}

/** A whole server, from the request to the end of the connection. Never throws, never hangs, serves the next. */
export const target: FuzzTarget = {
  name: 'server',
  inputs: fc
    .tuple(
      fc.constantFrom('/', '/later', '/own', '/throw', '/missing'),
      fc.array(frames(true, fc.nat({ max: 200 })), { maxLength: 8 }),
    )
    .map(([path, list]) => Buffer.concat([Buffer.from(upgradeRequest(path)), ...list.map(referenceEncode)])),
  async run(input, random) {
    errors.length = 0;
    const chunks = random.oneIn(3) ? [input] : cutByChance(input, random);
    const outcome = check(await play(chunks.length === 0 ? [input] : chunks, random.oneIn(2)));
    assert.ok(errors.length <= 1, 'no handler runs behind one that threw');
    for (const error of errors) {
      // A handler that reads by itself lets pass what ended the connection; else only the handler that throws is told of.
      const isPeers = error instanceof WebSocketError && [1002, 1007, 1009].includes(closeCodeOf(error));
      if (!isPeers) assert.equal((error as Error).message, 'thrown by the handler');
    }
    sessions++;
    if (sessions % CHECK_EVERY === 0) {
      assert.equal(await echo('Hello'), 'Hello', 'the next session works');
    }
    return `${outcome} ${errors.length}`;
  },
};
