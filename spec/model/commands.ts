import fc from 'fast-check';
import { collectGarbage } from '../channel/collect-garbage.ts';
import { clientFrame, httpRequest, upgradeRequest } from '../support/ws-client.ts';
import {
  MESSAGE_KINDS,
  type MessageKind,
  makeBody,
  REQUEST_KINDS,
  type RequestKind,
  type Wish,
} from './application.ts';
import { type Behaviour, type MemoryLink, SOCKET } from './link.ts';
import type { Framing, Peer } from './peer.ts';
import { releaseTask, waitingTasks } from './thread-pool.ts';
import type { Road, World } from './world.ts';

/** What happens in a world: one step of a run. */
export type Step = fc.AsyncCommand<World, World>;

/** How bytes arrive: all that are on their way or only some, in pieces of a size. */
interface Delivery {
  readonly bytes: number;
  readonly pieceBytes: number;
}

const ALL = Number.POSITIVE_INFINITY;

/** A step of a name and its settings, by which it is shown. */
function step<T extends object>(
  name: string,
  settings: T,
  run: (world: World, settings: T) => void | Promise<void>,
  check: (world: Readonly<World>) => boolean = () => true,
): Step {
  return {
    check: (world) => check(world as World),
    async run(_model, world) {
      await run(world, settings);
      if (!('isHurried' in settings && settings.isHurried === true)) await world.settle();
    },
    toString: () => `${name}(${show(settings)})`,
  };
}

function show(settings: object): string {
  return JSON.stringify(settings, (_key, value) => (value === ALL ? 'all' : value)).replaceAll('"', "'");
}

const hasPeers = (world: Readonly<World>): boolean => world.peers.size > 0;

/** One of the peers there are: 0 is the latest. */
function pick(world: World, index: number): Peer {
  const peers = [...world.peers.values()];
  return peers[peers.length - 1 - (index % peers.length)]!;
}

// --- what is sent -------------------------------------------------------------------------------------------------------

interface MessageSettings {
  readonly kind: MessageKind;
  readonly wish: Wish;
  readonly framing: Framing;
  /** Bytes of the message itself. */
  readonly bytes: number;
}

function sendMessage(world: World, peer: Peer, { kind, wish, framing, bytes }: MessageSettings): void {
  const text = makeBody(`${world.nextId}|${kind}|${wish.count}|${wish.bytes}|`, bytes);
  peer.sendMessage({ body: framing.isBinary ? Buffer.from(text) : text }, framing);
}

/** Of what comes often, each asks for little. */
function makeSmall<T extends { readonly wish: Wish }>(settings: T): T {
  const { count, bytes } = settings.wish;
  return { ...settings, wish: { count: Math.min(count, 2), bytes: Math.min(bytes, 4000) } };
}

interface RequestSettings {
  readonly kind: RequestKind;
  readonly wish: Wish;
  readonly method: 'GET' | 'POST' | 'HEAD';
}

function sendRequest(world: World, peer: Peer, { kind, wish, method }: RequestSettings): void {
  if (!peer.maySend || peer.hasAskedToUpgrade) return;
  const id = world.nextId;
  const target = `/${kind}?peer=${peer.id}&id=${id}&count=${wish.count}&bytes=${wish.bytes}`;
  peer.requests.push({ id, kind: 'plain', method });
  const body = method === 'POST' ? makeBody(`${id}`, wish.bytes) : '';
  const headers = method === 'POST' ? { 'Content-Length': String(body.length) } : {};
  const head = httpRequest(method, target, headers);
  world.expectHead(peer, head.length);
  peer.link.send(Buffer.from(head + body));
}

interface UpgradeSettings {
  readonly path: '/ws' | '/own' | '/select' | '/nowhere';
  readonly decide: string;
  readonly open: '' | 'welcome' | 'later';
  readonly isCompressed: boolean;
  /** Whether handlers read messages where they lie. */
  readonly isLent: boolean;
}

