import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';
import { Server } from 'hyperlane-ws';
import { clusterBroker, setUpPrimary } from 'hyperlane-ws/cluster';

if (cluster.isPrimary) {
  runPrimary();
} else {
  await runWorker();
}

// #region primary
function runPrimary(): void {
  setUpPrimary();
  // For messages of 1 KiB and more, half the work of the default; for small ones the default is cheaper.
  cluster.setupPrimary({ serialization: 'advanced' });
  const workers = Number(process.env.WORKERS ?? availableParallelism());
  for (let i = 0; i < workers; i++) cluster.fork();

  let isStopping = false;
  cluster.on('exit', (worker, code, signal) => {
    if (isStopping) return;
    console.error(`worker ${worker.id} ended (${signal ?? code}): another one takes its place`);
    cluster.fork();
  });
  process.on('SIGTERM', () => {
    isStopping = true;
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
  });
}
// #endregion primary

// #region worker
async function runWorker(): Promise<void> {
  const server = new Server({ topics: { broker: clusterBroker(), historyMessages: 100 } })
    .port(Number(process.env.PORT ?? 60000))
    .onWebsocketConnected(async (ctx) => {
      await ctx.subscribe(`room/${ctx.getRouteParam('name')}`);
      await ctx.sendResponseBody(`you are with worker ${cluster.worker!.id}`);
    })
    .route('/rooms/:name', async (ctx) => {
      await ctx.publish(`room/${ctx.getRouteParam('name')}`, ctx.getRequestBody());
    });
  await server.run();
  console.log(`worker ${cluster.worker!.id} listens on port ${server.address()!.port}`);

  process.on('SIGTERM', async () => {
    await server.close({ code: 1001, timeout: 5000 });
    // A worker of node:cluster runs until it is disconnected.
    process.disconnect();
  });
}
// #endregion worker
