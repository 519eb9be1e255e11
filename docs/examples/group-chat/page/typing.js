import { $, element, listOf } from './dom.js';

const MOST_NAMES = 3;

/** Shows who else writes. */
export function showTyping(names, myName) {
  const others = names.filter((name) => name !== myName);
  const who = others.length > MOST_NAMES ? 'Several people' : listOf(others);
  const sentence = others.length === 1 ? ' is typing…' : ' are typing…';
  $('typing').replaceChildren(...(who === '' ? [] : [element('bdi', '', who), element('span', '', sentence)]));
  $('typing').title = who;
}
