import assert from 'node:assert/strict';
import { ChannelClosedError, GapError } from '../../lib/errors.ts';
import type { ConnectionSubscription } from '../../lib/topics/connection-subscription.ts';
import { parsePosition } from '../../lib/topics/position.ts';
import type { TopicSubscription } from '../../lib/topics/topic-subscription.ts';
import type { TestConnection } from './test-connection.ts';

/** What a subscriber got: bodies, and gaps by their reason. */
export type Got = { readonly body: string; readonly position: string } | { readonly gap: GapError };

/** What a subscriber got, and where it began. */
abstract class Gotten {
  abstract readonly got: readonly Got[];
  abstract readonly start: string;

  /** Bodies, and `gap: reason`. */
  get texts(): string[] {
    return this.got.map((one) => ('gap' in one ? `gap: ${one.gap.reason}` : one.body));
  }

  /**
   * Asserts the promise: each message is the neighbour of the one before, or a gap stands between them. Here neighbours are one
   * apart. Returns how far it has got.
   *
   * @param bodyAt - what was published there
   */
  check(bodyAt: (position: string) => string | undefined, after: string = this.start): string {
    let at = after;
    for (const one of this.got) {
      const before = parsePosition(at) ?? { epoch: '', offset: 0 };
      const position = 'gap' in one ? one.gap.position : one.position;
      const place = parsePosition(position)!;
      if ('gap' in one) {
        const isForward = place.epoch !== before.epoch || place.offset > before.offset;
        assert.ok(isForward || one.gap.reason === 'epoch', `a gap goes from ${at} to ${position}`);
      } else {
        assert.deepEqual(place, { epoch: before.epoch, offset: before.offset + 1 }, `${position} comes behind ${at}`);
        assert.equal(one.body, bodyAt(position), `what comes at ${position}`);
      }
      at = position;
    }
    return at;
  }
}

/** Receives all that a subscription gets, until it ends. */
export class Log extends Gotten {
  override readonly got: Got[] = [];
  override readonly start: string;
  readonly subscription: TopicSubscription;
  readonly ended: Promise<void>;

  constructor(subscription: TopicSubscription) {
    super();
    this.subscription = subscription;
    this.start = subscription.position;
    this.ended = this.#run();
  }

  async #run(): Promise<void> {
    while (true) {
      try {
        const message = await this.subscription.recv();
        this.got.push({ body: String(message.body), position: message.position });
      } catch (error) {
        if (error instanceof ChannelClosedError) return;
        assert.ok(error instanceof GapError);
        this.got.push({ gap: error });
      }
    }
  }
}

/** What a client is sent that asked for positions: the first says where it begins. */
export class ClientLog extends Gotten {
  readonly subscription: ConnectionSubscription;
  readonly #connection: TestConnection;

  constructor(connection: TestConnection, subscription: ConnectionSubscription) {
    super();
    this.#connection = connection;
    this.subscription = subscription;
  }

  override get start(): string {
    return this.#connection.sent[0]!.slice(1, -1);
  }

  override get got(): readonly Got[] {
    return this.#connection.sent.slice(1).map((text): Got => {
      const line = text.indexOf('\n');
      if (text.startsWith('!')) return { gap: new GapError('a', 'history', text.slice(1, line), Number.NaN) };
      return { position: text.slice(0, line), body: text.slice(line + 1) };
    });
  }
}
