import { GapError } from '../errors.ts';
import { formatPosition, type Place, type Position, parsePosition } from './position.ts';
import { TopicMessage, type TopicPage } from './topic-entry.ts';

/** Messages that are kept. */
export interface HistoryPage {
  /** The oldest first. */
  readonly messages: readonly TopicMessage[];
  /** Behind the last of them: what to go on from, here or with `subscribe`. */
  readonly position: Position;
  /** Where messages are missing, in front of these or between them; `undefined` if none are. Only behind an `after`. */
  readonly gap: GapError | undefined;
}

/**
 * Reads what is kept of a topic, page by page: the oldest messages behind a position; or, without one, the newest.
 *
 * @param read - reads a page behind an offset
 */
export async function readHistory(
  topic: string,
  after: string | undefined,
  limit: number,
  read: (offset: number) => Promise<TopicPage>,
): Promise<HistoryPage> {
  const asked = after === undefined ? undefined : (parsePosition(after) ?? { epoch: '', offset: 0 });
  let page = await read(asked?.offset ?? 0);
  const { epoch } = page;
  const isUnknown = asked !== undefined && (asked.epoch !== epoch || page.offset < asked.offset);
  if (isUnknown) page = await read(0);
  // Where the last entry was; before the first one, where that has to begin.
  let place: Place =
    isUnknown || asked === undefined ? { epoch, offset: page.entries[0]?.previous ?? page.offset } : asked;
  let gap: GapError | undefined;
  if (isUnknown) gap = new GapError(topic, 'epoch', formatPosition(epoch, place.offset), Number.NaN);
  const messages: TopicMessage[] = [];
  const isWhole = (): boolean => asked !== undefined && messages.length >= limit;
  while (page.epoch === epoch && page.entries.length > 0 && !isWhole()) {
    for (const entry of page.entries) {
      if (isWhole()) break;
      if (entry.previous > place.offset) {
        gap ??= new GapError(topic, 'history', formatPosition(epoch, entry.previous), Number.NaN);
      }
      if (entry instanceof TopicMessage) messages.push(entry);
      else gap ??= entry.error;
      place = { epoch, offset: entry.offset };
    }
    if (messages.length > limit) messages.splice(0, messages.length - limit);
    if (place.offset >= page.offset) break;
    page = await read(place.offset);
  }
  if (page.epoch === epoch && page.entries.length === 0 && page.offset > place.offset) {
    // Nothing is kept any more of what was published since.
    gap ??= new GapError(topic, 'history', formatPosition(epoch, page.offset), Number.NaN);
    place = { epoch, offset: page.offset };
  }
  return { messages, position: formatPosition(epoch, place.offset), gap: asked === undefined ? undefined : gap };
}
