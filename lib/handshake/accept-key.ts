import { hash } from 'node:crypto';

/** Appended to the client's key before hashing. RFC 6455 §1.3. */
const KEY_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Sixteen bytes in base64 are 22 characters and two of padding. */
const KEY_LENGTH = 24;
const CHAR_EQUALS = 0x3d;

/** Computes Sec-WebSocket-Accept from Sec-WebSocket-Key. RFC 6455 §4.2.2, step 5. */
export function acceptKey(key: string): string {
  return hash('sha1', key + KEY_GUID, 'base64');
}

/** Tells whether a Sec-WebSocket-Key is sixteen bytes in base64. RFC 6455 §4.2.1, item 5. */
export function isValidKey(key: string): boolean {
  if (key.length !== KEY_LENGTH) return false;
  for (let i = 0; i < KEY_LENGTH - 2; i++) {
    if (!isBase64(key.charCodeAt(i))) return false;
  }
  return key.charCodeAt(KEY_LENGTH - 2) === CHAR_EQUALS && key.charCodeAt(KEY_LENGTH - 1) === CHAR_EQUALS;
}

function isBase64(char: number): boolean {
  return (
    (char >= 0x30 && char <= 0x39) || // 0-9
    (char >= 0x41 && char <= 0x5a) || // A-Z
    (char >= 0x61 && char <= 0x7a) || // a-z
    char === 0x2b || // +
    char === 0x2f // /
  );
}
