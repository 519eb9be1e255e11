import { describeCells } from './describe-cells.ts';

/** The matrix over TLS, where the connection is, or is to be, a WebSocket: how it ends is the same. */

describeCells('TLS');
