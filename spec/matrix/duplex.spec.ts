import { describeCells } from './describe-cells.ts';

/** The matrix over a stream that is no socket, where the connection is, or is to be, a WebSocket: how it ends is the same. */

describeCells('a Duplex');
