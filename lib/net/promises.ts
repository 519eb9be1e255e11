/** What a send returns that need not wait: no promise is made for it. */
export const RESOLVED: Promise<void> = Promise.resolve();

/** Returns a promise as it is, and sees to it that the process lives when nobody awaits it and it rejects. */
export function unwatched<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignoreRejection);
  return promise;
}

/** A rejected promise that does not end the process when nobody awaits it. */
export function rejected(error: unknown): Promise<never> {
  return unwatched(Promise.reject(error));
}

function ignoreRejection(): void {}

/** A promise, and what settles it. */
export interface Deferred<T = void> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function defer<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
