import { monitorEventLoopDelay } from 'node:perf_hooks';

/** What the monitor waits for each time; it is part of what it measures. */
const RESOLUTION_MS = 10;

/** How late the event loop of this process is, in milliseconds. */
export class Lag {
  readonly #monitor: ReturnType<typeof monitorEventLoopDelay> = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  start(): void {
    this.#monitor.reset();
    this.#monitor.enable();
  }

  /** What is said with a violation: on a machine that stands still, what is late is no fault of the library. */
  toString(): string {
    return `(its event loop was late by up to ${Math.round(this.#late(this.#monitor.max))} ms)`;
  }

  stop(): { readonly p50: number; readonly p99: number; readonly max: number } {
    this.#monitor.disable();
    return {
      p50: this.#late(this.#monitor.percentile(50)),
      p99: this.#late(this.#monitor.percentile(99)),
      max: this.#late(this.#monitor.max),
    };
  }

  #late(nanos: number): number {
    return Math.max(0, nanos / 1e6 - RESOLUTION_MS);
  }
}
