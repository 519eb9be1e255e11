import { FrameEncoder } from './frame-encoder.ts';

/** How many encoders wait to be used at the most: as many as have something to send within one turn of the event loop. */
const MAX_IDLE = 256;

const idlePlain: FrameEncoder[] = [];
const idleMasking: FrameEncoder[] = [];

/**
 * Lends an encoder that is empty. A connection needs one only while it has something to send, so that one which is idle
 * holds none.
 *
 * @param masked - whether its frames are masked: a client's are (§5.3)
 */
export function borrowEncoder(masked: boolean): FrameEncoder {
  return (masked ? idleMasking : idlePlain).pop() ?? new FrameEncoder(masked);
}

/** Takes an encoder back that was emptied. */
export function returnEncoder(encoder: FrameEncoder): void {
  const idle = encoder.masked ? idleMasking : idlePlain;
  if (idle.length < MAX_IDLE) idle.push(encoder);
}
