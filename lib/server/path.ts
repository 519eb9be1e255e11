/** The segments of a path, which begins with "/". */
export function segmentsOf(path: string): string[] {
  return path.slice(1).split('/');
}

/** Decodes the segment of a path; one that is no valid encoding is taken as it is. */
export function decodeSegment(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/**
 * Decodes a path by its segments, as routes do: what compares paths sees what they see. A "/" that is encoded stays so
 * (`%2F`): it ends no segment.
 */
export function decodePath(path: string): string {
  if (!path.includes('%')) return path;
  const segments = path.split('/').map((segment) => decodeSegment(segment).replaceAll('/', '%2F'));
  return segments.join('/');
}
