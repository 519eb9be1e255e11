import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { frameRules } from '../../lib/protocol/frame-rules.ts';

const limits = { maxMessageBytes: 1000, maxFrameBytes: 2000 };

describe('frameRules', () => {
  it('has a server expect masks, and a client none, whether or not messages are compressed', () => {
    for (const allowRsv1 of [false, true]) {
      assert.deepEqual(frameRules('server', limits, allowRsv1), { expectMask: true, allowRsv1, maxFrameBytes: 1000 });
      assert.deepEqual(frameRules('client', limits, allowRsv1), { expectMask: false, allowRsv1, maxFrameBytes: 1000 });
    }
  });

  it('takes no frame that is larger than a message, nor than a frame', () => {
    assert.equal(frameRules('server', { maxMessageBytes: 5, maxFrameBytes: 7 }, false).maxFrameBytes, 5);
    assert.equal(frameRules('server', { maxMessageBytes: 7, maxFrameBytes: 5 }, false).maxFrameBytes, 5);
  });

  it('makes the rules once for all connections with the same limits', () => {
    for (const role of ['server', 'client'] as const) {
      for (const allowRsv1 of [false, true]) {
        assert.equal(frameRules(role, limits, allowRsv1), frameRules(role, limits, allowRsv1));
        assert.notEqual(frameRules(role, limits, allowRsv1), frameRules(role, { ...limits }, allowRsv1));
      }
    }
  });
});
