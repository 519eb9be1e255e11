import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { afterEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cleanUp } from '../support/clean-up.ts';
import { pythonPath, skipUnless } from '../support/external.ts';
import { LENGTHS, runEcho } from '../support/interop.ts';
import { until } from '../support/watchdog.ts';

const python = pythonPath();
const script = fileURLToPath(new URL('./python_client.py', import.meta.url));

/** Runs a function of python_client.py, and returns what it saw. */
async function ask(name: string, url: string, ...rest: unknown[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)(python!, [
    script,
    name,
    url,
    ...rest.map((value) => JSON.stringify(value)),
  ]);
  return JSON.parse(stdout);
}

describe('a client of python3-websockets', skipUnless('python3-websockets', python !== undefined), () => {
  afterEach(cleanUp);

  it('gets back text and bytes of all lengths', async () => {
    const { port, errors } = await runEcho();
    const answer = await ask('echo', `ws://127.0.0.1:${port}/`, LENGTHS);
    assert.deepEqual(answer, { same: 3 * LENGTHS.length, code: 1000 });
    assert.deepEqual(errors, []);
  });

  it('gets back a message that it sent in fragments, with a ping between them', async () => {
    const { port } = await runEcho();
    assert.deepEqual(await ask('fragments', `ws://127.0.0.1:${port}/`), { received: 'one two three' });
  });

  it('gets back a burst of messages in order', async () => {
    const { port } = await runEcho();
    assert.deepEqual(await ask('burst', `ws://127.0.0.1:${port}/`, 2000), { inOrder: true });
  });

  it('answers pings, and is answered', async () => {
    const { port } = await runEcho();
    assert.deepEqual(await ask('ping', `ws://127.0.0.1:${port}/ping`), { answered: true, received: 'pong' });
  });

  it('closes with code and reason', async () => {
    const { port, ends } = await runEcho();
    assert.deepEqual(await ask('close', `ws://127.0.0.1:${port}/`), { code: 4000 });
    await until('the end', () => ends.length === 1);
    assert.deepEqual(ends, ['4000 mÿ reason true']);
  });

  it('is closed with code and reason', async () => {
    const { port, ends } = await runEcho();
    assert.deepEqual(await ask('closed', `ws://127.0.0.1:${port}/close`), { code: 4001, reason: 'you said gö' });
    await until('the end', () => ends.length === 1);
    assert.match(ends[0]!, /^4001 .*true$/);
  });
});
