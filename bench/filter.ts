import { CODEC_CASES } from './cases/all.ts';
import { END_TO_END } from './e2e/cases.ts';

const NAMES: readonly string[] = [...END_TO_END, ...CODEC_CASES].map(({ name }) => name);

/** Makes what tells whether a case is asked for: by its name, by a part of it that is no name itself, or by nothing at all. */
export function makeFilter(filters: readonly string[]): (name: string) => boolean {
  if (filters.length === 0) return () => true;
  return (name) => filters.some((part) => (NAMES.includes(part) ? name === part : name.includes(part)));
}
