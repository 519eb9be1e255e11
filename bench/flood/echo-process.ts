/** The peer that is well-behaved: sends a message, waits for it to come back, and so on; and measures how long that takes. */
import { Histogram } from '../e2e/histogram.ts';
import { messageFrame, Peer } from '../soak/peer.ts';
import type { FromEcho, ToEcho } from './messages.ts';

/** Between an answer and the next message. Without a pause it would be a flood itself. */
const PAUSE_MS = 1;

const tell = (message: FromEcho): void => void process.send?.(message);
const peer = await Peer.open(Number(process.env.PORT), '/echo');
const latency = new Histogram();

process.once('disconnect', () => process.exit(0));
process.on('message', async ({ ms }: ToEcho) => {
  latency.reset();
  const end = performance.now() + ms;
  let count = 0;
  while (performance.now() < end) {
    const text = `message ${count++}`;
    const from = performance.now();
    peer.socket.write(messageFrame(text));
    const answer = await peer.readMessage();
    if (answer !== text) throw new Error(`${text} was to come back, and came ${String(answer)}`);
    latency.add(performance.now() - from, 1);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  tell({ type: 'measured', p50Micros: latency.percentile(0.5), p99Micros: latency.percentile(0.99), count });
});
tell({ type: 'open' });
