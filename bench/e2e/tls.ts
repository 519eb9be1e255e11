import type { TlsOptions } from 'node:tls';

const KEY = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const SUITE = 'PSK-AES128-GCM-SHA256';

/** TLS with a key both sides know: the records cost what they always cost, and no certificate lies in the repository. */
export const SERVER_TLS: TlsOptions = { pskCallback: () => KEY, ciphers: SUITE, maxVersion: 'TLSv1.2' };

export const CLIENT_TLS = {
  pskCallback: () => ({ psk: KEY, identity: 'bench' }),
  ciphers: SUITE,
  maxVersion: 'TLSv1.2',
  checkServerIdentity: () => undefined,
} as const;
