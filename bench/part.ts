import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './build.ts';

/** A process, and the next message of a type from it. */
export class Part<From extends { readonly type: string }, To extends object> {
  readonly child: ChildProcess;

  readonly #core: number | undefined;

  /**
   * @param file - what it runs, in the folder of the benches
   * @param core - where it runs; `undefined` for anywhere
   */
  constructor(file: string, core: number | undefined, env: Readonly<Record<string, string>> = {}) {
    this.#core = core;
    this.child = fork(join(ROOT, 'bench', file), {
      execArgv: ['--expose-gc', '--import', 'tsx'],
      env: { ...process.env, ...env },
    });
    if (core !== undefined) this.#run('taskset', '-acp', `${core}`);
  }

  /** Has it run only while nobody else wants to. */
  giveWay(): void {
    if (this.#core !== undefined) this.#run('chrt', '-a', '-i', '-p', '0');
  }

  #run(program: string, ...args: string[]): void {
    execFileSync(program, [...args, `${this.child.pid}`], { stdio: 'ignore' });
  }

  next<T extends From['type']>(type: T): Promise<Extract<From, { type: T }>> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => reject(new Error(`${this.child.spawnfile} ended with ${code}`));
      const onMessage = (message: From): void => {
        if (message.type !== type) return;
        this.child.off('message', onMessage).off('exit', onExit);
        resolve(message as Extract<From, { type: T }>);
      };
      this.child.on('message', onMessage).on('exit', onExit);
    });
  }

  ask<T extends From['type']>(question: To, type: T): Promise<Extract<From, { type: T }>> {
    const answer = this.next(type);
    this.child.send(question);
    return answer;
  }
}
