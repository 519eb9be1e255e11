/**
 * A server whose counters Prometheus can read, as text, and how long its clients take to answer.
 *
 *     node --import tsx docs/examples/metrics.ts
 */
import { subscribe } from 'node:diagnostics_channel';
import { type DiagnosticsMessages, Server } from 'hyperlane-ws';

const server = new Server({
  origins: '*',
  maxMessageBytes: 1000,
  heartbeatIntervalMs: Number(process.env.HEARTBEAT_MS ?? 30_000),
});
server.route('/websocket', (ctx) => ctx.sendResponseBody(ctx.getRequestBody()));

// #region latency
const buckets: Record<string, number> = { 10: 0, 100: 0, 1000: 0, '+Inf': 0 };
let seconds = 0;

subscribe('hyperlane-ws:ping', (message) => {
  const { latencyMs } = message as DiagnosticsMessages['hyperlane-ws:ping'];
  seconds += latencyMs / 1000;
  for (const limit in buckets) if (latencyMs <= Number(limit.replace('+Inf', 'Infinity'))) buckets[limit]!++;
});
// #endregion latency

// #region prometheus
function metric(name: string, type: 'counter' | 'gauge', values: Record<string, number>, label?: string): string {
  const samples = Object.entries(values).map(([key, value]) => `${name}${label ? `{${label}="${key}"}` : ''} ${value}`);
  return [`# TYPE ${name} ${type}`, ...samples, ''].join('\n');
}

function readMetrics(): string {
  const { open, opened, closed, refused, traffic, bufferedBytes } = server.stats();
  const { published, received, recovered, dropped, gaps } = server.topics.stats();
  const messages = { in: traffic.messagesReceived, out: traffic.messagesSent };
  const bytes = { in: traffic.bytesReceived, out: traffic.bytesSent };
  return [
    metric('websocket_open', 'gauge', { open }),
    metric('websocket_opened_total', 'counter', { opened }),
    metric('websocket_closed_total', 'counter', closed, 'cause'),
    metric('websocket_refused_total', 'counter', refused, 'reason'),
    metric('websocket_messages_total', 'counter', messages, 'direction'),
    metric('websocket_bytes_total', 'counter', bytes, 'direction'),
    metric('websocket_buffered_bytes', 'gauge', { bufferedBytes }),
    metric('topic_messages_total', 'counter', { published, received, recovered, dropped }, 'what'),
    metric('topic_gaps_total', 'counter', { gaps }),
  ].join('');
}
// #endregion prometheus

// #region route
function readLatency(): string {
  const samples = Object.entries(buckets).map(([limit, count]) => {
    const le = limit === '+Inf' ? limit : Number(limit) / 1000;
    return `websocket_latency_seconds_bucket{le="${le}"} ${count}\n`;
  });
  const totals = `websocket_latency_seconds_sum ${seconds}\nwebsocket_latency_seconds_count ${buckets['+Inf']}\n`;
  return `# TYPE websocket_latency_seconds histogram\n${samples.join('')}${totals}`;
}

server.route(
  '/metrics',
  (ctx) => {
    ctx.setResponseHeader('Content-Type', 'text/plain; version=0.0.4').setResponseBody(readMetrics() + readLatency());
  },
  { only: 'http' },
);
// #endregion route

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`server with metrics on port ${server.address()?.port}`);
