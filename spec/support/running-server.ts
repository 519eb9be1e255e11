import type { ServerOptions } from '../../lib/server/options.ts';
import { Server } from '../../lib/server/server.ts';
import { onCleanUp } from './clean-up.ts';

/** Runs a server on a free port of this machine until the end of the test, and returns the port. */
export async function run(server: Server): Promise<number> {
  if (server.address() === undefined) await server.port(0).run();
  onCleanUp(() => server.close({ timeout: 0 }));
  return server.address()!.port;
}

/** A server for this machine alone, which warns of nothing that it refuses, and the errors that its handlers threw. */
export function makeServer(options: ServerOptions = {}): { server: Server; errors: unknown[] } {
  const errors: unknown[] = [];
  const server = new Server({ host: '127.0.0.1', ...options })
    .errorHandle((error) => {
      errors.push(error);
    })
    .onUpgradeRefused(() => {});
  return { server, errors };
}
