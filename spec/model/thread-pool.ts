import { createInflateRaw } from 'node:zlib';

/**
 * The thread pool of zlib, whose tasks end when they are told to. Each is done by the handle's own synchronous call when
 * it is released, not before: what is changed meanwhile is found in the result, as it may be in a thread.
 */

interface Handle {
  onerror: (...args: unknown[]) => void;
  init(...args: unknown[]): unknown;
  write(...args: unknown[]): void;
  writeSync(...args: unknown[]): void;
  close(): void;
}

interface Task {
  readonly handle: Handle;
  readonly args: unknown[];
  isClosed: boolean;
}

const kDone = Symbol('done');

const tasks: Task[] = [];
const prototype = findPrototype();
const { init, write, close } = prototype;

function findPrototype(): Handle {
  const stream = createInflateRaw();
  const handle = (stream as unknown as { _handle: object })._handle;
  const found = Object.getPrototypeOf(handle) as Handle;
  stream.close();
  return found;
}

/** Has tasks wait from now on. */
export function holdTasks(): void {
  prototype.init = function (this: Handle & { [kDone]?: unknown }, ...args) {
    this[kDone] = args.find((arg) => typeof arg === 'function');
    return init.apply(this, args);
  };
  prototype.write = function (this: Handle, ...args) {
    tasks.push({ handle: this, args, isClosed: false });
  };
  // What is closed under a task is closed when that is done.
  prototype.close = function (this: Handle) {
    const task = tasks.find(({ handle }) => handle === this);
    if (task === undefined) close.call(this);
    else task.isClosed = true;
  };
}

/** Gives the thread pool back; no task may wait. */
export function letTasksRun(): void {
  Object.assign(prototype, { init, write, close });
}

export function waitingTasks(): number {
  return tasks.length;
}

/** Ends the task that was begun so many before the latest. */
export function releaseTask(index: number): void {
  const [task] = tasks.splice(index, 1);
  if (task === undefined) return;
  const { handle, args } = task;
  let failed = false;
  const { onerror } = handle;
  handle.onerror = (...error) => {
    failed = true;
    onerror.apply(handle, error);
  };
  handle.writeSync(...args);
  handle.onerror = onerror;
  if (!failed) (handle as unknown as { [kDone]: () => void })[kDone].call(handle);
  if (task.isClosed) close.call(handle);
}
