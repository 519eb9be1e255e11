import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type FuzzTarget, mutate, parseSeed, Random, readCorpus, shrink } from '../support/fuzzing.ts';
import { seed } from '../support/seed.ts';

/** How often each seed is played: what is left to chance, such as where it is cut, is another each time. */
const TIMES = 8;

const folder = join('spec', 'fuzz');
const names = readdirSync(folder).flatMap((name) =>
  name.endsWith('.fuzz.ts') ? [name.slice(0, -'.fuzz.ts'.length)] : [],
);

describe(`the seeds of the fuzz targets (FC_SEED=${seed})`, async () => {
  it('are there for each target', () => {
    const corpora = readdirSync(join(folder, 'corpus')).map((name) => name.slice(0, -'.txt'.length));
    assert.deepEqual(corpora.sort(), [...names].sort());
  });

  for (const name of names) {
    const { target } = (await import(pathToFileURL(resolve(folder, `${name}.fuzz.ts`)).href)) as { target: FuzzTarget };

    it(`${name}: none is a finding, nor is what one change makes of it`, async () => {
      assert.equal(target.name, name);
      const corpus = readCorpus(name);
      const random = new Random(seed);
      for (const input of corpus) {
        for (let time = 0; time < TIMES; time++) {
          const bytes = time % 2 === 0 ? Buffer.from(input) : mutate(input, random.pick(corpus), random);
          const salt = random.next();
          try {
            await target.run(Buffer.from(bytes), new Random(salt));
          } catch (error) {
            throw new Error(`salt ${salt}, ${bytes.toString('hex')}`, { cause: error });
          }
        }
      }
    });
  }
});

describe('the tools of the fuzzer', () => {
  it('read seeds in hex, in text, and in both', () => {
    assert.deepEqual(parseSeed('81 05 "He\\r\\n" 00# a "comment"'), Buffer.from('810548650d0a00', 'hex'));
    assert.deepEqual(parseSeed('"#"'), Buffer.from('#'));
    assert.throws(() => parseSeed('81 0'), /not a hex literal/);
  });

  it('make the same of the same seed, and change nothing in place', () => {
    const input = Buffer.from('0123456789');
    const make = () => {
      const random = new Random(7);
      return Array.from({ length: 500 }, () => mutate(input, Buffer.from('xyz'), random).toString('hex'));
    };
    const made = make();
    assert.deepEqual(make(), made);
    assert.equal(input.toString(), '0123456789');
    assert.ok(new Set(made).size > 300, 'mutations are many');
    assert.ok(made.some((one) => one.length > 20) && made.some((one) => one.length < 20));
  });

  it('shorten a finding to what matters', async () => {
    const smallest = await shrink(Buffer.from('aaaaaaXaaaaaaaYaaa'), async (bytes) => /X.*Y/.test(bytes.toString()));
    assert.equal(smallest.toString(), 'XY');
  });
});
