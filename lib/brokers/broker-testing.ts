import { describe, it } from 'node:test';
import { testFaults } from './broker-testing-faults.ts';
import { testKeeping } from './broker-testing-keeping.ts';
import { testMessages } from './broker-testing-messages.ts';
import type { BrokerTestOptions } from './broker-testing-options.ts';
import { type Register, Run } from './broker-testing-run.ts';
import { testTopics } from './broker-testing-topics.ts';

/** No test takes as long, unless something hangs. In milliseconds. */
const TIMEOUT_MS = 60_000;

/**
 * Registers the contract of a `Broker` as tests of `node:test`, in a `describe` of its own: what a broker must do, so that
 * `Topics` can keep its promise over it. Each test opens brokers of its own, uses topics that no other has, and closes them.
 *
 * That close lets go of everything is shown by the process: it ends by itself when the tests are over.
 *
 * @example
 * testBroker({
 *   name: 'mine',
 *   makeBroker: () => ({ broker: myBroker({ url: 'mine://127.0.0.1:7000' }) }),
 * });
 */
export function testBroker(options: BrokerTestOptions): void {
  const register: Register = (title, body) => {
    it(title, { timeout: TIMEOUT_MS }, async (test) => {
      const run = new Run(options);
      let reason: string | undefined;
      try {
        reason = await body(run);
      } finally {
        await run.end();
      }
      if (reason !== undefined) test.skip(reason);
    });
  };
  describe(`the contract of a broker: ${options.name}`, () => {
    testMessages(register);
    testKeeping(register);
    testTopics(register);
    testFaults(register);
  });
}
