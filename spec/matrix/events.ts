import { TICK_MS } from '../../lib/net/timer-wheel.ts';
import type { ServerOptions } from '../../lib/server/options.ts';
import { settle } from '../support/watchdog.ts';
import { clientFrame } from '../support/ws-client.ts';
import type { Cell } from './cell.ts';

/** What happens to a connection. */
export interface Event {
  /** As the table names it. */
  readonly name: string;
  readonly options?: ServerOptions;
  happen(cell: Cell): Promise<void> | void;
  /** Whether the server has seen it. */
  isNoticed?(cell: Cell): boolean;
  /** Who goes on then: both sides, the server alone, or neither before the end. */
  readonly goesOn: 'whole' | 'server' | 'afterwards';
  /** How many ticks of the wheel it takes, if it is the time that happens. */
  readonly ticks?: number;
  /** Whether the connection is to go on, and is to be tried and then closed. */
  readonly isFarewellDue?: boolean;
  /** Whether the peer sees nothing of the end. */
  readonly isBlind?: boolean;
}

const FLOOD = 200;
const MIB = 1024 * 1024;

const BEGIN_OF_HEAD = 'GET / HTTP/1.1\r\nHost: localhost\r\n';

const ALWAYS = { goesOn: 'whole' } as const;
/** What ends silence: the shortest times that the wheel can tell apart. The others are out of the way. */
const HEARTBEAT_MS = 150;
const TIMEOUT_MS = 150;
/** Longer than a turn of the event loop, in which the Close frame leaves. */
const CUT_MS = 200;
/** Longer than a connection takes to be a WebSocket. */
const HANDSHAKE_MS = 300;
/** Longer than a state takes to be entered, in which messages are far apart. */
const IDLE_MS = 400;

/** A tick more than the wheel takes for a time. */
function ticksOf(ms: number): number {
  return ms / TICK_MS + 1;
}

/** Has the server seen the end, or the beginning of it? */
function isFurther(cell: Cell): boolean {
  if (cell.state.kind === 'open') return cell.progress > cell.progressBefore;
  return cell.peer.ended || cell.peer.gone;
}

/** A Close frame of the peer: it begins to close, or answers. */
function sayClose(cell: Cell): void {
  cell.peer.write(cell.peer.close());
}

