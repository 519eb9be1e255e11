/** Close codes by name, RFC 6455 §7.4.1 and the IANA registry of §11.7. */
export const CloseCode = {
  Normal: 1000,
  GoingAway: 1001,
  ProtocolError: 1002,
  UnsupportedData: 1003,
  /** Never sent: says that a Close frame carried no code. */
  NoStatus: 1005,
  /** Never sent: says that there was no Close frame. */
  Abnormal: 1006,
  InvalidPayload: 1007,
  PolicyViolation: 1008,
  MessageTooBig: 1009,
  MandatoryExtension: 1010,
  InternalError: 1011,
  ServiceRestart: 1012,
  TryAgainLater: 1013,
  BadGateway: 1014,
  /** Never sent: says that a TLS handshake failed. */
  TlsHandshake: 1015,
} as const;

export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

const FIRST_LIBRARY_CODE = 3000;
const LAST_PRIVATE_CODE = 4999;

/** The registered codes that may stand in a Close frame, and whether they are for applications, or for the protocol to send. */
const WIRE_CODES: ReadonlyMap<number, 'application' | 'protocol'> = new Map([
  [CloseCode.Normal, 'application'],
  [CloseCode.GoingAway, 'application'],
  [CloseCode.ProtocolError, 'protocol'],
  [CloseCode.UnsupportedData, 'protocol'],
  [CloseCode.InvalidPayload, 'protocol'],
  [CloseCode.PolicyViolation, 'application'],
  [CloseCode.MessageTooBig, 'protocol'],
  [CloseCode.MandatoryExtension, 'protocol'],
  [CloseCode.InternalError, 'application'],
  [CloseCode.ServiceRestart, 'application'],
  [CloseCode.TryAgainLater, 'application'],
  [CloseCode.BadGateway, 'application'],
]);

/**
 * Tells whether a code may stand in a Close frame, in either direction: the registered ones but 1005, 1006 and 1015,
 * and 3000 to 4999 for libraries and applications. RFC 6455 §7.4.
 */
export function isWireCloseCode(code: number): boolean {
  if (code >= FIRST_LIBRARY_CODE) return code <= LAST_PRIVATE_CODE && Number.isInteger(code);
  return WIRE_CODES.has(code);
}

/** Names the codes that an application would use, in a sentence. */
export function listApplicationCodes(): string {
  const runs: number[][] = [];
  for (const [code, use] of WIRE_CODES) {
    if (use !== 'application') continue;
    if (runs.at(-1)?.at(-1) === code - 1) runs.at(-1)!.push(code);
    else runs.push([code]);
  }
  const parts = runs.map((run) => (run.length < 3 ? run.join(', ') : `${run[0]} to ${run.at(-1)}`));
  return `${parts.join(', ')}, or ${FIRST_LIBRARY_CODE} to ${LAST_PRIVATE_CODE}`;
}