function upgradeHead(peer: Peer, { path, decide, open, isCompressed, isLent }: UpgradeSettings): string {
  const query = [`peer=${peer.id}`, `decide=${encodeURIComponent(decide)}`];
  if (open !== '') query.push(`open=${open}`);
  if (isLent) query.push('lend=1');
  const headers = isCompressed ? { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' } : {};
  return upgradeRequest(`${path}?${query.join('&')}`, headers);
}

function sendUpgrade(world: World, peer: Peer, settings: UpgradeSettings): void {
  if (!peer.maySend || peer.hasAskedToUpgrade) return;
  // node:http pauses what has no handle, and never lets go of it.
  if (!peer.link.behaviour.isSocket && peer.requests.length > 0) return;
  peer.requests.push({ id: world.nextId, kind: 'upgrade', method: 'GET' });
  const head = upgradeHead(peer, settings);
  world.expectHead(peer, head.length);
  peer.link.send(Buffer.from(head));
}

// --- arbitraries --------------------------------------------------------------------------------------------------------

const rarely = fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });

const peerIndex = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(3) });

const delivery: fc.Arbitrary<Delivery> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ bytes: ALL, pieceBytes: 60_000 }) },
  // What one packet of TCP carries.
  { weight: 2, arbitrary: fc.constant({ bytes: ALL, pieceBytes: 1448 }) },
  { weight: 1, arbitrary: fc.constant({ bytes: 0, pieceBytes: 1 }) },
  { weight: 2, arbitrary: fc.record({ bytes: fc.constant(ALL), pieceBytes: fc.integer({ min: 1, max: 400 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ bytes: fc.integer({ min: 1, max: 400 }), pieceBytes: fc.integer({ min: 1, max: 400 }) }),
  },
);

/** Sizes of answers: small, around a header's limit, above high-water marks, and what is compressed in the thread pool. */
const answerBytes = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 200 }) },
  { weight: 2, arbitrary: fc.constantFrom(125, 126, 4000, 17_000) },
  { weight: 2, arbitrary: fc.constant(70_000) },
);

const wish: fc.Arbitrary<Wish> = fc.record({
  count: fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }) }, { weight: 1, arbitrary: fc.constant(40) }),
  bytes: answerBytes,
});

const framing: fc.Arbitrary<Framing> = fc.record({
  isBinary: rarely,
  isCompressed: fc.boolean(),
  fragmentBytes: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 90 }) },
  ),
  hasPing: fc.boolean(),
});

const WEIGHTS: Partial<Record<MessageKind, number>> = { echo: 5, later: 5, many: 4, awaits: 3, flush: 3, flushed: 2 };

const messageKind = fc.oneof(
  ...MESSAGE_KINDS.map((kind) => ({
    weight: WEIGHTS[kind] ?? 1,
    arbitrary: fc.constant(kind),
  })),
);

const message: fc.Arbitrary<MessageSettings> = fc.record({
  kind: messageKind,
  wish,
  framing,
  bytes: fc.oneof(
    { weight: 6, arbitrary: fc.constant(1) },
    { weight: 2, arbitrary: fc.integer({ min: 100, max: 3000 }) },
    { weight: 1, arbitrary: fc.constant(70_000) },
  ),
});

const requestKind = fc.constantFrom(...REQUEST_KINDS);

const request: fc.Arbitrary<RequestSettings> = fc.record({
  kind: requestKind,
  wish,
  method: fc.oneof(
    { weight: 5, arbitrary: fc.constant('GET' as const) },
    { weight: 2, arbitrary: fc.constant('POST' as const) },
    { weight: 1, arbitrary: fc.constant('HEAD' as const) },
  ),
});

const upgrade: fc.Arbitrary<UpgradeSettings> = fc.record({
  path: fc.oneof(
    { weight: 8, arbitrary: fc.constant('/ws' as const) },
    { weight: 2, arbitrary: fc.constant('/own' as const) },
    { weight: 2, arbitrary: fc.constant('/select' as const) },
    { weight: 1, arbitrary: fc.constant('/nowhere' as const) },
  ),
  decide: fc.oneof(
    { weight: 6, arbitrary: fc.constant('at once') },
    { weight: 3, arbitrary: fc.constant('later') },
    { weight: 1, arbitrary: fc.constantFrom('tick', 'throw', 'abort', 'refuse403') },
    { weight: 1, arbitrary: fc.constantFrom('refuse204 body', 'refuse204', 'refuse205 body', 'refuse304 body') },
  ),
  open: fc.oneof(
    { weight: 4, arbitrary: fc.constant('' as const) },
    { weight: 1, arbitrary: fc.constantFrom('welcome' as const, 'later' as const) },
  ),
  isCompressed: fc.boolean(),
  isLent: rarely,
});

