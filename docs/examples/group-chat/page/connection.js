/** How long to wait before the first attempt to reconnect, and at most, in milliseconds. */
const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 15_000;
/** How often to ask the server whether it is there, and how long it may take to say anything. */
const PROBE_EVERY_MS = 20_000;
const PROBE_ANSWER_MS = 10_000;

/** The page has joined on another connection: this one is not wanted any more. */
const JOINED_AGAIN = 4001;

/**
 * A WebSocket that comes back. When it is lost, it tries again: soon at first, then less and less often, and each page
 * at a moment of its own, so that a server that restarts is not met by all at once.
 */
export class Connection {
  #urlOf;
  #on;
  #socket;
  #attempts = 0;
  #retryTimer;
  #probeTimer;
  #answerTimer;

  /**
   * @param urlOf - is asked for the address before each attempt
   * @param on - `message(data)`, `lost(delayMs)`, `replaced()`
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
    const socket = new WebSocket(this.#urlOf());
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onopen = () => {
      this.#probeTimer = setInterval(() => this.#probe(), PROBE_EVERY_MS);
    };
    socket.onmessage = (event) => {
      clearTimeout(this.#answerTimer);
      this.#answerTimer = undefined;
      this.#on.message(event.data);
    };
    socket.onclose = (event) => this.#lose(event.code);
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

  #lose(code) {
    clearInterval(this.#probeTimer);
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
    if (code === JOINED_AGAIN) {
      this.#on.replaced();
      return;
    }
    const longest = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempts);
    const delayMs = longest * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
    this.#on.lost(delayMs);
  }
}
