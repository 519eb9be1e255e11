/** Does an operation `count` times. Returns something that depends on all of them, so that none can be left out. */
export type Work = (count: number) => number | Promise<number>;

/** How a subject gets at what it measures: nothing is loaded into a process that does not need it. */
export interface Env {
  /** Loads a module of the built library, such as `codec/mask.js`. */
  lib<T>(file: string): Promise<T>;
  /** Loads a package of the peers, or a file of one, such as `ws/lib/buffer-util.js`. */
  peer<T>(name: string): T;
}

/** One way to do the work of a case. */
export interface Subject {
  readonly name: string;
  /** The package it needs, if it is not ours. */
  readonly needs?: string;
  readonly env?: Readonly<Record<string, string>>;
  prepare(env: Env): Work | Promise<Work>;
}

/** A part of the library that is measured by itself; each subject in a process of its own. */
export interface CodecCase {
  readonly name: string;
  readonly title: string;
  /** Bytes that one operation goes through; 0 where bytes are not the point. */
  readonly bytes: number;
  /** Ours first. */
  readonly subjects: readonly Subject[];
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** The sizes of payloads that cases go through. */
export const SIZES: readonly number[] = [0, 20, 125, 126, KIB, 16 * KIB, 64 * KIB, MIB];

/** A size as it stands in the name of a case, and in its title. */
export function sizeName(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB}m` : bytes >= KIB ? `${bytes / KIB}k` : String(bytes);
}

export function sizeTitle(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB} MiB` : bytes >= KIB ? `${bytes / KIB} KiB` : `${bytes} B`;
}
