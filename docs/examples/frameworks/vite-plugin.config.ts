/**
 * WebSockets on the port of Vite's development server itself, beside those of its hot module replacement.
 *
 *     npx --prefix docs/examples/frameworks vite docs/examples/frameworks/vite-app --config docs/examples/frameworks/vite-plugin.config.ts
 */
// #region plugin
import { Server } from 'hyperlane-ws';
import { defineConfig, type Plugin } from 'vite';

function websockets(): Plugin {
  const server = new Server();
  server.upgradeMiddleware(async (ctx) => {
    const user = ctx.getRequestQuery('user');
    if (user === undefined) await ctx.sendResponse(401, 'say who you are');
    else ctx.setAttribute('user', user);
  });
  server.route('/websocket', async (ctx) => {
    await ctx.sendResponseBody(`${ctx.getAttribute('user')}: ${ctx.getRequestBodyString()}`);
  });
  return {
    name: 'websockets',
    apply: 'serve',
    configureServer: (vite) => void server.attach(vite.httpServer),
    buildEnd: async () => void (await server.close()),
  };
}

export default defineConfig({ plugins: [websockets()] });
// #endregion plugin
