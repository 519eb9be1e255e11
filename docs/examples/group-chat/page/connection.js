/** How long to wait before the first attempt to reconnect, and at most, in milliseconds. */
const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 15_000;
/** How often to ask the server whether it is there, and how long it may take to say anything. */
const PROBE_EVERY_MS = 20_000;
const PROBE_ANSWER_MS = 10_000;

const LINE_FEED = 10;

/**
 * A WebSocket that comes back, and misses nothing, or is told that it has. When it is lost, it tries again: soon at first,
 * then less and less often, and each page at a moment of its own, so that a server that restarts is not met by all at once.
 * With the subprotocol, each message of the room comes with its position; it comes back with the last one.
 */
export class Connection {
  #urlOf;
  #on;
  #socket;
  #position;
  #attempts = 0;
  #retryTimer;
  #probeTimer;
  #answerTimer;

  /**
   * @param urlOf - is asked for the address before each attempt; gets the position to go on from, if there is one
   * @param on - `message(body)`, `gap()`: messages are missing here, `lost()`
   */
  constructor(urlOf, on) {
    this.#urlOf = urlOf;
    this.#on = on;
    addEventListener('online', () => this.check());
    document.addEventListener('visibilitychange', () => document.hidden || this.check());
    this.#connect();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Sends text or bytes; returns false, and sends nothing, while there is no connection. */
  send(data) {
    if (!this.isOpen) return false;
    this.#socket.send(data);
    return true;
  }

  /** The server has let us in: the next loss is a new one. */
  confirm() {
    this.#attempts = 0;
  }

  /** Connects now if it was waiting to; else makes sure that the server is still there. */
  check() {
    if (this.#retryTimer !== undefined) this.#connect();
    else if (this.isOpen) this.#probe();
  }

  #connect() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const socket = new WebSocket(this.#urlOf(this.#position), 'positions.hyperlane');
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onopen = () => {
      this.#probeTimer = setInterval(() => this.#probe(), PROBE_EVERY_MS);
    };
    socket.onmessage = (event) => {
      clearTimeout(this.#answerTimer);
      this.#answerTimer = undefined;
      this.#receive(event.data);
    };
    socket.onclose = () => this.#lose();
  }

  /** In front of the first line feed is a position, or nothing where it is no message of the room. */
  #receive(data) {
    const all = typeof data === 'string' ? data : new Uint8Array(data);
    const end = all.indexOf(typeof all === 'string' ? '\n' : LINE_FEED);
    const head = typeof all === 'string' ? all.slice(0, end) : String.fromCharCode(...all.subarray(0, end));
    if (head !== '') this.#position = head.replace(/^[=!]/, '');
    if (head[0] === '!') this.#on.gap();
    else if (head[0] !== '=') this.#on.message(all.slice(end + 1));
  }

  /** A network that is gone says nothing, not even goodbye. */
  #probe() {
    this.send(JSON.stringify({ type: 'ping' }));
    this.#answerTimer ??= setTimeout(() => {
      const socket = this.#socket;
      socket.onmessage = null;
      socket.onclose = null;
      socket.close();
      this.#lose();
    }, PROBE_ANSWER_MS);
  }

  #lose() {
    clearInterval(this.#probeTimer);
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
    const longest = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempts);
    const delayMs = longest * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
    this.#on.lost();
  }
}
