import type { Context } from '../../lib/index.ts';
import type { CodecCase, Env, Work } from './case.ts';

type Hooks = typeof import('../../lib/server/hooks.ts');
type ContextModule = typeof import('../../lib/server/context.ts');
type Exchange = ConstructorParameters<typeof Context>[0];

let calls = 0;

/** Three layers around nothing: what a message costs before any user code does something. */
async function flat({ lib }: Env, handler: () => void | Promise<void>): Promise<Work> {
  const { runHandlers } = await lib<Hooks>('server/hooks.js');
  const { Context: ContextClass } = await lib<ContextModule>('server/context.js');
  const handlers = [handler, handler, handler];
  // Handlers that ask for nothing need nothing to answer.
  const exchange = {} as Exchange;
  return async (count) => {
    for (let i = 0; i < count; i++) {
      const pending = runHandlers(handlers, new ContextClass(exchange, ''));
      if (pending !== undefined) await pending;
    }
    return calls;
  };
}

type Nested = (next: () => Promise<void>) => Promise<void>;

/** The usual way: each layer is an async function that calls the next. */
function nested(): Work {
  const layer: Nested = async (next) => {
    calls++;
    await next();
  };
  const layers = [layer, layer, layer];
  const run = (index: number): Promise<void> =>
    index === layers.length ? Promise.resolve() : layers[index]!(() => run(index + 1));
  return async (count) => {
    for (let i = 0; i < count; i++) await run(0);
    return calls;
  };
}

const countCall = (): void => {
  calls++;
};
const countCallLater = async (): Promise<void> => {
  calls++;
};

export const dispatchCases: readonly CodecCase[] = [
  {
    name: 'dispatch',
    title: 'dispatch through three middlewares',
    bytes: 0,
    subjects: [
      { name: 'hyperlane', prepare: (env) => flat(env, countCall) },
      { name: 'hyperlane async', prepare: (env) => flat(env, countCallLater) },
      { name: 'nested async functions', prepare: nested },
    ],
  },
];
