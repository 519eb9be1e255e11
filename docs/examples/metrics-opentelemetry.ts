/**
 * A server that gives its counters to OpenTelemetry. Here they are printed when it is stopped; the exporter decides where
 * they go.
 *
 *     node --import tsx docs/examples/metrics-opentelemetry.ts
 */
import { subscribe } from 'node:diagnostics_channel';
import { metrics } from '@opentelemetry/api';
import { ConsoleMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { type DiagnosticsMessages, Server } from 'hyperlane-ws';

const reader = new PeriodicExportingMetricReader({ exporter: new ConsoleMetricExporter() });
const provider = new MeterProvider({ readers: [reader] });
metrics.setGlobalMeterProvider(provider);

const server = new Server({ origins: '*' });
server.route('/websocket', async (ctx) => {
  await ctx.getStream()?.ping();
  await ctx.sendResponseBody(ctx.getRequestBody());
});

// #region meter
const meter = metrics.getMeter('hyperlane-ws');
const open = meter.createObservableUpDownCounter('websocket.open');
const closed = meter.createObservableCounter('websocket.closed');
const messages = meter.createObservableCounter('websocket.messages');
const buffered = meter.createObservableGauge('websocket.buffered', { unit: 'By' });

meter.addBatchObservableCallback(
  (result) => {
    const stats = server.stats();
    result.observe(open, stats.open);
    for (const [cause, count] of Object.entries(stats.closed)) result.observe(closed, count, { cause });
    result.observe(messages, stats.traffic.messagesReceived, { direction: 'in' });
    result.observe(messages, stats.traffic.messagesSent, { direction: 'out' });
    result.observe(buffered, stats.bufferedBytes);
  },
  [open, closed, messages, buffered],
);

const latency = meter.createHistogram('websocket.latency', { unit: 'ms' });
subscribe('hyperlane-ws:ping', (message) => {
  const { connection, latencyMs } = message as DiagnosticsMessages['hyperlane-ws:ping'];
  latency.record(latencyMs, { route: connection.route });
});
// #endregion meter

process.once('SIGTERM', async () => {
  await server.close();
  await provider.shutdown();
});

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`server with OpenTelemetry on port ${server.address()?.port}`);
