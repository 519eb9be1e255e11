import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { Server } from '../../lib/index.ts';
import { ROOT } from '../build.ts';
import type { FromPeers, ToPeers } from './messages.ts';
import { retainedBytes } from './retained.ts';
import { OPTIONS, PIECE_BYTES, TCP_ATTACKS, type TcpAttack } from './tcp-attacks.ts';

/** How long is waited for what the server still reads, when the peers have sent all they could. */
const SETTLE_MS = 500;
/** How long the server may take to be rid of those that it is to cut. */
const CUT_MS = 15_000;

const piece = Buffer.alloc(PIECE_BYTES, 'x');
/** Larger than what is compressed in place. */
const large = Buffer.alloc(300 * 1024, Buffer.from('what repeats itself, but not at once: 0123456789'));

/** The peers of all attacks, one after the other. */
export class PeersProcess {
  readonly #child: ChildProcess = fork(join(ROOT, 'bench', 'hostile', 'peers-process.ts'), {
    execArgv: ['--import', 'tsx'],
  });

  ask(message: ToPeers, answer: FromPeers['type']): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => {
      this.#child.once('message', ({ type }: FromPeers) =>
        type === answer ? resolve() : reject(new Error(`the peers said ${type}, and not ${answer}`)),
      );
    });
    this.#child.send(message);
    return answered;
  }

  end(): void {
    this.#child.disconnect();
  }
}

/** What one connection keeps more than before the attack; or, of those that are cut, than before they came. */
export async function measureOverTcp(peers: PeersProcess, attack: TcpAttack, connections: number): Promise<number> {
  const server = makeServer(attack);
  await server.run();
  const { port } = server.address()!;
  const nobody = await retainedBytes();
  await peers.ask({ type: 'open', port, attack: TCP_ATTACKS.indexOf(attack), connections }, 'opened');
  const opened = await retainedBytes();
  await peers.ask({ type: 'attack' }, 'attacked');
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  if (attack.isCut === true) await untilAllAreGone();
  const after = await retainedBytes();
  await peers.ask({ type: 'leave' }, 'left');
  await server.close({ timeout: 0 });
  return Math.max(0, Math.round((after - (attack.isCut === true ? nobody : opened)) / connections));
}

async function untilAllAreGone(): Promise<void> {
  const end = performance.now() + CUT_MS;
  while (process.getActiveResourcesInfo().includes('TCPSocketWrap')) {
    if (performance.now() > end) throw new Error('the server was to cut its peers, and has not');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function makeServer({ options }: TcpAttack): Server {
  const server = new Server({ host: '127.0.0.1', port: 0, ...OPTIONS, ...options });
  server.errorHandle(() => {});
  server.upgradeMiddleware(async (ctx) => {
    if (ctx.getRequestQuerys().has('wait')) await new Promise(() => {});
  });
  server.route('/echo', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));
  server.route('/never', (ctx) => ctx.getStream()?.closed.then(() => {}));
  server.route('/large', (ctx) => {
    for (let i = 0; i < 4; i++) ctx.sendResponseBody(large).catch(() => {});
  });
  server.route('/hello', (ctx) => {
    ctx.setResponseBody('x'.repeat(1000));
  });
  const stream = (pieces: number) => async (ctx: { sendResponseBody(body: Buffer): Promise<void> }) => {
    for (let i = 0; i < pieces; i++) await ctx.sendResponseBody(piece);
  };
  server.route('/stream', stream(64));
  server.route('/download', stream(1280));
  return server;
}
