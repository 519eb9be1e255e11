/**
 * Repairs that are taken out again, one at a time: the model must find what each of them repaired. `npm run model -- --mutants`
 * tries it, and docs/explanation/model.md has the outcome.
 */

/** A text in a file of lib/ that stands there once, and what is put in its place. */
interface Edit {
  readonly file: string;
  readonly search: string;
  readonly replace: string;
}

export interface Mutant {
  /** What goes wrong. */
  readonly row: string;
  /** What is taken out. */
  readonly what: string;
  readonly edits: readonly Edit[];
}

export const MUTANTS: readonly Mutant[] = [
  {
    row: "a peer's Close, while messages to it are being compressed, ends the process at the next heartbeat",
    what: 'the heartbeat goes on until the Close is answered',
    edits: [
      {
        file: 'net/connection.ts',
        search: 'this.#finish();\n    this.#liveness.startClosing();\n    this.#liveness.endPings();',
        replace: 'this.#finish();',
      },
      {
        file: 'net/connection.ts',
        search: '    this.#liveness.extendClosing();\n    // §7.1.1',
        replace: '    this.#liveness.startClosing();\n    // §7.1.1',
      },
    ],
  },
  {
    row: 'a pause behind messages that came with the head has no effect: what comes is held without a bound',
    what: 'the socket is resumed before the head is told, and reads on, whoever starts it',
    edits: [
      { file: 'net/transport.ts', search: 'if (transport.isPaused) return false;', replace: '' },
      { file: 'net/transport.ts', search: 'if (!this.#paused) socket.resume();', replace: '' },
      {
        file: 'net/transport.ts',
        search: 'socket.pause();\n    const early = readAll(socket);',
        replace: 'const early: Buffer[] = [];',
      },
      {
        file: 'net/transport.ts',
        search: "socket.on('close', onClose);",
        replace: "socket.on('close', onClose);\n    socket.resume();",
      },
    ],
  },
  {
    row: 'bytes are read out of order where an upgrade middleware takes time',
    what: 'the socket is read in place before what was read before is told',
    edits: [
      {
        file: 'net/transport.ts',
        search: 'socket.pause();\n    const early = readAll(socket);',
        replace: 'const early: Buffer[] = [];',
      },
    ],
  },
  {
    row: 'two handlers run at once, when the first message comes with the upgrade request',
    what: "the handlers of the head's messages are taken for hooks",
    edits: [
      { file: 'server/websocket-session.ts', search: 'if (!hasOpening) return;', replace: 'if (!this.#busy) return;' },
    ],
  },
  {
    row: 'an upgrade behind a streamed response stops that response, and stays for ever',
    what: 'nobody reads, times or drains a socket whose upgrade waits',
    edits: [
      {
        file: 'server/waiting-upgrade.ts',
        search: 'for (const [event, listener] of this.#listeners) socket.on(event, listener);',
        replace: "socket.on('close', this.#listeners[3]![1]);",
      },
      {
        file: 'server/waiting-upgrade.ts',
        search: 'setTimeout(() => this.refuseFor(tooLong()), timeoutMs)',
        replace: 'setTimeout(() => {}, 0)',
      },
    ],
  },
  {
    row: 'all requests of a connection are begun at once, however many',
    what: 'none has to wait',
    edits: [
      {
        file: 'server/http-connection.ts',
        search: 'return this.#requests.size >= this.#options.maxPipelinedRequests || this.#waiting.size > 0;',
        replace: 'return false;',
      },
      {
        file: 'server/http-connection.ts',
        search: 'if (this.#requests.size >= this.#options.maxPipelinedRequests) this.destroy();',
        replace: '',
      },
    ],
  },
  {
    row: 'each response of a connection may hold as much as all of them together',
    what: 'each is counted alone',
    edits: [
      {
        file: 'server/http-exchange.ts',
        search: 'this.#connection.unsentBytes > maxBackpressureBytes',
        replace: 'this.#response.writableLength > maxBackpressureBytes',
      },
    ],
  },
  {
    row: 'a peer that floods and never reads stays for ever',
    what: 'of a peer that is made to wait nothing is asked',
    edits: [
      {
        file: 'net/liveness.ts',
        search: 'if (fault !== undefined) {',
        replace: 'if (fault !== undefined && !this.#host.isPaused) {',
      },
    ],
  },
  {
    row: 'a client of plain HTTP that does not read stays for ever',
    what: 'nobody looks whether it reads',
    edits: [
      {
        file: 'server/http-connection.ts',
        search: 'if (heartbeatIntervalMs > 0) timerWheel.schedule',
        replace: 'if (heartbeatIntervalMs < 0) timerWheel.schedule',
      },
    ],
  },
  {
    row: 'the 101 overtakes the responses before it, which then lie among the frames',
    what: 'an upgrade does not wait',
    edits: [
      {
        file: 'server/upgrades.ts',
        search: 'const response = responseUnderWay(socket);',
        replace: 'const response = undefined as ServerResponse | undefined;',
      },
    ],
  },
  {
    row: 'Close and then FIN, while messages are being compressed: they are lost, and no Close is sent',
    what: "the peer's end is the end",
    edits: [
      {
        file: 'net/connection.ts',
        search: 'this.#protocol.receiveHalfEnd();\n    this.#endReceiving();',
        replace:
          'this.#outbox.flushOutput();\n    this.#protocol.receiveEnd();\n    this.#endReceiving();\n    this.#transport.end();',
      },
    ],
  },
  {
    row: 'attach() while close() waits: those who come then are cut, and counted below 0',
    what: 'who comes later counts',
    edits: [
      {
        file: 'server/roster.ts',
        search: 'this.#members.add(member);',
        replace: 'this.#members.add(member);\n    for (const roll of this.#rolls) roll.present.add(member);',
      },
    ],
  },
  {
    row: 'the handshake timeout counts twice, at the door and behind it',
    what: 'it begins again',
    edits: [
      {
        file: 'server/http-connection.ts',
        search: 'timerWheel.schedule(this, headMs);',
        replace: 'timerWheel.schedule(this, options.handshakeTimeoutMs);',
      },
    ],
  },
  {
    row: 'a refusal with 204, 205 or 304 sends content',
    what: 'it is a status as any other',
    edits: [
      {
        file: 'handshake/response.ts',
        search: 'return status === RESET_CONTENT || WITHOUT_CONTENT.has(status);',
        replace: 'return status === 0;',
      },
      { file: 'handshake/response.ts', search: 'return !WITHOUT_CONTENT.has(status);', replace: 'return status > 0;' },
    ],
  },
  {
    row: 'a buffer that the application transfers ends the process',
    what: 'nobody looks whether it is still there',
    edits: [
      { file: 'protocol/send-queue.ts', search: 'if (data.length !== length) {', replace: 'if (length < 0) {' },
      {
        file: 'codec/frame-encoder.ts',
        search: 'return this.#chunks.length === 0 || totalBytes',
        replace: 'return this.#chunks.length >= 0 || totalBytes',
      },
    ],
  },
  {
    row: 'flush() in a handler over a stream that delivers while it is written to: messages overtake each other',
    what: 'what comes in the midst of a read is read at once',
    edits: [
      {
        file: 'net/connection.ts',
        search: 'if (this.#receiving || this.hasUnread) {',
        replace: 'if (this.hasUnread) {',
      },
    ],
  },
  {
    row: 'a response has both Transfer-Encoding and Content-Length',
    what: 'a handler may set either',
    edits: [
      {
        file: 'server/http-exchange.ts',
        search: "if (key === 'transfer-encoding' || (key",
        replace: 'if ((key',
      },
    ],
  },
  {
    row: 'messages that came before a Close are handled, and their answers refused',
    what: 'a Close is answered at once',
    edits: [
      {
        file: 'net/connection.ts',
        search: 'const isAnsweredLater = this.#owner?.isHandling ?? false;',
        replace: 'const isAnsweredLater = false;',
      },
    ],
  },
];
