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

  stop(): { readonly p50: number; readonly p99: number; readonly max: number } {
    this.#monitor.disable();
    const late = (nanos: number): number => Math.max(0, nanos / 1e6 - RESOLUTION_MS);
    return {
      p50: late(this.#monitor.percentile(50)),
      p99: late(this.#monitor.percentile(99)),
      max: late(this.#monitor.max),
    };
  }
}
