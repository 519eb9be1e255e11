import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HandshakeError } from '../../lib/errors.ts';
import { acceptOffer, checkResponse, type DeflateParams, formatOffer } from '../../lib/extensions/deflate-params.ts';
import { parseExtensions } from '../../lib/extensions/extension-header.ts';
import { seed } from '../support/seed.ts';

/** An endpoint that takes anything. */
const ANY: DeflateParams = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
};
const LEAN: DeflateParams = { ...ANY, serverNoContextTakeover: true, clientNoContextTakeover: true };

function accept(header: string, wishes: DeflateParams = ANY): ReturnType<typeof acceptOffer> {
  return acceptOffer(parseExtensions(header)!, wishes);
}

const NAME = 'permessage-deflate';

describe('acceptOffer', () => {
  it('accepts an offer without parameters', () => {
    assert.deepEqual(accept(NAME), { params: ANY, response: NAME });
  });

  it('grants what the client asks for', () => {
    assert.deepEqual(accept(`${NAME}; server_no_context_takeover`), {
      params: { ...ANY, serverNoContextTakeover: true },
      response: `${NAME}; server_no_context_takeover`,
    });
    assert.deepEqual(accept(`${NAME}; client_no_context_takeover`), {
      params: { ...ANY, clientNoContextTakeover: true },
      response: `${NAME}; client_no_context_takeover`,
    });
    for (let bits = 8; bits <= 15; bits++) {
      assert.deepEqual(accept(`${NAME}; server_max_window_bits=${bits}`), {
        params: { ...ANY, serverMaxWindowBits: bits },
        response: `${NAME}; server_max_window_bits=${bits}`,
      });
    }
  });

  it('takes the hint that the client uses a smaller window', () => {
    assert.deepEqual(accept(`${NAME}; client_max_window_bits=10`), {
      params: { ...ANY, clientMaxWindowBits: 10 },
      response: `${NAME}; client_max_window_bits=10`,
    });
    for (const offer of ['client_max_window_bits', 'client_max_window_bits=15']) {
      assert.deepEqual(accept(`${NAME}; ${offer}`), { params: ANY, response: NAME });
    }
  });

  it('asks for what the server wishes', () => {
    assert.deepEqual(accept(`${NAME}; client_max_window_bits`, { ...LEAN, clientMaxWindowBits: 9 }), {
      params: { ...LEAN, clientMaxWindowBits: 9 },
      response: `${NAME}; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=9`,
    });
    assert.deepEqual(accept(NAME, { ...ANY, serverMaxWindowBits: 12 }), {
      params: { ...ANY, serverMaxWindowBits: 12 },
      response: `${NAME}; server_max_window_bits=12`,
    });
    assert.equal(
      accept(`${NAME}; server_max_window_bits=10`, { ...ANY, serverMaxWindowBits: 12 })?.params.serverMaxWindowBits,
      10,
    );
    assert.equal(
      accept(`${NAME}; server_max_window_bits=14`, { ...ANY, serverMaxWindowBits: 12 })?.params.serverMaxWindowBits,
      12,
    );
  });

  it('keeps no context of a client that cannot limit its window as the server wishes', () => {
    assert.deepEqual(accept(NAME, { ...ANY, clientMaxWindowBits: 10 }), {
      params: { ...ANY, clientNoContextTakeover: true },
      response: `${NAME}; client_no_context_takeover`,
    });
    assert.equal(
      accept(`${NAME}; client_max_window_bits`, { ...ANY, clientMaxWindowBits: 10 })?.params.clientNoContextTakeover,
      false,
    );
  });

  it('declines offers with what it does not know, values that are not allowed, and parameters that come twice', () => {
    const declined = [
      'foo',
      'constructor',
      '__proto__',
      'server_no_context_takeover=1',
      'client_no_context_takeover=true',
      'server_max_window_bits',
      'server_no_context_takeover; server_no_context_takeover',
      'client_no_context_takeover; client_no_context_takeover',
      'server_max_window_bits=10; server_max_window_bits=10',
      'client_max_window_bits; client_max_window_bits',
      'client_max_window_bits; client_max_window_bits=10',
      'client_max_window_bits=10; client_max_window_bits',
      'Server_no_context_takeover',
    ];
    for (const value of ['0', '7', '16', '1000', '08', '015', '8.0', '1e1', '+9', '-9', '0xa', 'NaN', 'a', '8.5']) {
      declined.push(`server_max_window_bits=${value}`, `client_max_window_bits=${value}`);
    }
    for (const parameters of declined) {
      assert.equal(accept(`${NAME}; ${parameters}`), undefined, parameters);
      assert.equal(accept(`${NAME}; ${parameters}, ${NAME}`)?.response, NAME, `falls back behind ${parameters}`);
    }
  });

  it('takes the first offer that it can, and passes over other extensions', () => {
    assert.equal(accept('x-webkit-deflate-frame, bar; server_no_context_takeover'), undefined);
    assert.equal(accept('Permessage-Deflate'), undefined);
    assert.equal(accept(`foo, ${NAME}; client_max_window_bits=9, ${NAME}`)?.params.clientMaxWindowBits, 9);
  });

  it('reads quoted values', () => {
    assert.equal(accept(`${NAME}; server_max_window_bits="11"`)?.params.serverMaxWindowBits, 11);
  });
});

