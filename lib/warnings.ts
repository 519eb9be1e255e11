/**
 * Warnings of the process about what does nothing in silence. Each is said once (that of refused upgrades once for each
 * reason), with a code that stays the same, and has a heading in docs/reference/errors.md.
 */
const WARNINGS = {
  WS_WARN_RETURNED_VALUE:
    'nobody is sent what a handler returns: use ctx.sendResponseBody(value), or have the handler return nothing',
  WS_WARN_BODY_NOT_SENT:
    'a body that was set with setResponseBody is not sent on a WebSocket, where send() and the end of the handlers send nothing: use sendResponseBody(body), or sendBody() behind it',
  WS_WARN_SEND_ARGUMENT:
    'send and sendOnce take no arguments: they send the HTTP response that was set, and do nothing on a WebSocket: use sendResponseBody(message)',
  WS_WARN_SEND_AFTER_CLOSE:
    'a message that is sent behind ctx.close() goes nowhere: send first, or have the connection closed behind the handlers with ctx.closed()',
  WS_WARN_UPGRADE_TAKEN:
    "another 'upgrade' listener of the server that this one is attached to answers a path that has a route here: leave each path to one of them",
  WS_WARN_UPGRADE_REFUSED:
    'this is said once for each reason, and server.onUpgradeRefused((request, refusal) => …) is told of all',
  WS_WARN_COOKIE_ON_WEBSOCKET:
    'setResponseCookie does nothing on a WebSocket, whose response has been sent: set the cookie in upgradeMiddleware, or over plain HTTP',
  WS_WARN_TOPIC_ENVELOPE:
    'a message that its broker carries is none of this version of the library, and is told to subscribers as a gap: run the same version in all processes, and have nobody else publish below the names of its topics',
  WS_WARN_SLOW_HOOK:
    'no message is handled before the hooks of its WebSocket have ended, and no upgrade answered before its middleware has: return and await no promise that lasts as long as the connection, but write `void ctx.getStream()?.closed.then(…)` or use onWebsocketClosed; and give what an upgrade middleware waits for a time limit',
} as const;

/** A stable identifier of a warning. */
export type WarningCode = keyof typeof WARNINGS;

export const WARNING_CODES: readonly WarningCode[] = Object.keys(WARNINGS) as WarningCode[];

const said = new Set<WarningCode>();

/** Warns of a mistake, the first time. @param what - what was seen, in front of what to do */
export function warnOnce(code: WarningCode, what?: string): void {
  if (said.has(code)) return;
  said.add(code);
  warn(code, what);
}

/** Warns, for callers that see to it themselves how often. */
export function warn(code: WarningCode, what?: string): void {
  process.emitWarning(what === undefined ? WARNINGS[code] : `${what}: ${WARNINGS[code]}`, { code });
}
