import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ERROR_CODES } from '../../lib/errors.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** All files below a folder, as paths from that folder. */
function list(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  const from = join(ROOT, folder).length + 1;
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(from));
}

describe('package.json', () => {
  const manifest = JSON.parse(read('package.json')) as Record<string, unknown>;

  for (const key of ['dependencies', 'optionalDependencies', 'bundleDependencies']) {
    it(`has no ${key}`, () => {
      assert.deepEqual(manifest[key] ?? {}, {});
    });
  }

  it('has no peer that would be installed', () => {
    const peers = Object.keys(manifest.peerDependencies as object);
    const optional = Object.entries(manifest.peerDependenciesMeta as Record<string, { optional?: boolean }>);
    assert.deepEqual(
      peers,
      optional.filter(([, meta]) => meta.optional === true).map(([name]) => name),
    );
    assert.deepEqual(peers, ['@types/node']);
  });

  it('runs nothing when it is installed', () => {
    const scripts = manifest.scripts as Record<string, string>;
    const hooks = ['preinstall', 'install', 'postinstall', 'preprepare', 'prepare', 'postprepare'];
    assert.deepEqual(
      hooks.filter((hook) => hook in scripts),
      [],
    );
  });

  it('pins its tools to exact versions', () => {
    for (const [name, range] of Object.entries(manifest.devDependencies as Record<string, string>)) {
      assert.match(range, /^\d+\.\d+\.\d+$/, `${name} has the range ${range}`);
    }
  });
});

describe('package-lock.json', () => {
  it('names no registry, so that it installs from whichever is configured', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { resolved?: string }> };
    const named = Object.entries(packages).filter(([, { resolved }]) => resolved !== undefined);
    assert.deepEqual(
      named.map(([name]) => name),
      [],
      'set omit-lockfile-registry-resolved=true and write the file again',
    );
  });
});

describe('docs/reference/errors.md', () => {
  /** The codes that have a heading, in order. */
  function readHeadings(): string[] {
    return [...read('docs/reference/errors.md').matchAll(/^#{2,6}\s+`?(WS_ERR_\w+)`?\s*$/gm)].map(([, code]) => code!);
  }

  it('has one heading for each error code and none for others', () => {
    assert.deepEqual(readHeadings().sort(), [...ERROR_CODES].sort());
  });
});

describe('files', () => {
  it('of specs are one folder deep, where the patterns of the scripts find them', () => {
    const specs = list('spec').filter((path) => /\.(spec|test)\.[cm]?[jt]sx?$/.test(path));
    assert.ok(specs.length > 0);
    assert.deepEqual(
      specs.filter((path) => !/^[^/]+\/[^/]+\.spec\.ts$/.test(path)),
      [],
    );
  });
});
