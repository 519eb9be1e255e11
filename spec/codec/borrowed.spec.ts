import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { isBorrowed, lend } from '../../lib/codec/borrowed.ts';
import { receiveBuffer } from '../../lib/codec/mask-simd.ts';

describe('lend', () => {
  it('gives the bytes, returns what is returned, and spoils what is kept', () => {
    const bytes = Buffer.from('abcd');
    let kept: Buffer | undefined;
    const text = lend(bytes, 1, 3, (view) => {
      assert.ok(isBorrowed(view));
      kept = view;
      return view.toString();
    });
    assert.equal(text, 'bc');
    assert.notEqual(kept!.toString('latin1'), 'bc');
    assert.equal(bytes.toString(), 'abcd');
    assert.throws(() => lend(bytes, 0, 1, () => assert.fail('mine')), { message: 'mine' });
  });

  it('gives the bytes where they lie in production, and spoils nothing', () => {
    const program = `
      import { lend } from './lib/codec/borrowed.ts';
      const bytes = Buffer.from('abcd');
      let kept;
      lend(bytes, 1, 3, (view) => { kept = view; });
      console.log(kept.toString(), kept.buffer === bytes.buffer);
    `;
    const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      env: { ...process.env, NODE_ENV: 'production' },
      encoding: 'utf8',
    });
    assert.equal(stdout, 'bc true\n');
  });
});

describe('isBorrowed', () => {
  it('knows the receive buffer', () => {
    assert.ok(isBorrowed(receiveBuffer.subarray(5, 6)));
    assert.ok(!isBorrowed(Buffer.alloc(1)));
  });
});