describe('formatOffer', () => {
  it('says that the window may be limited, and what the client wishes', () => {
    assert.equal(formatOffer(ANY), `${NAME}; client_max_window_bits`);
    assert.equal(
      formatOffer({ ...LEAN, serverMaxWindowBits: 10, clientMaxWindowBits: 9 }),
      `${NAME}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=9`,
    );
  });
});

describe('checkResponse', () => {
  it('finds no compression where the server does not answer', () => {
    assert.equal(checkResponse(undefined, ANY), undefined);
    assert.equal(checkResponse(undefined, undefined), undefined);
  });

  it('reads what was agreed on', () => {
    assert.deepEqual(checkResponse(NAME, ANY), ANY);
    assert.deepEqual(
      checkResponse(`${NAME}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8`, ANY),
      { ...LEAN, serverMaxWindowBits: 8 },
    );
    assert.deepEqual(checkResponse(`${NAME}; client_max_window_bits=12`, ANY), { ...ANY, clientMaxWindowBits: 12 });
  });

  it('holds to its own wishes where the server says nothing of them', () => {
    const wishes = { ...ANY, clientNoContextTakeover: true, clientMaxWindowBits: 10 };
    assert.deepEqual(checkResponse(NAME, wishes), wishes);
  });

  it('refuses what was not offered, and what is not valid', () => {
    const refused: [header: string, wishes: DeflateParams | undefined][] = [
      ['', ANY],
      ['permessage-deflate;', ANY],
      [NAME, undefined],
      ['foo', ANY],
      [`${NAME}, ${NAME}`, ANY],
      [`${NAME}, foo`, ANY],
      [`${NAME}; foo`, ANY],
      [`${NAME}; client_max_window_bits`, ANY],
      [`${NAME}; server_max_window_bits`, ANY],
      [`${NAME}; server_max_window_bits=1000`, ANY],
      [`${NAME}; server_max_window_bits=16`, ANY],
      [`${NAME}; client_max_window_bits=7`, ANY],
      [NAME, { ...ANY, serverNoContextTakeover: true }],
      [NAME, { ...ANY, serverMaxWindowBits: 10 }],
      [`${NAME}; server_max_window_bits=11`, { ...ANY, serverMaxWindowBits: 10 }],
      [`${NAME}; client_max_window_bits=11`, { ...ANY, clientMaxWindowBits: 10 }],
    ];
    for (const [header, wishes] of refused) {
      assert.throws(
        () => checkResponse(header, wishes),
        (error) => error instanceof HandshakeError && error.code === 'WS_ERR_INVALID_EXTENSIONS',
        header,
      );
    }
  });
});

describe('negotiation', () => {
  const wishes = fc.record({
    serverNoContextTakeover: fc.boolean(),
    clientNoContextTakeover: fc.boolean(),
    serverMaxWindowBits: fc.integer({ min: 8, max: 15 }),
    clientMaxWindowBits: fc.integer({ min: 8, max: 15 }),
  });

  it(`gives both sides the same parameters, none laxer than either wishes (seed ${seed})`, () => {
    fc.assert(
      fc.property(wishes, wishes, (server, client) => {
        const accepted = accept(formatOffer(client), server)!;
        const { params } = accepted;
        assert.deepEqual(checkResponse(accepted.response, client), params);
        for (const wish of [server, client]) {
          assert.ok(params.serverNoContextTakeover || !wish.serverNoContextTakeover);
          assert.ok(params.clientNoContextTakeover || !wish.clientNoContextTakeover);
          assert.ok(params.serverMaxWindowBits <= wish.serverMaxWindowBits);
          assert.ok(params.clientMaxWindowBits <= wish.clientMaxWindowBits);
        }
      }),
    );
  });

  it(`accepts any offer with legal parameters, or declines it (seed ${seed})`, () => {
    const names = ['server_no_context_takeover', 'client_no_context_takeover', 'server_max_window_bits'];
    const parameter = fc.record({
      name: fc.constantFrom(...names, 'client_max_window_bits', 'constructor'),
      value: fc.option(fc.constantFrom('8', '15', '10', '7', '16', '09', 'x'), { nil: undefined }),
    });
    const offers = fc.array(
      fc.record({ name: fc.constantFrom(NAME, 'foo'), parameters: fc.array(parameter, { maxLength: 4 }) }),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(offers, wishes, (list, server) => {
        const accepted = acceptOffer(list, server);
        if (accepted === undefined) return;
        const [answer, ...more] = parseExtensions(accepted.response)!;
        assert.equal(more.length, 0);
        assert.equal(answer!.name, NAME);
        const offer = list.find(({ name, parameters }) => {
          const given = new Set(parameters.map((one) => one.name));
          return name === NAME && given.size === parameters.length && !given.has('constructor');
        });
        assert.ok(offer !== undefined);
        for (const { name, value } of answer!.parameters) {
          if (!name.endsWith('bits')) continue;
          assert.ok(Number(value) >= 8 && Number(value) <= 15);
          if (name === 'client_max_window_bits')
            assert.ok(list.some((one) => one.parameters.some((p) => p.name === name)));
        }
      }),
    );
  });
});
