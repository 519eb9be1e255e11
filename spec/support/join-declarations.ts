import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { declarationsOf } from './common-declarations.ts';

const IMPORT = /^import (?:type )?\{([^}]+)\} from '([^']+)';\n/gm;
const DECLARED = /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|const|function) (\w+)/gm;

/** The modules that a module of declarations leads to, by their paths. */
export function importsOf(path: string): string[] {
  const found = readFileSync(path, 'utf8').matchAll(/(?:from |import\()["'](\.[^"']+)["']/g);
  return [...found].map(([, from]) => declarationsOf(resolve(dirname(path), from!)));
}

/**
 * Makes one module of many that declare: each of them would take a block of the disk, and most are smaller than that.
 *
 * They share one scope then, so what is imported has its own name everywhere, and no two declare the same.
 */
export function joinDeclarations(paths: Iterable<string>): string {
  const foreign = new Map<string, Set<string>>();
  const declaredBy = new Map<string, string>();
  const take = (name: string, by: string): void => {
    const other = declaredBy.get(name);
    if (other !== undefined && other !== by) throw new Error(`${name} is of ${other} and of ${by}: name one otherwise`);
    declaredBy.set(name, by);
  };
  const bodies: string[] = [];
  for (const path of paths) {
    const text = readFileSync(path, 'utf8').replace(IMPORT, (statement, list: string, from: string) => {
      const names = list.split(',').map((name) => name.replace(/^\s*type /, '').trim());
      if (from.startsWith('.')) {
        if (list.includes(' as ')) throw new Error(`${path}: ${statement}import it by its own name`);
        return '';
      }
      const all = foreign.get(from) ?? new Set();
      foreign.set(from, all);
      for (const name of names) {
        all.add(name);
        take(name.split(' as ').at(-1)!, from);
      }
      return '';
    });
    for (const [, name] of text.matchAll(DECLARED)) take(name!, path);
    const body = text.replace(/^export \{\};\n/m, '');
    if (/^import |^export .* from |import\(["']\./m.test(body))
      throw new Error(`${path}: import { … } from '…' is all that is joined`);
    bodies.push(body);
  }
  const imports = [...foreign].map(([from, names]) => `import { ${[...names].join(', ')} } from '${from}';\n`);
  return `${imports.join('')}${bodies.join('')}`;
}
