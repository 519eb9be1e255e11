import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ErrorCode } from '../../lib/errors.ts';
import type { Role } from '../../lib/protocol/events.ts';
import { eachChunking } from './chunking.ts';
import { hex } from './hex.ts';
import { assertCloses, ProtocolRecorder } from './protocol-recorder.ts';

/** One rule of the RFC, broken by raw bytes. */
export interface Fault {
  readonly title: string;
  /** Who receives the bytes. */
  readonly role: Role;
  readonly bytes: string;
  readonly error: ErrorCode;
  readonly closeCode: number;
  /** Messages, pings and pongs that come before the fault and are told; none if left out. */
  readonly before?: number;
}

/**
 * Makes one example a fault: whole, byte by byte and cut everywhere, the connection fails with its close code, and
 * nothing of what follows the fault is told or answered.
 */
export function describeFaults(faults: readonly Fault[]): void {
  for (const { title, role, bytes, error, closeCode, before = 0 } of faults) {
    it(`${title} → ${closeCode} (${role})`, () => {
      const behind = role === 'server' ? hex('8185 37fa213d 7f9f4d5158') : hex('8105 48656c6c6f');
      for (const example of [hex(bytes), Buffer.concat([hex(bytes), behind])]) {
        eachChunking(example, (chunks) => {
          const recorder = new ProtocolRecorder(role).receive(...chunks);
          assertCloses(recorder, closeCode);
          assert.equal(recorder.errors[0]!.code, error);
          assert.equal(recorder.received().length, before + 1, 'nothing is told but what came before the fault');
        });
      }
    });
  }
}

/** Makes one example bytes that break no rule: whole, byte by byte and cut everywhere, they are taken. */
export function describeLegal(
  examples: readonly { title: string; role: Role; bytes: string; messages: (string | Buffer)[] }[],
): void {
  for (const { title, role, bytes, messages } of examples) {
    it(`${title} → taken (${role})`, () => {
      eachChunking(hex(bytes), (chunks) => {
        const recorder = new ProtocolRecorder(role).receive(...chunks);
        assert.deepEqual(recorder.errors, []);
        assert.deepEqual(recorder.messages(), messages);
        assert.equal(recorder.protocol.state, 'open');
      });
    });
  }
}