const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(SOCKET) },
  {
    weight: 3,
    arbitrary: fc.record({
      isSocket: fc.constant(false),
      writesAtOnce: fc.boolean(),
      hasWritev: fc.boolean(),
      emitsClose: fc.boolean(),
      deliversLate: rarely,
      deliversInWrite: fc.boolean(),
      throwsAt: fc.oneof(
        { weight: 8, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }) },
      ),
      highWaterMark: fc.constantFrom(1, 1000, 16_384),
    }),
  },
);

const AS_HTTP_EXPECTS = { emitsClose: true, throwsAt: 0, deliversLate: false, deliversInWrite: false };

const road: fc.Arbitrary<Road> = fc.oneof(
  { weight: 4, arbitrary: fc.constant('run' as const) },
  { weight: 2, arbitrary: fc.constant('attach' as const) },
  { weight: 3, arbitrary: fc.constant('handleUpgrade' as const) },
);

const room = fc.constantFrom(0, 500, 20_000);

/** Messages that come in the same write as the head: mostly few, of a kind that takes time. */
const firstMessages = fc.oneof(
  { weight: 4, arbitrary: fc.constant([]) },
  { weight: 3, arbitrary: fc.array(message, { minLength: 1, maxLength: 4 }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(message, fc.integer({ min: 5, max: 100 }))
      .map(([one, count]): MessageSettings[] => Array(count).fill({ ...one, wish: { count: 1, bytes: 10 }, bytes: 1 })),
  },
);

const open: fc.Arbitrary<Step> = fc
  .record({
    road,
    behaviour,
    room,
    isPolite: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    requests: fc.oneof(
      { weight: 4, arbitrary: fc.constant([]) },
      { weight: 2, arbitrary: fc.array(request, { minLength: 1, maxLength: 3 }) },
      { weight: 1, arbitrary: request.map((one) => Array(40).fill(makeSmall(one)) as RequestSettings[]) },
    ),
    upgrade: fc.option(upgrade, { freq: 8, nil: undefined }),
    messages: firstMessages,
    delivery,
  })
  .map((settings) => {
    const { road, behaviour, messages } = settings;
    // A server of node:http relies on more than handleUpgrade, to which streams may come that do anything: its parser,
    // entered again from within, ends the process.
    const isForeign = road === 'handleUpgrade' && !behaviour.isSocket;
    const shown = { ...settings, behaviour: isForeign ? behaviour : { ...behaviour, ...AS_HTTP_EXPECTS } };
    return step('open', { ...shown, messages: shorten(messages), requests: shorten(settings.requests) }, (world) =>
      openPeer(world, shown),
    );
  });

/** Many that are alike, in short. */
function shorten(list: readonly unknown[]): readonly unknown[] {
  return list.length > 4 ? [list.length, list[0]] : list;
}

interface OpenSettings {
  readonly road: Road;
  readonly behaviour: Behaviour;
  readonly room: number;
  readonly isPolite: boolean;
  readonly requests: readonly RequestSettings[];
  readonly upgrade: UpgradeSettings | undefined;
  readonly messages: readonly MessageSettings[];
  readonly delivery: Delivery;
}

function openPeer(world: World, settings: OpenSettings): void {
  const { road, upgrade, messages, delivery } = settings;
  if (!world.hasRoad(road) || (road === 'handleUpgrade' && upgrade === undefined)) return;
  const peer = world.addPeer(settings.behaviour, settings.room, settings.isPolite);
  // Who comes to a server that was attached again is no concern of a close that was begun before.
  if (world.isClosing && !(world.isAttachedLate && road !== 'run')) peer.excuse('the server is closed');
  if (road === 'handleUpgrade' && upgrade !== undefined) {
    peer.requests.push({ id: world.nextId, kind: 'upgrade', method: 'GET' });
    for (const message of messages) sendMessage(world, peer, message);
    world.handUpgrade(peer, upgradeHead(peer, upgrade), (peer.link as MemoryLink).takeFirst(delivery.bytes));
    return;
  }
  world.connect(peer, road as 'run' | 'attach');
  for (const request of settings.requests) sendRequest(world, peer, request);
  if (upgrade !== undefined) {
    sendUpgrade(world, peer, upgrade);
    if (peer.hasAskedToUpgrade) for (const message of messages) sendMessage(world, peer, message);
  }
  peer.link.deliver(delivery.bytes, delivery.pieceBytes);
}

interface DawdleSettings {
  readonly behaviour: Behaviour;
  readonly upgrade: UpgradeSettings;
  readonly waits: readonly { readonly ms: number; readonly bytes: number }[];
}

/** Opens a connection, and takes its time for the head. */
async function dawdle(world: World, { behaviour, upgrade, waits }: DawdleSettings): Promise<void> {
  if (!world.hasRoad('run')) return;
  const peer = world.addPeer({ ...behaviour, ...AS_HTTP_EXPECTS }, 0, false);
  peer.excuse('dawdles');
  world.connect(peer, 'run');
  await world.settle();
  sendUpgrade(world, peer, upgrade);
  for (const { ms, bytes } of waits) {
    await world.advance(ms);
    peer.link.deliver(bytes, 20);
  }
  await world.advance(50);
}

/** Steps, by how often they come. */
const STEPS: readonly { readonly weight: number; readonly arbitrary: fc.Arbitrary<Step> }[] = [
  { weight: 6, arbitrary: open },
  {
    weight: 10,
    arbitrary: fc
      .record({
        peer: peerIndex,
        messages: fc.oneof(
          { weight: 3, arbitrary: fc.array(message, { minLength: 1, maxLength: 1 }) },
          { weight: 2, arbitrary: fc.array(message, { minLength: 2, maxLength: 5 }) },
        ),
        times: fc.oneof(
          { weight: 6, arbitrary: fc.constant(1) },
          { weight: 1, arbitrary: fc.integer({ min: 2, max: 30 }) },
        ),
        delivery,
        isHurried: rarely,
      })
      .map((settings) =>
        step(
          'send',
          settings,
          (world, { peer: index, messages, times, delivery }) => {
            const peer = pick(world, index);
            if (!peer.hasAskedToUpgrade) return;
            for (let i = 0; i < times; i++) {
              for (const message of messages) sendMessage(world, peer, times > 4 ? makeSmall(message) : message);
            }
            peer.link.deliver(delivery.bytes, delivery.pieceBytes);
          },
          hasPeers,
        ),
      ),
  },
  {
    weight: 4,
    arbitrary: fc.record({ peer: peerIndex, request, times: fc.constantFrom(1, 1, 2, 40), delivery }).map((settings) =>
      step(
        'request',
        settings,
        (world, { peer: index, request, times, delivery }) => {
          const peer = pick(world, index);
          for (let i = 0; i < times; i++) sendRequest(world, peer, times > 2 ? makeSmall(request) : request);
          peer.link.deliver(delivery.bytes, delivery.pieceBytes);
        },
        hasPeers,
      ),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record({ peer: peerIndex, upgrade, delivery }).map((settings) =>
      step(
        'upgrade',
        settings,
        (world, { peer: index, upgrade, delivery }) => {
          const peer = pick(world, index);
          sendUpgrade(world, peer, upgrade);
          peer.link.deliver(delivery.bytes, delivery.pieceBytes);
        },
        hasPeers,
      ),
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ peer: peerIndex, delivery, isHurried: rarely })
      .map((settings) =>
        step(
          'deliver',
          settings,
          (world, { peer, delivery }) => pick(world, peer).link.deliver(delivery.bytes, delivery.pieceBytes),
          hasPeers,
        ),
      ),
  },
  {
    weight: 3,
    arbitrary: fc.record({ peer: peerIndex, hasCode: fc.boolean(), hasEnd: fc.boolean(), delivery }).map((settings) =>
      step(
        'close',
        settings,
        (world, { peer: index, hasCode, hasEnd, delivery }) => {
          const peer = pick(world, index);
          if (!peer.hasAskedToUpgrade) return;
          peer.sendClose(hasCode ? 1000 : undefined);
          if (hasEnd) {
            // node:http cuts who ends before it is answered.
            if (!peer.isUpgraded) peer.excuse('ended');
            peer.link.sendEnd();
          }
          peer.link.deliver(delivery.bytes, delivery.pieceBytes);
        },
        hasPeers,
      ),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ peer: peerIndex, how: fc.constantFrom('end', 'reset', 'garbage', 'unmasked', 'ping', 'pings') })
      .map((settings) =>
        step(
          'do',
          settings,
          (world, { peer: index, how }) => {
            const peer = pick(world, index);
            const { link } = peer;
            if (how === 'end') {
              if (peer.closeSent === undefined || !peer.isUpgraded) peer.excuse('ended');
              link.sendEnd();
            } else if (how === 'reset') {
              peer.excuse('reset');
              link.reset();
            } else if (how === 'ping' || how === 'pings') {
              if (!peer.isUpgraded || !peer.maySend) return;
              for (let i = 0; i < (how === 'ping' ? 1 : 40); i++) link.send(clientFrame(0x89, `${i}`));
            } else if (peer.maySend) {
              peer.excuse(how);
              link.send(Buffer.from(how === 'garbage' ? 'ffffffffffff' : '8105636c656172', 'hex'));
              // Nothing behind it means anything.
              link.sendEnd();
            }
            if (how !== 'reset') link.deliver(ALL, 60_000);
          },
          hasPeers,
        ),
      ),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ peer: peerIndex })
      .map((settings) =>
        step('stopReading', settings, (world, { peer }) => pick(world, peer).link.stopReading(), hasPeers),
      ),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ peer: peerIndex, bytes: fc.constantFrom(1, 1000, 50_000, ALL, ALL) })
      .map((settings) =>
        step('read', settings, (world, { peer, bytes }) => pick(world, peer).link.read(bytes), hasPeers),
      ),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({ ms: fc.constantFrom(50, 200, 650, 800, 1050, 1500, 2900) })
      .map((settings) => step('advance', settings, (world, { ms }) => world.advance(ms))),
  },
  {
    weight: 4,
    arbitrary: fc.record({ gate: fc.nat(5) }).map((settings) =>
      step(
        'openGate',
        settings,
        (world, { gate }) => world.application.openGate(gate % world.application.gates.length),
        (world) => world.application.gates.length > 0,
      ),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.record({ task: fc.nat(3) }).map((settings) =>
      step(
        'endTask',
        settings,
        (_world, { task }) => releaseTask(task % waitingTasks()),
        () => waitingTasks() > 0,
      ),
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        behaviour,
        upgrade,
        waits: fc.array(
          fc.record({ ms: fc.constantFrom(50, 800, 1500, 2900), bytes: fc.integer({ min: 0, max: 40 }) }),
          { minLength: 1, maxLength: 3 },
        ),
      })
      .map((settings) => step('dawdle', settings, dawdle)),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom('minor', 'minor', 'minor', 'major') }).map((settings) =>
      step('collectGarbage', settings, (_world, options) => {
        (collectGarbage as (options: { type: string }) => void)(options);
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ text: fc.constant('to all') })
      .map((settings) => step('broadcast', settings, (world, { text }) => void world.application.broadcast.send(text))),
  },
  {
    weight: 2,
    arbitrary: fc.record({ timeout: fc.constantFrom(300, 1000, 3000) }).map((settings) =>
      step(
        'closeServer',
        settings,
        (world, { timeout }) => world.close(timeout),
        (world) => !world.isClosing,
      ),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant({}).map((settings) =>
      step(
        'listen',
        settings,
        (world) => world.run(),
        (world) => world.closings.length > 0 && !world.isClosing && !world.hasRoad('run'),
      ),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constant({}).map((settings) =>
      step(
        'attach',
        settings,
        (world) => world.attach(),
        (world) => world.closings.length > 0,
      ),
    ),
  },
];

/** Steps of a run, in any order. @param replayPath - which of them to take, of a run that was made smaller */
export function steps(maxCommands: number, replayPath?: string): fc.Arbitrary<Iterable<Step>> {
  return fc.commands(
    STEPS.flatMap(({ weight, arbitrary }) => Array(weight).fill(arbitrary)),
    { maxCommands, size: 'max', ...(replayPath === undefined ? {} : { replayPath }) },
  );
}
