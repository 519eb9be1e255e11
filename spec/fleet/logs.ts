/**
 * What the subscribers of a room must have been told, by what each was told: the messages themselves, not their number.
 *
 * No log is trusted more than another. What all of them tell together is the order of the room: two that disagree about it,
 * or a message that stands in one of its epochs twice, is a fault.
 */

/** A message, as one subscriber was told of it; or that it missed something. */
export type LogEntry = { readonly position: string; readonly body: string } | { readonly gap: string };

/** What one subscriber was told, in order, over all its connections. */
export interface SubscriberLog {
  readonly name: string;
  readonly room: string;
  readonly entries: LogEntry[];
}

export interface Findings {
  readonly faults: string[];
  readonly messages: number;
  readonly deliveries: number;
  readonly gaps: number;
}

/** Epoch and offset of a position, whose form the reference fixes: `epoch.offset`. */
function parse(position: string): { epoch: string; offset: number } {
  const dot = position.lastIndexOf('.');
  return { epoch: position.slice(0, dot), offset: Number(position.slice(dot + 1)) };
}

/** Checks the logs of all rooms. @param published - what publishers were told is published, by room */
export function checkLogs(logs: readonly SubscriberLog[], published: ReadonlyMap<string, readonly string[]>): Findings {
  const faults: string[] = [];
  let messages = 0;
  let deliveries = 0;
  let gaps = 0;
  for (const room of new Set(logs.map((log) => log.room))) {
    const all = logs.filter((log) => log.room === room);
    const order = orderOf(room, all, faults);
    messages += order.size;
    for (const log of all) {
      deliveries += log.entries.filter((entry) => 'body' in entry).length;
      gaps += log.entries.filter((entry) => 'gap' in entry).length;
      checkLog(log, order, faults);
    }
    const bodies = new Set(order.values());
    const missing = (published.get(room) ?? []).filter((body) => !bodies.has(body));
    if (missing.length > 0 && gaps === 0) {
      faults.push(`${room}: ${missing.length} messages were published and reached nobody: ${missing.slice(0, 3)}`);
    }
  }
  return { faults, messages, deliveries, gaps };
}

/** What a page was told: bodies alone, and `start` where it had to begin anew. */
export interface PageLog {
  readonly name: string;
  readonly room: string;
  readonly told: readonly string[];
}

/** Checks that all of a room have all of it, from its first message to its last, once and in the same order. */
export function checkWhole(logs: readonly SubscriberLog[], pages: readonly PageLog[]): string[] {
  const faults: string[] = [];
  const lists = logs.map(({ name, room, entries }) => ({
    name,
    room,
    told: entries.map((entry) => ('body' in entry ? entry.body : 'gap')),
  }));
  for (const { name, room, told } of [...lists, ...pages.map((page) => ({ ...page, told: withoutStart(page.told) }))]) {
    const longest = lists.filter((one) => one.room === room).reduce((a, b) => (a.told.length >= b.told.length ? a : b));
    const place = longest.told.findIndex((body, i) => told[i] !== body);
    if (place >= 0)
      faults.push(`${room}: ${name} was told ${told[place]} as ${place}, and others ${longest.told[place]}`);
    else if (told.length > longest.told.length) faults.push(`${room}: ${name} was told more than others`);
  }
  return faults;
}

/** Once, it is told to begin. */
function withoutStart(told: readonly string[]): readonly string[] {
  return told[0] === 'start' ? told.slice(1) : ['no start', ...told];
}

/** The bodies of a room by position, in order. */
function orderOf(room: string, logs: readonly SubscriberLog[], faults: string[]): Map<string, string> {
  const known = new Map<string, string>();
  for (const { name, entries } of logs) {
    for (const entry of entries) {
      if (!('body' in entry)) continue;
      const other = known.get(entry.position);
      if (other !== undefined && other !== entry.body) {
        faults.push(`${room}: ${name} was told ${entry.body} at ${entry.position}, others ${other}`);
      }
      known.set(entry.position, entry.body);
    }
  }
  const places = new Map<string, string>();
  for (const [position, body] of known) {
    const other = places.get(body);
    // A broker that has lost its data has lost the ids with it: what was under way then may stand in its next life, too.
    if (other !== undefined && parse(other).epoch === parse(position).epoch)
      faults.push(`${room}: ${body} stands at ${other} and at ${position}`);
    places.set(body, position);
  }
  const sorted = [...known].sort(([a], [b]) => comparePositions(a, b));
  return new Map(sorted);
}

function comparePositions(a: string, b: string): number {
  const [one, other] = [parse(a), parse(b)];
  if (one.epoch !== other.epoch) return one.epoch < other.epoch ? -1 : 1;
  return one.offset - other.offset;
}

/** A log is a run of the order, with nothing left out, or with its gap exactly there. */
function checkLog({ name, room, entries }: SubscriberLog, order: ReadonlyMap<string, string>, faults: string[]): void {
  const positions = [...order.keys()];
  const places = new Map(positions.map((position, place) => [position, place]));
  let before: string | undefined;
  let isBehindGap = false;
  for (const entry of entries) {
    if ('gap' in entry) {
      isBehindGap = true;
      continue;
    }
    if (before !== undefined) {
      const [from, to] = [places.get(before)!, places.get(entry.position)!];
      const [a, b] = [parse(before), parse(entry.position)];
      if (a.epoch === b.epoch && to <= from) {
        faults.push(`${room}: ${name} was told ${entry.body} at ${entry.position} behind ${before}`);
      } else if (!isBehindGap && (a.epoch !== b.epoch || to !== from + 1)) {
        faults.push(`${room}: ${name} was not told what lies between ${before} and ${entry.position}, nor of a gap`);
      }
    }
    before = entry.position;
    isBehindGap = false;
  }
}
