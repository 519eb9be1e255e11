import { basename, dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

/**
 * Makes one file of JavaScript of each spec named, in the folder named first, with the library in it or, with `--bare`,
 * without. Stryker runs it in its copy of the tree, where the library is mutated: a process for a mutant then starts in
 * the time that Node itself takes, with no compiler. The bare ones are what it compares with those of the last run.
 */
const [out, ...args] = process.argv.slice(2);
const isBare = args[0] === '--bare';

const withoutLibrary = {
  name: 'without-library',
  setup({ onResolve }) {
    onResolve({ filter: /^\..*\.ts$/ }, ({ path, resolveDir }) => {
      const file = relative('.', resolve(resolveDir, path));
      return file.startsWith('lib') ? { path: file, external: true } : undefined;
    });
  },
};

for (const spec of args.slice(isBare ? 1 : 0)) {
  await build({
    entryPoints: [spec],
    outfile: join(out, basename(dirname(spec)), basename(spec).replace(/\.ts$/, '.mjs')),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    ignoreAnnotations: true,
    plugins: isBare ? [withoutLibrary] : [],
    logLevel: 'warning',
  });
}
