import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

/** The declarations of a module that declarations import, where it is named by its source: `./server/server.ts`. */
export function declarationsOf(path: string): string {
  return path.replace(/\.[tj]s$/, '.d.ts');
}

/**
 * What a CommonJS module sees of an entry, `index.d.ts`, which is no more than `export { … } from '…'`.
 *
 * To TypeScript that is an ES module, which it does not let one require under `module: node16`, though every Node that
 * the package runs on can. Each name stands here for the one over there: a copy of the declarations would make two types
 * of each class, of which neither fits the other.
 */
export function commonDeclarations(path: string): string {
  const text = readFileSync(path, 'utf8');
  const module = `import("./${basename(path, '.d.ts')}.js", { with: { "resolution-mode": "import" } })`;
  const lines = [...text.matchAll(/^\/\/\/ <reference .+$/gm)].map(([line]) => line);
  let rest = text;
  for (const [statement, type, names, from] of text.matchAll(/^export (type )?\{([^}]+)\} from '([^']+)';$/gm)) {
    rest = rest.replace(statement, '');
    const source = readFileSync(declarationsOf(resolve(dirname(path), from!)), 'utf8');
    for (const name of names!.split(',')) {
      const [, ofOne, id] = /(type )?(\w*)\s*$/.exec(name)!;
      if (id !== '') lines.push(...aliasesOf(id!, source, module, (type ?? ofOne) !== undefined));
    }
  }
  if (/^\s*(export|declare)\b/m.test(rest)) throw new Error(`${path}: write what is exported as export { … } from '…'`);
  return `${lines.join('\n')}\n`;
}

/** Declares a name to be the value, unless only its type is exported, and the type that it is in a module. */
function aliasesOf(id: string, source: string, module: string, isType: boolean): string[] {
  const aliases: string[] = [];
  for (const match of source.matchAll(new RegExp(`^export (?:declare )?(?:abstract )?(\\w+) ${id}\\b`, 'gm'))) {
    const kind = match[1]!;
    const parameters = typeParameters(source, match.index + match[0].length);
    if (!isType && kind !== 'interface' && kind !== 'type')
      aliases.push(`export declare const ${id}: typeof ${module}.${id};`);
    if (kind === 'function' || kind === 'const') continue;
    const names = parameters.length === 0 ? '' : `<${parameters.map((one) => /^\w+/.exec(one)![0]).join(', ')}>`;
    const declared = parameters.length === 0 ? '' : `<${parameters.join(', ')}>`;
    aliases.push(`export type ${id}${declared} = ${module}.${id}${names};`);
  }
  if (aliases.length === 0) throw new Error(`${id} is exported, and has no declaration`);
  // The overloads of a function are of one value.
  return [...new Set(aliases)];
}

/** The type parameters that begin at `start`, with what they extend and their defaults; none, if none do. */
function typeParameters(source: string, start: number): string[] {
  if (source[start] !== '<') return [];
  const parameters = [''];
  let depth = 0;
  for (let i = start; i < source.length; i++) {
    const char = source[i]!;
    const isArrow = char === '>' && source[i - 1] === '=';
    if (!isArrow && '>)}]'.includes(char) && --depth === 0) break;
    if (char === ',' && depth === 1) parameters.push('');
    else if (depth > 0) parameters[parameters.length - 1] += char;
    if ('<({['.includes(char)) depth++;
  }
  // An alias takes its variance from what it stands for, and may not say it itself.
  return parameters.map((parameter) => parameter.trim().replace(/^(?:in |out |in out )(?=\w)/, ''));
}
