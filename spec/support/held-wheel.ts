import { TICK_MS, timerWheel } from '../../lib/net/timer-wheel.ts';

export { TICK_MS };

/** Has the wheel of this process turn by `pass` alone. To be called before anything waits in it. */
export function holdWheel(): void {
  globalThis.setInterval = (() => setTimeout(() => {}, 0)) as unknown as typeof setInterval;
}

/** Lets ticks of the wheel pass, which takes no time. */
export function pass(ticks: number): void {
  for (let i = 0; i < ticks; i++) timerWheel.turn();
}
