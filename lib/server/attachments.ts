import type { Buffer } from 'node:buffer';
import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { InvalidStateError } from '../errors.ts';
import { RequestHead } from './request-head.ts';

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Who answers what comes through the servers that are attached to. */
export interface AttachmentHost {
  /** Whether there is a route for a path. */
  hasRoute(rawPath: string): boolean;
  handleUpgrade: UpgradeListener;
}

/** The servers of somebody else that a server is attached to. */
export class Attachments {
  readonly #host: AttachmentHost;
  readonly #listeners = new Map<HttpServer, UpgradeListener>();

  constructor(host: AttachmentHost) {
    this.#host = host;
  }

  /** @throws {TypeError} for what is no server, {InvalidStateError} WS_ERR_SERVER_STATE when it is attached already */
  add(server: HttpServer): void {
    if (typeof server?.on !== 'function') {
      throw new TypeError('attach takes a server of node:http or node:https: for Express, what app.listen() returned');
    }
    if (this.#listeners.has(server)) {
      throw new InvalidStateError('WS_ERR_SERVER_STATE', 'this server is attached already: call attach once');
    }
    const listener: UpgradeListener = (request, socket, head) => {
      const path = new RequestHead(request, socket).rawPath;
      if (server.listenerCount('upgrade') > 1 && !this.#host.hasRoute(path)) return;
      this.#host.handleUpgrade(request, socket, head);
    };
    this.#listeners.set(server, listener);
    server.on('upgrade', listener);
  }

  /** Listens to none of them any more. */
  clear(): void {
    for (const [server, listener] of this.#listeners) server.off('upgrade', listener);
    this.#listeners.clear();
  }
}
