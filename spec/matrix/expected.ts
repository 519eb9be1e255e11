import { readPage } from '../docs/markdown.ts';

/** The page that says how each cell ends: the one place where that is written. */
export const PAGE = 'docs/reference/endings.md';

export interface Expectations {
  /** The names in the list of states, and in that of events. */
  readonly states: readonly string[];
  readonly events: readonly string[];
  /** The letters of the reasons for which a cell makes no sense. */
  readonly reasons: readonly string[];
  /** What stands in the cells: state, event, ending. */
  readonly cells: readonly (readonly [state: string, event: string, ending: string])[];
}

/** Reads the tables of the page. Those of cells have no text above the states. */
export function readExpectations(): Expectations {
  const { lines } = readPage(PAGE);
  const lists = new Map<string, string[]>([
    ['state', []],
    ['event', []],
  ]);
  const cells: [string, string, string][] = [];
  let header: string[] | undefined;
  for (const line of lines) {
    if (!line.startsWith('|')) {
      header = undefined;
      continue;
    }
    const row = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
    if (header === undefined) header = row;
    else if (!row[0]!.startsWith('---')) {
      lists.get(header[0]!)?.push(row[0]!);
      if (header[0] !== '') continue;
      for (let i = 1; i < row.length; i++) cells.push([row[0]!, header[i]!, row[i]!]);
    }
  }
  const reasons = lines.flatMap((line) => /^- \*\*(\w)\*\*: /.exec(line)?.[1] ?? []);
  return { states: lists.get('state')!, events: lists.get('event')!, reasons, cells };
}

/** The letter of a cell that makes no sense, else `undefined`. */
export function reasonOf(ending: string): string | undefined {
  return /^– (\w)$/.exec(ending)?.[1];
}

/** Whether a connection ended as expected: `*` stands for any number. */
export function isAsExpected(ending: string, expected: string): boolean {
  const [actualWords, expectedWords] = [withCounts(ending), withCounts(expected)];
  if (actualWords.length !== expectedWords.length) return false;
  return expectedWords.every((word, i) => word === actualWords[i] || (word === '*' && /^\d+$/.test(actualWords[i]!)));
}

/** The words of an ending, of which the first two are how many messages were handled, and how many answers arrived. */
function withCounts(ending: string): string[] {
  const counts = /(?<= |^)([\d*]+)\/([\d*]+)/.exec(ending);
  const [, handled = '0', answered = '0'] = counts ?? [];
  const words = ending.replace(counts?.[0] ?? '', '').split(' ');
  return [handled, answered, ...words.filter((word) => word !== '')];
}
