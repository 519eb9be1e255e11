import { Redis } from 'ioredis';
import { redisBroker } from '../../lib/brokers/redis.ts';
import { Topics } from '../../lib/topics/topics.ts';
import type { TopicSubscription } from '../../lib/topics/topic-subscription.ts';

/** A process of `presence-trial.ts`: takes seats as it is told, and tells of each change it sees. */

export type ToProcess = { readonly join: string } | { readonly leave: string } | { readonly close: true };
export type FromProcess = { readonly members: readonly string[]; readonly leaves: number };

const TOPIC = 'room';
const client = new Redis(Number(process.argv[2]), '127.0.0.1', { retryStrategy: () => 100 });
client.on('error', () => {});
const topics = new Topics({ broker: redisBroker({ client }) });
const seats = new Map<string, Promise<TopicSubscription>>();
const presence = topics.presence(TOPIC);
let leaves = 0;

function tell(): void {
  process.send?.({ members: [...presence.members().keys()].sort(), leaves } satisfies FromProcess);
}

process.on('message', (message: ToProcess) => {
  if ('join' in message) seats.set(message.join, topics.subscribe(TOPIC, { presence: { key: message.join } }));
  else if ('leave' in message) void seats.get(message.leave)?.then((subscription) => subscription.unsubscribe());
  else void topics.close().then(() => process.exit());
});
process.on('disconnect', () => process.exit());

for await (const event of presence) {
  if (event.type === 'leave') leaves++;
  tell();
}
