import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HandshakeError } from '../../lib/errors.ts';
import {
  acceptOffer,
  checkResponse,
  type DeflateParams,
  type DeflateWishes,
} from '../../lib/extensions/deflate-params.ts';
import { formatExtension, parseExtensions } from '../../lib/extensions/extension-header.ts';
import { isToken } from '../../lib/handshake/header-list.ts';
import type { FuzzTarget, Random } from '../support/fuzzing.ts';

function wishesByChance(random: Random): DeflateWishes {
  return {
    serverNoContextTakeover: random.oneIn(2),
    clientNoContextTakeover: random.oneIn(2),
    serverMaxWindowBits: 8 + random.below(8),
    clientMaxWindowBits: 8 + random.below(8),
  };
}

function checkParams({ serverMaxWindowBits, clientMaxWindowBits }: DeflateParams): void {
  for (const bits of [serverMaxWindowBits, clientMaxWindowBits]) {
    assert.ok(Number.isInteger(bits) && bits >= 8 && bits <= 15, `a window of ${bits} bits`);
  }
}

/** Sec-WebSocket-Extensions: whatever is in it is read or refused, and what is agreed on is something that zlib can do. */
export const target: FuzzTarget = {
  name: 'extension-header',
  inputs: fc
    .array(
      fc.tuple(
        fc.constantFrom('permessage-deflate', 'x-webkit-deflate-frame', '__proto__', 'constructor'),
        fc.array(
          fc.tuple(
            fc.constantFrom(
              'client_max_window_bits',
              'server_max_window_bits',
              'client_no_context_takeover',
              'server_no_context_takeover',
              'toString',
            ),
            fc.constantFrom('', '=8', '=15', '=7', '=16', '=1000', '=""', '="8"', '="\\8"', '=08', '=8.0', '=1e1'),
          ),
          { maxLength: 4 },
        ),
      ),
      { maxLength: 4 },
    )
    .map((list) =>
      Buffer.from(list.map(([name, params]) => [name, ...params.map((one) => one.join(''))].join('; ')).join(', ')),
    ),
  run(input, random) {
    const text = input.toString('latin1');
    const extensions = parseExtensions(text);
    let outcome = `${extensions?.length}`;
    if (extensions !== undefined) {
      for (const { name, parameters } of extensions) {
        assert.ok(isToken(name));
        assert.ok(parameters.every((one) => isToken(one.name) && (one.value === undefined || isToken(one.value))));
      }
      assert.deepEqual(parseExtensions(extensions.map(formatExtension).join(', ')), extensions);
      const wishes = wishesByChance(random);
      const agreement = acceptOffer(extensions, wishes);
      outcome += ` ${agreement?.response}`;
      if (agreement !== undefined) {
        checkParams(agreement.params);
        assert.ok(agreement.params.serverMaxWindowBits <= wishes.serverMaxWindowBits);
        assert.equal(parseExtensions(agreement.response)?.length, 1);
      }
    }
    try {
      const params = checkResponse(text, random.oneIn(8) ? undefined : wishesByChance(random));
      if (params !== undefined) checkParams(params);
      return `${outcome}, taken as a response`;
    } catch (error) {
      if (!(error instanceof HandshakeError)) throw error;
      assert.equal(error.code, 'WS_ERR_INVALID_EXTENSIONS');
      return `${outcome}, ${error.message.slice(0, 90)}`;
    }
  },
};
