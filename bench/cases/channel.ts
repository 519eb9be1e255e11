import type { CodecCase, Env, Work } from './case.ts';

type BroadcastModule = typeof import('../../lib/broadcast/broadcast.ts');
type SelectModule = typeof import('../../lib/channel/select.ts');

/** Every receiver waits for each value; an operation is one value that one receiver got. */
async function receive({ lib }: Env, receivers: number): Promise<Work> {
  const { Broadcast } = await lib<BroadcastModule>('broadcast/broadcast.js');
  const broadcast = new Broadcast<number>();
  const subscribed = Array.from({ length: receivers }, () => broadcast.subscribe());
  return async (count) => {
    let sum = 0;
    for (let i = 0; i < count; i += receivers) {
      const waiting = subscribed.map((receiver) => receiver.recv());
      broadcast.send(i);
      for (const value of await Promise.all(waiting)) sum += value;
    }
    return sum;
  };
}

/** The same with an event emitter, which has no queue and nothing to wait for: the least that it can cost. */
async function emit(receivers: number): Promise<Work> {
  const { EventEmitter } = await import('node:events');
  const emitter = new EventEmitter().setMaxListeners(0);
  let sum = 0;
  for (let i = 0; i < receivers; i++) {
    emitter.on('value', (value: number) => {
      sum += value;
    });
  }
  return async (count) => {
    for (let i = 0; i < count; i += receivers) {
      emitter.emit('value', i);
      await undefined;
    }
    return sum;
  };
}

/** A loop over two channels, of which one always has the next value. */
async function selectLoop({ lib }: Env): Promise<Work> {
  const { Broadcast } = await lib<BroadcastModule>('broadcast/broadcast.js');
  const { select } = await lib<SelectModule>('channel/select.js');
  const busy = new Broadcast<number>();
  const quiet = new Broadcast<number>();
  const busyReceiver = busy.subscribe();
  const quietReceiver = quiet.subscribe();
  return async (count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const selected = select({ busy: busyReceiver.recv(), quiet: quietReceiver.recv() });
      busy.send(i);
      sum += (await selected).value;
    }
    return sum;
  };
}

/** What one would write without it, and what loses values. */
function raceLoop(): Work {
  return async (count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      let settle: (value: number) => void = () => {};
      const busy = new Promise<number>((resolve) => {
        settle = resolve;
      });
      // Fresh as well: each race on a promise that never settles leaves something behind in it.
      const quiet = new Promise<number>(() => {});
      const raced = Promise.race([busy, quiet]);
      settle(i);
      sum += await raced;
    }
    return sum;
  };
}

export const channelCases: readonly CodecCase[] = [
  ...[1, 32, 1000].map((receivers) => ({
    name: `broadcast-${receivers}`,
    title: `broadcast to ${receivers === 1 ? 'one receiver' : `${receivers} receivers`}, per value received`,
    bytes: 0,
    subjects: [
      { name: 'hyperlane', prepare: (env: Env) => receive(env, receivers) },
      { name: 'EventEmitter', prepare: () => emit(receivers) },
    ],
  })),
  {
    name: 'select',
    title: 'select of two receives',
    bytes: 0,
    subjects: [
      { name: 'hyperlane', prepare: selectLoop },
      { name: 'Promise.race', prepare: raceLoop },
    ],
  },
];
