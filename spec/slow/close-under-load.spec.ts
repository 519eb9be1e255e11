import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { upgradeRequest } from '../support/ws-client.ts';

const CONNECTIONS = 1000;
const CLOSE_1001 = Buffer.from('880203e9', 'hex');
/** A Close frame of a client, with code 1001 and a key of zeros. */
const ANSWER = Buffer.from('88820000000003e9', 'hex');

/** A client that keeps all it receives, and answers the Close frame at its end. */
class Client {
  readonly #chunks: Buffer[] = [];
  readonly socket: Socket;

  constructor(port: number, id: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.write(upgradeRequest(`/${id}`));
    this.socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      if (chunk.subarray(-CLOSE_1001.length).equals(CLOSE_1001)) this.socket.write(ANSWER);
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

describe('Server.close under load', () => {
  it(`has ${CONNECTIONS} connections get all that was sent, then 1001, and lets the process end`, async () => {
    const child = fork(new URL('./sending-server.ts', import.meta.url), { execArgv: ['--import', 'tsx'] });
    const exit = once(child, 'exit');
    const [{ port }] = (await once(child, 'message')) as [{ port: number }];
    const clients = Array.from({ length: CONNECTIONS }, (_, id) => new Client(port, id));
    await Promise.all(clients.map((client) => once(client.socket, 'data')));
    const ends = clients.map((client) => once(client.socket, 'close'));
    child.send('close');
    const [{ resolved, result }] = (await once(child, 'message')) as [
      { resolved: Record<string, number>; result: { closed: number; cut: number } },
    ];
    await Promise.all(ends);
    assert.deepEqual(result, { closed: CONNECTIONS, cut: 0 });
    for (const [id, client] of clients.entries()) {
      const text = client.received.toString('latin1');
      const numbers = [...text.matchAll(/message (\d+)/g)].map(([, number]) => Number(number));
      assert.deepEqual(numbers, Array.from(numbers.keys()), 'in order, and none missing');
      assert.ok(numbers.length >= (resolved[id] ?? 0), `${numbers.length} of ${resolved[id]} arrived`);
      assert.ok(client.received.subarray(-CLOSE_1001.length).equals(CLOSE_1001));
    }
    assert.deepEqual(await exit, [0, null]);
  });
});