export const EVENTS: readonly Event[] = [
  {
    ...ALWAYS,
    name: 'Close',
    happen: sayClose,
    isNoticed: isFurther,
  },
  {
    ...ALWAYS,
    name: 'FIN',
    happen: (cell) => cell.peer.end(),
    isNoticed: isFurther,
  },
  {
    ...ALWAYS,
    name: 'RST',
    happen: (cell) => cell.peer.reset(),
    isNoticed: (cell) => (cell.state.kind === 'open' ? cell.progress > cell.progressBefore : true),
  },
  {
    ...ALWAYS,
    name: 'Close, FIN',
    happen(cell) {
      sayClose(cell);
      cell.peer.end();
    },
    isNoticed: isFurther,
  },
  {
    ...ALWAYS,
    name: 'message, Close, FIN',
    happen(cell) {
      cell.holds = true;
      cell.peer.write(cell.peer.someMessages(1), cell.peer.close());
      cell.peer.end();
    },
    isNoticed: isFurther,
  },
  {
    name: 'no Pong',
    goesOn: 'afterwards',
    ticks: 2 * ticksOf(HEARTBEAT_MS),
    options: { heartbeatIntervalMs: HEARTBEAT_MS, closeTimeoutMs: TIMEOUT_MS },
    happen: (cell) => cell.peer.beMute(),
  },
  {
    name: 'idle',
    goesOn: 'afterwards',
    ticks: ticksOf(IDLE_MS),
    options: { idleTimeoutMs: IDLE_MS, closeTimeoutMs: 500 },
    happen() {},
  },
  {
    name: 'no answer',
    goesOn: 'afterwards',
    ticks: ticksOf(HANDSHAKE_MS),
    options: { closeTimeoutMs: TIMEOUT_MS, handshakeTimeoutMs: HANDSHAKE_MS },
    happen(cell) {
      cell.peer.beMute();
      if (cell.state.kind === 'open' && cell.progress === 0) void cell.ctx!.close(4002);
    },
  },
  {
    ...ALWAYS,
    name: 'messages',
    isFarewellDue: true,
    async happen(cell) {
      if (cell.state.kind === 'plain') cell.peer.sendRequests('/quick', FLOOD);
      else cell.peer.write(cell.peer.someMessages(FLOOD - FLOOD / 5), cell.peer.longMessages(FLOOD / 5));
      await settle(10);
      cell.checkHeld();
    },
  },
  {
    ...ALWAYS,
    name: 'Pings',
    isFarewellDue: true,
    happen: (cell) => cell.peer.write(...Array.from({ length: 1000 }, (_, i) => clientFrame(0x89, `${i + 1}`))),
  },
  {
    ...ALWAYS,
    name: 'garbage',
    happen(cell) {
      if (cell.state.kind === 'plain') cell.peer.write('gar\0bage\r\n\r\n');
      else cell.peer.write(Buffer.alloc(64, 0xff));
    },
    isNoticed: isFurtherUnlessPlain,
  },
  {
    ...ALWAYS,
    name: 'unmasked',
    happen: (cell) => cell.peer.write(Buffer.from('810161', 'hex')),
    isNoticed: isFurtherUnlessPlain,
  },
  {
    ...ALWAYS,
    name: 'too large',
    happen(cell) {
      if (cell.state.kind === 'plain')
        cell.peer.write(cell.state.isHeadBegun ? '' : BEGIN_OF_HEAD, `X: ${'x'.repeat(20 * 1024)}\r\n\r\n`);
      else cell.peer.write(announce(cell, 2 * MIB));
    },
    isNoticed: isFurtherUnlessPlain,
  },
  {
    ...ALWAYS,
    name: 'throws',
    happen: (cell) => cell.give('throw'),
  },
  {
    ...ALWAYS,
    name: 'ctx.close',
    happen(cell) {
      void cell.ctx!.close(4001);
      cell.isAnswerWanted = false;
    },
  },
  {
    ...ALWAYS,
    name: 'destroy',
    happen: (cell) => cell.stream!.destroy(),
  },
  {
    ...ALWAYS,
    name: 'transferred',
    isFarewellDue: true,
    happen: (cell) => cell.give('transfer'),
  },
  {
    ...ALWAYS,
    name: 'server.close',
    happen: (cell) => cell.shutDown(60_000),
  },
  {
    name: 'server.close, cut',
    goesOn: 'afterwards',
    ticks: ticksOf(CUT_MS) + 1,
    happen(cell) {
      cell.peer.beMute();
      cell.shutDown(CUT_MS);
    },
  },
  {
    name: 'reads no more',
    goesOn: 'server',
    isBlind: true,
    options: { heartbeatIntervalMs: HEARTBEAT_MS, closeTimeoutMs: 2 * TIMEOUT_MS, maxQueuedMessages: 4 },
    happen(cell) {
      // One that reads nothing as it is may be cut before more comes from it.
      const hasRead = !cell.peer.socket.isPaused();
      cell.peer.stopReading();
      cell.task = 'bulk';
      if (cell.state.kind !== 'plain' && hasRead) cell.peer.write(cell.peer.someMessages(20));
    },
  },
  {
    ...ALWAYS,
    name: 'reads on',
    isFarewellDue: true,
    async happen(cell) {
      // Whoever waits for an answer has to get it, to come to this.
      cell.state.goOn?.(cell);
      cell.peer.stopReading();
      cell.give('bulk');
      cell.release();
      await cell.untilBlocked();
      cell.peer.readOn();
    },
  },
];

/** A plain request under way is not disturbed by what comes behind it. */
function isFurtherUnlessPlain(cell: Cell): boolean {
  return cell.state.kind === 'plain' || isFurther(cell);
}

/** The header of a frame with more than a message may have, and the first bytes of it. */
function announce(cell: Cell, bytes: number): Buffer {
  const isContinued = cell.peer.restOfMessage.length > 0;
  const header = Buffer.from([isContinued ? 0x80 : 0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
  header.writeBigUInt64BE(BigInt(bytes), 2);
  return Buffer.concat([header, Buffer.alloc(100)]);
}
