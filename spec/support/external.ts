import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Programs that some specs need and that no package brings. Where one is absent those specs are skipped, visibly; with
 * HYPERLANE_REQUIRE_EXTERNAL=1, as in CI, they fail instead, so that a green run cannot be one that tested less.
 */

/** A browser of the Chromium family, if there is one: absolute path. */
export function chromiumPath(): string | undefined {
  return ['chromium', 'chromium-browser', 'google-chrome'].map(findProgram).find((path) => path !== undefined);
}

/**
 * A Python that has the `websockets` package, if there is one: absolute path. Not simply `python3`: a version manager may
 * put a Python of its own first, which does not see what the distribution has installed.
 */
export function pythonPath(): string | undefined {
  const candidates = [findProgram('python3'), '/usr/bin/python3'];
  return candidates.find((path) => path !== undefined && hasWebsockets(path));
}

/** An nginx, if there is one: absolute path. Debian puts it where only root looks for programs. */
export function nginxPath(): string | undefined {
  return findProgram('nginx') ?? ['/usr/sbin/nginx'].find(isExecutable);
}

/** The folder of the examples with frameworks, which have a package of their own. */
export const FRAMEWORKS: string = fileURLToPath(new URL('../../docs/examples/frameworks', import.meta.url));

/** Options for `describe`, as `skipUnless`: skips where the frameworks are not installed. */
export function skipWithoutFrameworks(): { skip?: string } {
  const present = ['express', 'next', 'vite'].every((name) => isReadable(join(FRAMEWORKS, 'node_modules', name)));
  return skipUnless('a framework', present, 'npm ci --prefix docs/examples/frameworks');
}

/**
 * Options for `describe` or `it`: skips when a program is absent, and throws instead where nothing may be skipped.
 *
 * @param name - name of the Debian package
 * @param command - what installs it
 * @example describe('a browser', skipUnless('chromium', chromiumPath() !== undefined), () => {});
 * @throws {Error} when absent under HYPERLANE_REQUIRE_EXTERNAL=1
 */
export function skipUnless(
  name: string,
  present: boolean,
  command: string = `apt-get install ${name}`,
): { skip?: string } {
  if (present) return {};
  const reason = `${name} is not installed (${command})`;
  if (process.env.HYPERLANE_REQUIRE_EXTERNAL === '1') {
    throw new Error(`${reason}, and HYPERLANE_REQUIRE_EXTERNAL=1 says that nothing may be skipped`);
  }
  return { skip: reason };
}

function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  return isAccessible(path, constants.X_OK);
}

function isReadable(path: string): boolean {
  return isAccessible(path, constants.R_OK);
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function hasWebsockets(python: string): boolean {
  return spawnSync(python, ['-c', 'import websockets'], { stdio: 'ignore' }).status === 0;
}
