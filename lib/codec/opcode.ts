/** Frame opcodes, RFC 6455 §5.2 and §11.8. */
export const OpCode = {
  Continuation: 0x0,
  Text: 0x1,
  Binary: 0x2,
  Close: 0x8,
  Ping: 0x9,
  Pong: 0xa,
} as const;

export type OpCode = (typeof OpCode)[keyof typeof OpCode];

/** The bits of a frame's first byte around the opcode, §5.2. */
export const FIN = 0x80;
export const RSV1 = 0x40;
export const RSV2_RSV3 = 0x30;
export const OPCODE_BITS = 0x0f;
/** Set in the opcode of every control frame, §5.5. */
export const CONTROL_BIT = 0x08;
/** The bit of a frame's second byte that tells that a masking key follows, §5.2. */
export const MASK_BIT = 0x80;
/** The longest payload of a control frame in bytes, §5.5. */
export const MAX_CONTROL_PAYLOAD_BYTES = 125;
