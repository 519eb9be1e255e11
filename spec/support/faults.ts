import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ErrorCode } from '../../lib/errors.ts';
import type { Role } from '../../lib/protocol/events.ts';
import { assertSame } from './assert-same.ts';
import { eachChunking } from './chunking.ts';
import { cleanUp } from './clean-up.ts';
import { assertCloses as assertEndpointCloses, SETTINGS, type Setting } from './endpoints.ts';
import { hex } from './hex.ts';
import { assertCloses, ProtocolRecorder, peerFrame } from './protocol-recorder.ts';

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
  itOverTransports('the same', faults, async ({ role, bytes, error, closeCode }, setting) => {
    await setting.eachChunking(hex(bytes), async (chunks) => {
      const behind = peerFrame(role, 0x81, 'Hello');
      const endpoint = await setting.open(role);
      await endpoint.receive(...chunks, behind);
      assertEndpointCloses(endpoint, closeCode);
      assert.equal(endpoint.error()?.code, error);
      const alone = new ProtocolRecorder(role).receive(hex(bytes));
      assertSame(endpoint.messages(), alone.messages());
      assertSame(endpoint.sent(), alone.sent());
    });
  });
}

/** Plays examples over TCP, TLS and a Duplex, in one test each. */
function itOverTransports<T extends { title: string }>(
  title: string,
  examples: readonly T[],
  run: (example: T, setting: Setting) => Promise<void>,
): void {
  for (const setting of SETTINGS.slice(1)) {
    it(`${title}, ${setting.name}: ${examples.length} examples`, async () => {
      for (const example of examples) {
        try {
          await run(example, setting);
        } catch (error) {
          if (error instanceof Error) error.message = `${example.title}: ${error.message}`;
          throw error;
        } finally {
          await cleanUp();
        }
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
  itOverTransports('the same', examples, async ({ role, bytes, messages }, setting) => {
    await setting.eachChunking(hex(bytes), async (chunks) => {
      const endpoint = await setting.open(role);
      await endpoint.receive(...chunks);
      assert.equal(endpoint.error(), undefined);
      assertSame(endpoint.messages(), messages);
      assert.equal(endpoint.end(), undefined);
    });
  });
}
