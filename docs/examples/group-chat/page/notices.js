import { element, listOf } from './dom.js';
import { appendNotice, isLastEntry } from './log.js';

/** As many as one line tells of; then a new one begins. */
const MOST_PEOPLE = 40;

/** The line that tells who came and went since the last message, and what each of them did. */
let line;
const moves = new Map();

/** Shows what there is to know besides messages. */
export function showNotice(text) {
  appendNotice(element('p', 'notice', text));
}

export function showArrival(name) {
  // One who comes back before anything else was said has not been missed.
  tell(name, (before) => (before === 'left' ? undefined : 'joined'));
}

export function showDeparture(name) {
  tell(name, (before) => (before === undefined ? 'left' : 'came and went'));
}

function tell(name, next) {
  if (line === undefined || !isLastEntry(line) || moves.size >= MOST_PEOPLE) {
    line = element('p', 'notice');
    moves.clear();
  }
  const move = next(moves.get(name));
  moves.delete(name);
  if (move !== undefined) moves.set(name, move);

  const sentences = [];
  for (const kind of ['joined', 'left', 'came and went']) {
    const names = [...moves.keys()].filter((one) => moves.get(one) === kind);
    if (names.length > 0) sentences.push(`${listOf(names)} ${kind}`);
  }
  line.textContent = sentences.join(' · ');
  if (sentences.length === 0) line.remove();
  else if (!line.isConnected) appendNotice(line);
}
