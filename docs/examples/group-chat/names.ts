/** What is told of somebody who is in a room, to all processes. */
export interface Member {
  readonly name: string;
  /** When they came: a time of the day, in milliseconds. */
  readonly since: number;
  /** Since when they have been writing. */
  readonly typingSince?: number | undefined;
}

/** Who is in a room, by key. */
export type Members = ReadonlyMap<string, Member>;

/** The name that is wanted, or one like it if somebody else has that. */
export function freeName(members: Members, ownKey: string, wanted: string): string {
  const taken = new Set<string>();
  for (const [key, { name }] of members) if (key !== ownKey) taken.add(fold(name));
  let name = wanted;
  for (let i = 2; taken.has(fold(name)); i++) name = `${wanted} ${i}`;
  return name;
}

/**
 * Those who are to take another name. Two who come at the same time, to two processes, may have taken the same one: who came
 * first keeps it. All processes decide alike, and each renames its own.
 */
export function findNamesakes(members: Members): Set<string> {
  const namesakes = new Set<string>();
  const taken = new Set<string>();
  for (const [key, { name }] of inOrder(members)) {
    if (taken.has(fold(name))) namesakes.add(key);
    taken.add(fold(name));
  }
  return namesakes;
}

/** The names of those who are here, in the order they came. */
export function namesOf(members: Members): string[] {
  return inOrder(members).map(([, { name }]) => name);
}

/** The names of those who write, the longest first. */
export function writersOf(members: Members): string[] {
  return [...members.values()]
    .filter(({ typingSince }) => typingSince !== undefined)
    .sort((a, b) => a.typingSince! - b.typingSince!)
    .map(({ name }) => name);
}

function inOrder(members: Members): [string, Member][] {
  return [...members].sort(([a, { since }], [b, other]) => since - other.since || (a < b ? -1 : 1));
}

/** The form in which two names count as the same. */
function fold(name: string): string {
  return name.normalize('NFKC').toLowerCase();
}
