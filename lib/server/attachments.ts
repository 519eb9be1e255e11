import type { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { InvalidStateError } from '../errors.ts';
import { surviveErrors } from '../net/transport.ts';
import { warn } from '../warnings.ts';
import { type AttachOptions, readUnknownPaths, type UnknownPaths } from './attach-options.ts';
import { type AttachableServer, checkAttachable } from './attachable.ts';
import { RequestHead } from './request-head.ts';
import { responseUnderWay } from './waiting-upgrade.ts';

/** Who answers what comes through the servers that are attached to. */
export interface AttachmentHost {
  /** Whether there is a route for a path. */
  hasRoute(rawPath: string): boolean;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** How long other listeners may take to touch a socket: more than a look into a database takes. */
const OFFER_MS = 3000;

/** The listeners of all servers of this library: several of them may be attached to one server. */
const attachments = new WeakMap<object, Attachment>();

/** The servers of somebody else that a server is attached to. */
export class Attachments {
  readonly #host: AttachmentHost;
  readonly #attached = new Map<AttachableServer, Attachment>();

  constructor(host: AttachmentHost) {
    this.#host = host;
  }

  /**
   * @throws {TypeError} for what is no server, and for an option that does not exist
   * @throws {RangeError} for a value that an option cannot have
   * @throws {InvalidStateError} WS_ERR_SERVER_STATE when it is attached already
   */
  add(server: AttachableServer | null, options: AttachOptions): void {
    checkAttachable(server);
    const unknownPaths = readUnknownPaths(options);
    if (this.#attached.has(server)) {
      throw new InvalidStateError('WS_ERR_SERVER_STATE', 'this server is attached already: call attach once');
    }
    this.#attached.set(server, new Attachment(server, this.#host, unknownPaths));
  }

  /** Listens to none of them any more. */
  clear(): void {
    for (const attachment of this.#attached.values()) attachment.end();
    this.#attached.clear();
  }
}

/** The ear at one server of somebody else. */
class Attachment {
  readonly #server: AttachableServer;
  readonly #host: AttachmentHost;
  readonly #unknownPaths: UnknownPaths;
  #warned = false;
  readonly #listener: UpgradeListener = (request, socket, head) => this.#answer(request, socket, head);

  constructor(server: AttachableServer, host: AttachmentHost, unknownPaths: UnknownPaths) {
    this.#server = server;
    this.#host = host;
    this.#unknownPaths = unknownPaths;
    attachments.set(this.#listener, this);
    server.on('upgrade', this.#listener);
  }

  end(): void {
    this.#server.off('upgrade', this.#listener);
  }

  #answer(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const listeners = this.#server.listeners('upgrade');
    if (listeners.length === 1) {
      this.#host.handleUpgrade(request, socket, head);
      return;
    }
    // Of several servers of this library one answers.
    const ours = listeners.map((listener) => attachments.get(listener)).filter((other) => other !== undefined);
    const hasOthers = ours.length < listeners.length;
    const path = new RequestHead(request, socket).rawPath;
    const known = ours.find((other) => other.#host.hasRoute(path));
    if (this !== (known ?? ours[0])) return;
    // The response to a request before has ended the connection: to end it now takes a listener longer than this.
    if (socket.writableFinished) this.#host.handleUpgrade(request, socket, head);
    else if (known === undefined) this.#answerUnknown(request, socket, head, hasOthers);
    else if (hasOthers) this.#answerBesideOthers(request, socket, head, path);
    else this.#host.handleUpgrade(request, socket, head);
  }

  /** Answers an upgrade, unless another listener has; and looks whether one does behind it. */
  #answerBesideOthers(request: IncomingMessage, socket: Duplex, head: Buffer, path: string): void {
    if (isTaken(socket)) {
      this.#warn(path);
      return;
    }
    this.#host.handleUpgrade(request, socket, head);
    const { writableEnded } = socket;
    process.nextTick(() => {
      // One reader is that of the WebSocket; and what came behind the request may have ended it.
      const isEnded = socket.writableEnded && !writableEnded && head.length === 0;
      if (isEnded || socket.listenerCount('data') > 1) this.#warn(path);
    });
  }

  #warn(path: string): void {
    if (this.#warned) return;
    this.#warned = true;
    warn('WS_WARN_UPGRADE_TAKEN', path);
  }

  /** Answers an upgrade to a path that no server of this library has a route for. @param hasOthers - who may have one */
  #answerUnknown(request: IncomingMessage, socket: Duplex, head: Buffer, hasOthers: boolean): void {
    if (hasOthers && this.#unknownPaths === 'leave') return;
    if (!hasOthers || this.#unknownPaths === 'refuse') {
      this.#host.handleUpgrade(request, socket, head);
      return;
    }
    surviveErrors(socket);
    // What leaves meanwhile may be the response to a request before.
    const before = responseUnderWay(socket) === undefined ? writtenBytes(socket) : undefined;
    // The socket keeps the process alive for as long as that matters.
    setTimeout(() => {
      const hasWritten = before !== undefined && writtenBytes(socket) !== before;
      if (!hasWritten && !isTaken(socket)) this.#host.handleUpgrade(request, socket, head);
    }, OFFER_MS).unref();
  }
}

/** Whether somebody reads a socket that node:http has let go of, or has ended it. */
function isTaken(socket: Duplex): boolean {
  return socket.readableFlowing !== null || !socket.writable;
}

function writtenBytes(socket: Duplex): number {
  return (socket as Partial<Socket>).bytesWritten ?? socket.writableLength;
}
