/**
 * A schema says what clients may send, and what type the handler gets.
 *
 *     node --import tsx docs/examples/validate.ts
 *
 * Then send `{"to":"Alan","text":"Hello"}` to ws://localhost:60000/messages, and something else.
 */
import { Server } from 'hyperlane-ws';
import * as z from 'zod';

const server = new Server({ origins: '*' });

// #region schema
const Message = z.object({
  to: z.string().min(1),
  text: z.string().max(500),
  urgent: z.boolean().default(false),
});

server.route(
  '/messages',
  async (ctx) => {
    const { to, text, urgent } = ctx.getRequestBodyJson(); // string, string, boolean
    await ctx.sendResponseJson({ sent: `${urgent ? '(!) ' : ''}${to}: ${text}` });
  },
  { body: Message },
);
// #endregion schema

// #region answer
server.route(
  '/patient',
  async (ctx) => {
    await ctx.sendResponseJson({ sent: ctx.getRequestBodyJson().text });
  },
  {
    body: Message,
    invalidBody: (ctx, error) => ctx.sendResponseJson({ error: error.message, issues: error.issues }),
  },
);
// #endregion answer

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`validate server on port ${server.address()?.port}`);
