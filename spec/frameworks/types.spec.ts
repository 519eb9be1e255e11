import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FRAMEWORKS, skipWithoutFrameworks } from '../support/external.ts';
import { PATIENCE } from './framework-app.ts';

const TSC = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));

describe('docs/examples/frameworks', { ...PATIENCE, ...skipWithoutFrameworks() }, () => {
  for (const project of ['tsconfig.json', 'tsconfig.next.json']) {
    it(`has types that hold under strict: ${project}`, () => {
      const { status, stdout } = spawnSync(process.execPath, [TSC, '--noEmit', '-p', join(FRAMEWORKS, project)], {
        encoding: 'utf8',
      });
      assert.equal(status, 0, stdout);
    });
  }
});
