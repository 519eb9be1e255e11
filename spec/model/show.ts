import type { Duplex } from 'node:stream';
import { Finding } from './finding.ts';
import type { Run } from './property.ts';
import type { Found } from './search.ts';
import type { World } from './world.ts';

/** Prints a run so that it can be read: a step a line. */
export function showRun({ options, steps, isPeaceful, closesFirst }: Run): string {
  const settings = JSON.stringify({ ...options, isPeaceful, closesFirst }, (_key, value) =>
    value === Number.POSITIVE_INFINITY ? 'all' : value,
  );
  return `${settings}\n${String(steps).replaceAll('}),', '}),\n')}`;
}

export function showFound({ key, seed, path, run, error }: Found): string {
  const stack = String(error instanceof Error ? error.stack : error).split('\n');
  return `${key}\nFC_SEED=${seed} path ${path}\n${showRun(run)}\n${stack.slice(0, 6).join('\n')}\n${error instanceof Finding ? error.state : ''}`;
}

/** What a world is like, in a few lines: all that one wants to know first when something is wrong. */
export function showState({ peers, application, time }: World): string {
  const lines = [...peers.values()].map((peer) => {
    const { link } = peer;
    const socket = link.socket ?? {};
    const { id, excuseIn, excuseOut, closeSent, closeReceived } = peer;
    const { isGone, isEnded, isRead, isDelivered } = link;
    const { readableLength, readableFlowing, writableLength } = socket as Partial<Duplex>;
    const responses = peer.responses.map(({ status }) => status).join(' ');
    const about = { excuseIn, excuseOut, closeSent, closeReceived, isGone, isEnded, isRead, isDelivered };
    return `peer ${id} ${show({ ...about, responses, readableLength, readableFlowing, writableLength })}`;
  });
  for (const { peer, running, handled, sends, arrived, isOver, stream } of application.conversations.values()) {
    const { state, receivedBytes, bufferedBytes } = stream;
    const about = { running, handled, of: peer.messages.length, sends: sends.length, arrived, isOver };
    lines.push(`conversation ${peer.id} ${show({ ...about, state, receivedBytes, bufferedBytes })}`);
  }
  return `after ${time.now} ms\n${lines.join('\n')}`;
}

function show(about: object): string {
  return JSON.stringify(about).replaceAll('"', '');
}
