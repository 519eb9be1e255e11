/** The times of the server, and those of node:http, in virtual milliseconds. */

export const HEARTBEAT_MS = 1000;
export const CLOSE_TIMEOUT_MS = 700;
export const HANDSHAKE_TIMEOUT_MS = 3000;
/** How often node:http looks for heads that take too long. */
export const CHECK_MS = 1000;
/** How long a plain connection may be idle: the default of node:http. */
export const KEEP_ALIVE_MS = 5000;
/** How long a refused client may take to leave. */
export const LINGER_MS = 2000;
