import { show } from '../wording.ts';
import type { BrokerMessage, BrokerPage, BrokerTop } from './broker.ts';
import { formatPosition, parsePosition } from './position.ts';

/**
 * What a broker says is looked at where it comes in. Of one that is mistaken nothing is to follow but errors: an offset that
 * is no number, taken as it is, would have this process ask for ever.
 */

/** @throws {Error} unless it is the place of a topic */
export function readTop(top: BrokerTop): BrokerTop {
  const { epoch, offset } = Object(top) as BrokerTop;
  // It is to be read where somebody comes back with it.
  const isPlace = typeof epoch === 'string' && typeof offset === 'number';
  if (isPlace && parsePosition(formatPosition(epoch, offset)) !== undefined) return top;
  throw new Error(`the top of a topic is { epoch, offset }, and it says ${show(top)}`);
}

/**
 * @param after - what was asked for lies behind this offset; anything else is left out
 * @throws {Error} unless it is a page
 */
export function readPage(page: BrokerPage, after: number): BrokerPage {
  const { epoch, offset } = readTop(page);
  if (!Array.isArray(page.messages) || !page.messages.every(isMessage)) {
    throw new Error(`messages are an array of { offset, previous, data }, and it says ${show(page.messages)}`);
  }
  let last = after;
  const messages = (page.messages as BrokerMessage[]).filter((message) => {
    if (message.offset <= last) return false;
    last = message.offset;
    return true;
  });
  return { epoch, offset: messages.length > 0 ? Math.max(offset, last) : offset, messages };
}

/** Whether it is a message that has its place in an order. */
export function isMessage(message: BrokerMessage | undefined | null): boolean {
  if (message === undefined || message === null) return false;
  const { offset, previous, data } = message;
  const isPlaced = Number.isSafeInteger(offset) && Number.isSafeInteger(previous) && previous >= 0 && previous < offset;
  return isPlaced && ArrayBuffer.isView(data);
}
