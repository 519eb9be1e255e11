import { Buffer } from 'node:buffer';
import type { GapError } from '../errors.ts';
import type { TopicWire } from './connection-subscription.ts';
import type { Position } from './position.ts';
import type { TopicMessage } from './topic-entry.ts';

/** The subprotocol in which each message comes with its position: docs/reference/positions.md. */
const POSITIONS_SUBPROTOCOL = 'positions.hyperlane';

/** What was encoded last: all that are in a topic are sent the same, so that its frame is made once. */
let lastMessage: TopicMessage | undefined;
let lastEncoded: string | Buffer = '';

/** What is sent of a topic to a connection with the subprotocol. */
export const positionsWire: TopicWire = {
  encodeStart: (position: Position) => `=${position}\n`,
  encode(message: TopicMessage): string | Buffer {
    if (message === lastMessage) return lastEncoded;
    const { position, body } = message;
    lastMessage = message;
    lastEncoded =
      typeof body === 'string' ? `${position}\n${body}` : Buffer.concat([Buffer.from(`${position}\n`), body]);
    return lastEncoded;
  },
  encodeGap: ({ position }: GapError) => `!${position}\n`,
};

/** What a connection is sent of topics, by its subprotocol; `undefined`: the bodies. */
export function wireOf(subprotocol: string): TopicWire | undefined {
  return subprotocol === POSITIONS_SUBPROTOCOL ? positionsWire : undefined;
}
