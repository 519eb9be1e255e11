import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HandshakeError } from '../../lib/errors.ts';
import { checkHost, checkUpgradeHost } from '../../lib/handshake/check-host.ts';
import type { UpgradeHead } from '../../lib/handshake/upgrade.ts';

function head(hosts: readonly string[], minor: number = 1): UpgradeHead {
  const headers = hosts.length === 0 ? {} : { host: hosts[0]! };
  const rawHeaders = hosts.flatMap((host) => ['hOsT', host]);
  return { httpVersionMajor: 1, httpVersionMinor: minor, headers, rawHeaders };
}

const status = (check: () => void): number => {
  try {
    check();
    return 200;
  } catch (error) {
    assert.ok(error instanceof HandshakeError);
    return error.httpStatus;
  }
};

describe('checkHost', () => {
  it('wants one Host since HTTP/1.1, and at most one before', () => {
    assert.equal(
      status(() => checkHost(head(['a']), '*')),
      200,
    );
    assert.equal(
      status(() => checkHost(head([]), '*')),
      400,
    );
    assert.equal(
      status(() => checkHost(head([], 0), '*')),
      200,
    );
    assert.equal(
      status(() => checkHost({ ...head([]), httpVersionMajor: 2 }, '*')),
      200,
    );
    assert.equal(
      status(() => checkHost(head(['a', 'b'], 0), '*')),
      400,
    );
  });

  it('wants one that the server answers to', () => {
    const cases: [hosts: string[], minor: number, status: number][] = [
      [['localhost:80'], 1, 200],
      [['evil.example'], 1, 421],
      [[''], 1, 421],
      [[], 0, 421],
    ];
    for (const [hosts, minor, expected] of cases) {
      assert.equal(
        status(() => checkHost(head(hosts, minor), ['localhost'])),
        expected,
        `${hosts}`,
      );
    }
  });
});

describe('checkUpgradeHost', () => {
  it('wants a host, and one that the server answers to', () => {
    const cases: [hosts: string[], status: number][] = [
      [['localhost'], 200],
      [[], 400],
      [[''], 400],
      [['a b'], 400],
      [['localhost', 'localhost'], 400],
      [['evil.example'], 421],
    ];
    for (const [hosts, expected] of cases) {
      assert.equal(
        status(() => checkUpgradeHost(head(hosts), ['localhost'])),
        expected,
        `${hosts}`,
      );
    }
  });
});
