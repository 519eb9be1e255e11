import { kindOf } from '../wording.ts';
import { checkWhole } from './checks.ts';

/** Names of topics for the two ways in which hyperlane's plugin for WebSockets broadcasts. */

/** The topic of two users, whichever is named first. @throws {TypeError} unless both are strings, {RangeError} for half a character */
export function pointToPoint(a: string, b: string): string {
  const names = [checkName(a), checkName(b)].sort().map(encodeURIComponent);
  return `point/${names.join('/')}`;
}

/** The topic of a group. @throws {TypeError} unless it is a string, {RangeError} for half a character */
export function pointToGroup(group: string): string {
  return `group/${encodeURIComponent(checkName(group))}`;
}

function checkName(name: unknown): string {
  if (typeof name === 'string') return checkWhole('the name of a topic', name);
  throw new TypeError(`a topic is named by strings, and this is ${kindOf(name)}: give String(value)`);
}
