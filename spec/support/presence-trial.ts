import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { FromProcess, ToProcess } from './presence-process.ts';
import { RedisServer } from './redis-server.ts';
import { TcpProxy } from './tcp-proxy.ts';

/**
 * `npm run trial:presence`: four processes over a real Redis that are killed, stopped and cut off, and a Redis that is. After
 * each fault everybody knows who is there within the bound. It takes two minutes.
 */

const PROCESS = fileURLToPath(new URL('presence-process.ts', import.meta.url));
const SEATS = 25;
/** Within this everybody knows who is there. */
const BOUND_MS = 20_000;

class Member {
  readonly child: ChildProcess;
  readonly proxy: TcpProxy;
  readonly seats = new Set<string>();
  seen: FromProcess = { members: [], leaves: 0 };
  isUp = false;

  private constructor(proxy: TcpProxy) {
    this.proxy = proxy;
    this.child = fork(PROCESS, [`${proxy.port}`], { execArgv: ['--import', 'tsx'] });
    this.child.on('message', (seen: FromProcess) => {
      this.seen = seen;
      this.isUp = true;
    });
  }

  static async start(port: number): Promise<Member> {
    return new Member(await TcpProxy.open(port));
  }

  tell(message: ToProcess): void {
    this.child.send(message);
  }

  join(key: string): void {
    this.seats.add(key);
    this.tell({ join: key });
  }

  leave(key: string): void {
    this.seats.delete(key);
    this.tell({ leave: key });
  }

  get leaves(): number {
    return this.seen.leaves;
  }
}

/** Waits until all of these know who is there; says how long that took. */
async function settled(what: string, members: readonly Member[], boundMs: number = BOUND_MS): Promise<void> {
  const wanted = [...new Set(members.flatMap(({ seats }) => [...seats]))].sort().join();
  const start = performance.now();
  while (!members.every(({ seen }) => seen.members.join() === wanted)) {
    const known = members.map(({ seen }) => seen.members.length).join(', ');
    assert.ok(performance.now() - start < boundMs, `${what}: not within ${boundMs} ms: they know of ${known}`);
    await sleep(20);
  }
  console.log(`${what}: all know after ${Math.round(performance.now() - start)} ms`);
}

/** Lets time pass in which nobody is to be told that anybody leaves. */
async function quiet(what: string, members: readonly Member[], ms: number): Promise<void> {
  const before = members.map(({ leaves }) => leaves);
  await sleep(ms);
  assert.deepEqual(
    members.map(({ leaves }) => leaves),
    before,
    what,
  );
  console.log(`${what}: nobody was told to have left`);
}

const redis = await RedisServer.start('--appendonly', 'yes');
const members = await Promise.all(Array.from({ length: 4 }, () => Member.start(redis.port)));
const [a, b, c, d] = members as [Member, Member, Member, Member];
try {
  while (!members.every(({ isUp }) => isUp)) await sleep(20);
  for (const [i, member] of members.entries()) {
    for (let seat = 0; seat < SEATS; seat++) member.join(`${i}-${seat}`);
    member.join('everywhere');
  }
  await settled('at the start', members);

  for (let seat = 0; seat < SEATS; seat++) b.leave(`1-${seat}`);
  await settled('many leave', members, 2000);

  c.child.kill('SIGSTOP');
  await quiet('SIGSTOP for 10 s', [a, b, d], 10_000);
  c.child.kill('SIGCONT');
  await quiet('SIGCONT', members, 6000);
  await settled('SIGSTOP and SIGCONT', members);

  c.child.kill('SIGSTOP');
  await sleep(20_000);
  c.child.kill('SIGCONT');
  a.join('meanwhile');
  await settled('SIGSTOP for 20 s, and SIGCONT', members);

  await redis.kill();
  await sleep(8000);
  d.join('without a broker');
  await redis.begin();
  await settled('Redis killed for 8 s', members);

  b.proxy.cut();
  await sleep(10_000);
  b.join('cut off');
  a.leave('0-0');
  b.proxy.heal();
  await settled('one cut off for 10 s', members);

  b.proxy.stall();
  await sleep(20_000);
  a.leave('0-1');
  b.proxy.heal();
  await settled('one that heard nothing for 20 s', members);

  a.child.kill('SIGKILL');
  await settled('SIGKILL', [b, c, d]);

  b.tell({ close: true });
  await settled('one closes', [c, d], 2000);
} finally {
  for (const { child, proxy } of members) {
    child.kill('SIGKILL');
    await proxy.close();
  }
  await redis.stop();
}
