import { clusterBroker } from '../../lib/brokers/cluster.ts';
import type { Broker } from '../../lib/topics/broker.ts';
import { decodeBytes, encodeBytes, type FromWorker, type ToWorker } from './cluster-workers.ts';

/** A worker of its own, whose brokers `RemoteBroker` uses from the primary. */
const brokers = new Map<number, Broker>();

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(encodeBytes(message));
}

async function call({ broker: id, method, args }: ToWorker): Promise<unknown> {
  if (method !== 'open') return (brokers.get(id)![method] as (...args: unknown[]) => Promise<unknown>)(...args);
  const [settings, options] = args as [Parameters<Broker['open']>[1], Parameters<typeof clusterBroker>[0]];
  const broker = clusterBroker(options);
  brokers.set(id, broker);
  const forward =
    (event: string) =>
    (...eventArgs: unknown[]): void =>
      tell({ spec: true, broker: id, event, args: eventArgs.map(messageOf) });
  const events = { message: forward('message'), signal: forward('signal'), up: forward('up'), down: forward('down') };
  return broker.open(events, settings);
}

function messageOf(value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}

process.on('message', (message) => {
  // The broker's own messages come here, too.
  const request = decodeBytes(message) as ToWorker;
  if (!request.spec) return;
  const answer = { spec: true, broker: request.broker, call: request.call } as const;
  call(request).then(
    (result) => tell({ ...answer, result }),
    (error: Error) => tell({ ...answer, error: error.message }),
  );
});
process.on('disconnect', () => process.exit());
tell({ spec: true, isReady: true });
