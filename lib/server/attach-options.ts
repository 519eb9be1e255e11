import { checkNames, kindOf, show } from '../wording.ts';

/** What becomes of an upgrade to a path that has no route here, where others listen for upgrades too. */
export type UnknownPaths = 'offer' | 'refuse' | 'leave';

/** How a server is attached. */
export interface AttachOptions {
  /**
   * What becomes of a path that has no route here, where the server has other `'upgrade'` listeners: `'offer'` (default)
   * leaves it to them, and refuses it with 404 when after three seconds none has touched its socket; `'refuse'` refuses
   * it at once; `'leave'` leaves it to them for good. Where there are no others it is refused at once.
   */
  readonly unknownPaths?: UnknownPaths | undefined;
}

/** What an upgrade is handed over with. */
export interface HandleUpgradeOptions {
  /** Attributes that the WebSocket has from the start, and its upgrade middleware too. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
}

const UNKNOWN_PATHS: readonly string[] = ['offer', 'refuse', 'leave'] satisfies UnknownPaths[];

/**
 * @throws {TypeError} for an option that does not exist
 * @throws {RangeError} for a value that an option cannot have
 */
export function readUnknownPaths(options: AttachOptions): UnknownPaths {
  checkNames('attach', options, ['unknownPaths']);
  const { unknownPaths = 'offer' } = options;
  if (UNKNOWN_PATHS.includes(unknownPaths)) return unknownPaths;
  throw new RangeError(`unknownPaths is ${show(unknownPaths)}: give one of ${UNKNOWN_PATHS.join(', ')}`);
}

/** A copy of the attributes. @throws {TypeError} for an option that does not exist, and for attributes that are no object */
export function readAttributes(options: HandleUpgradeOptions): Map<string, unknown> | undefined {
  checkNames('handleUpgrade', options, ['attributes']);
  const { attributes } = options;
  if (attributes === undefined) return undefined;
  if (typeof attributes === 'object' && attributes !== null) return new Map(Object.entries(attributes));
  throw new TypeError(`handleUpgrade takes attributes as an object, such as { user }, and not ${kindOf(attributes)}`);
}
