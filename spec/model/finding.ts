/** What an oracle says: which one, and what it saw. */
export class Finding extends Error {
  readonly oracle: string;
  /** What the world was like. */
  state = '';

  constructor(oracle: string, what: string) {
    super(`${oracle}: ${what}`);
    this.name = 'Finding';
    this.oracle = oracle;
  }
}

/** The oracles, by what they hold to. */
export const ORACLE = {
  escaped: 'nothing is thrown out',
  order: 'messages are handled once and in order',
  alone: 'messages are handled one at a time',
  content: 'what arrives is what was sent, in order',
  arrival: 'what was sent arrives, or its connection is cut',
  close: 'a Close is answered, behind all answers',
  http: 'responses come in the order of their requests, each whole',
  bytes: 'what is sent is HTTP, and then frames',
  retained: 'what is retained is within its bound',
  ends: 'every wait ends by a timeout',
  counts: 'close counts what it closed',
  told: 'each WebSocket is told one end, behind all else, and the cause of it',
  left: 'in the end nothing is left',
} as const;

/** Two texts, from where they differ. */
export function difference(one: string, other: string): string {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  const show = (text: string) => JSON.stringify(text.slice(at, at + 40));
  return `${show(one)}, not ${show(other)}, from ${at} on, of ${one.length} and ${other.length}`;
}
