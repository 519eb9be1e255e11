import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';
import {
  anchorOf,
  anchorsOf,
  cutRegion,
  linksOf,
  listPages,
  parsePage,
  ROOT,
  readExample,
  readPage,
} from './markdown.ts';

/** The pages keep what they promise: samples that run, links that lead somewhere, a word on who each is for. */

const CODE: readonly string[] = ['js', 'javascript', 'mjs', 'cjs', 'ts', 'typescript', 'mts', 'tsx', 'jsx', 'html'];
const EXAMPLE = /^docs\/examples\/[\w./-]+\.(ts|mjs|js|html)(#\w+)?$/;

const pages = listPages().map(readPage);

for (const page of pages) {
  describe(page.path, () => {
    it('shows code that is, letter for letter, in an example that runs', () => {
      for (const { line, language, code, example } of page.fences) {
        if (!CODE.includes(language)) continue;
        const place = `${page.path}:${line}`;
        assert.ok(
          example !== undefined,
          `${place}: name the file in a comment above: <!-- example: docs/examples/… -->`,
        );
        assert.match(example, EXAMPLE, place);
        assert.equal(cutRegion(code), readExample(example), `${place} is not what ${example} says`);
      }
    });

    it('marks no sample that is not checked', () => {
      const marks = page.lines.filter((line) => line.includes('<!-- example:'));
      assert.equal(
        marks.length,
        page.fences.filter(({ example, language }) => example && CODE.includes(language)).length,
      );
    });

    it('has links that lead somewhere', () => {
      const anchors = new Map(pages.map((other) => [other.path, anchorsOf(other)]));
      const broken = linksOf(page).filter((target) => {
        if (/^https:\/\//.test(target)) return false;
        const [path, anchor] = target.split('#') as [string, string | undefined];
        const file = path === '' ? page.path : normalize(join(dirname(page.path), path));
        if (!existsSync(join(ROOT, file))) return true;
        if (anchor === undefined) return false;
        return statSync(join(ROOT, file)).isDirectory() || anchors.get(file)?.has(anchor) !== true;
      });
      assert.deepEqual(broken, []);
    });

    it('has one title', () => {
      assert.equal(page.headings.filter(({ level }) => level === 1).length, 1);
      assert.equal(page.headings[0]!.level, 1);
    });

    if (page.path.startsWith('docs/')) {
      it('says first who it is for', () => {
        const first = page.lines.slice(1).find((line) => line !== '');
        assert.match(first ?? '', /^For /);
      });

      it('is in the list of all pages', () => {
        const index = readPage('docs/README.md');
        const linked = linksOf(index).map((target) => normalize(join('docs', target.split('#')[0]!)));
        assert.ok(page.path === index.path || linked.includes(page.path));
      });
    }
  });
}

describe('CONTRIBUTING.md', () => {
  it('names scripts, files and folders that are there', () => {
    const text = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name!);
    assert.ok(named.length > 10);
    assert.deepEqual(
      named.filter((name) => !(name in scripts)),
      [],
    );
    const paths = [...text.matchAll(/\b(?:lib|spec|bench|docs)\/[\w./-]*\w/g)].map(([path]) => path);
    assert.deepEqual(
      paths.filter((path) => !existsSync(join(ROOT, path))),
      [],
    );
  });
});

describe('README.md', () => {
  const text = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<string, unknown>;

  it('begins with the sentence that describes the package', () => {
    assert.equal(text.split('\n')[2], manifest.description);
  });

  it('names the two commands', () => {
    const commands = readPage('README.md').fences.map(({ code }) => code);
    assert.ok(commands.includes('npm ci && npm start'));
    assert.ok(commands.includes('npm ci && npm test'));
    const scripts = manifest.scripts as Record<string, string>;
    assert.ok(existsSync(join(ROOT, scripts.start!.split(' ').at(-1)!)));
  });

  it('names the tarball by the version of the package', () => {
    for (const page of pages) {
      for (const [, version] of page.fences
        .map(({ code }) => code)
        .join('\n')
        .matchAll(/hyperlane-ws-([\d.]+)\.tgz/g)) {
        assert.equal(version, manifest.version, page.path);
      }
    }
  });
});

describe('the check of pages', () => {
  it('finds blocks of code, their languages and their examples', () => {
    const page = parsePage(
      'page.md',
      '# Title\n\n<!-- example: docs/examples/a.ts#b -->\n```ts\ncode\n```\n\n```sh\nls\n```\n',
    );
    assert.deepEqual(page.fences, [
      { line: 4, language: 'ts', code: 'code', example: 'docs/examples/a.ts#b' },
      { line: 8, language: 'sh', code: 'ls', example: undefined },
    ]);
    assert.throws(() => parsePage('page.md', '```ts\ncode\n'), /has no end/);
  });

  it('cuts a region out of a file, without marks and indentation', () => {
    const text = 'a\n  // #region one\n  b\n    c\n  // #endregion one\nd\n';
    assert.equal(cutRegion(text, 'one'), 'b\n  c');
    assert.equal(cutRegion(text), 'a\n  b\n    c\nd');
    assert.throws(() => cutRegion(text, 'two'), /no region two/);
  });

  it('knows the anchors of headings', () => {
    assert.equal(anchorOf('`sendResponse(statusCode?, body?)`'), 'sendresponsestatuscode-body');
    assert.equal(anchorOf('WS_ERR_TIMEOUT'), 'ws_err_timeout');
    assert.equal(anchorOf('How-to'), 'how-to');
    assert.deepEqual([...anchorsOf(parsePage('page.md', '# A\n## B\n## B\n'))], ['a', 'b', 'b-1']);
  });
});
