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

/**
 * Tells whether a code may stand in a Close frame, in either direction: the registered ones but 1005, 1006 and 1015,
 * and 3000 to 4999 for libraries and applications. RFC 6455 §7.4.
 */
export function isWireCloseCode(code: number): boolean {
  if (code >= FIRST_LIBRARY_CODE) return code <= LAST_PRIVATE_CODE && Number.isInteger(code);
  switch (code) {
    case CloseCode.Normal:
    case CloseCode.GoingAway:
    case CloseCode.ProtocolError:
    case CloseCode.UnsupportedData:
    case CloseCode.InvalidPayload:
    case CloseCode.PolicyViolation:
    case CloseCode.MessageTooBig:
    case CloseCode.MandatoryExtension:
    case CloseCode.InternalError:
    case CloseCode.ServiceRestart:
    case CloseCode.TryAgainLater:
    case CloseCode.BadGateway:
      return true;
    default:
      return false;
  }
}
