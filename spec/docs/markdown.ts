import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A block of code in a page. */
export interface Fence {
  /** The line that it begins on, from 1. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** What the comment above it names: `docs/examples/file.ts` or `docs/examples/file.ts#region`. */
  readonly example: string | undefined;
}

export interface Heading {
  readonly level: number;
  readonly text: string;
}

/** A page of the documentation, without what stands in its blocks of code. */
export interface Page {
  /** From the root of the repository. */
  readonly path: string;
  readonly lines: readonly string[];
  readonly headings: readonly Heading[];
  readonly fences: readonly Fence[];
}

/** All pages: README.md, CHANGELOG.md, CONTRIBUTING.md, SECURITY.md and what is in docs. */
export function listPages(): string[] {
  const below = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
  return [
    'README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    ...below.filter((path) => path.endsWith('.md') && !path.includes('node_modules')).map((path) => `docs/${path}`),
  ];
}

export function readPage(path: string): Page {
  return parsePage(path, readFileSync(join(ROOT, path), 'utf8'));
}

export function parsePage(path: string, text: string): Page {
  const lines: string[] = [];
  const headings: Heading[] = [];
  const fences: Fence[] = [];
  const source = text.split('\n');
  for (let i = 0; i < source.length; i++) {
    const line = source[i]!;
    const open = /^( *)```(\w*)$/.exec(line);
    if (open === null) {
      const heading = /^(#{1,6}) (.+)$/.exec(line);
      if (heading !== null) headings.push({ level: heading[1]!.length, text: heading[2]! });
      lines.push(line);
      continue;
    }
    const end = source.indexOf(`${open[1]}\`\`\``, i + 1);
    if (end === -1) throw new Error(`${path}:${i + 1}: the block of code has no end`);
    const example = /^ *<!-- example: (\S+) -->$/.exec(source[i - 1] ?? '')?.[1];
    fences.push({ line: i + 1, language: open[2]!, code: source.slice(i + 1, end).join('\n'), example });
    i = end;
  }
  return { path, lines, headings, fences };
}

/** The text of an example, or of one of its regions: without the lines that mark regions, and moved to the left. */
export function readExample(reference: string): string {
  const [path, region] = reference.split('#') as [string, string | undefined];
  return cutRegion(readFileSync(join(ROOT, path), 'utf8'), region);
}

export function cutRegion(text: string, region?: string): string {
  let lines = text.trimEnd().split('\n');
  if (region !== undefined) {
    const [start, end] = ['region', 'endregion'].map((word) =>
      lines.findIndex((line) => line.trim() === `// #${word} ${region}`),
    );
    if (start === -1 || end === -1) throw new Error(`there is no region ${region}`);
    lines = lines.slice(start! + 1, end);
  }
  lines = lines.filter((line) => !/^\s*\/\/ #(end)?region /.test(line));
  const indents = lines.filter((line) => line !== '').map((line) => line.length - line.trimStart().length);
  const indent = Math.min(...indents);
  return lines.map((line) => line.slice(indent)).join('\n');
}

/** The anchor that GitHub gives to a heading. */
export function anchorOf(heading: string): string {
  const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '');
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

/** The anchors of a page; a heading that comes again gets a number. */
export function anchorsOf(page: Page): Set<string> {
  const anchors = new Set<string>();
  for (const { text } of page.headings) {
    const anchor = anchorOf(text);
    let unique = anchor;
    for (let i = 1; anchors.has(unique); i++) unique = `${anchor}-${i}`;
    anchors.add(unique);
  }
  return anchors;
}

/** The targets of the links of a page, with the text that they stand on. */
export function linksOf(page: Page): string[] {
  return [...page.lines.join('\n').matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
}
