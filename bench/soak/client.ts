import type { Socket } from 'node:net';
import type { Ports } from './messages.ts';
import type { Random } from './random.ts';

/** What a client is given by the wave that it belongs to. */
export interface ClientContext {
  /** A name that no other client has. */
  readonly name: string;
  readonly random: Random;
  readonly ports: Ports;
  /** Whether it is to come to its end. */
  isOver(): boolean;
  /** Waits for its turn: before each step, so that all together use no more than they may. */
  turn(): Promise<void>;
  /** Counts something that came as it had to. */
  verified(bytes: number): void;
  /** Leaves a connection as it is, for the server to end. */
  stay(socket: Socket): void;
}

/** A kind of client. It rejects when something is not as it must be. */
export type Kind = (client: ClientContext) => Promise<void>;

export function anyPort({ random, ports }: ClientContext): number {
  return random.pick([ports.close, ports.drop, ports.wait, ports.attached]);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
