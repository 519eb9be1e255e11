/**
 * Vite's development server in front of an application, such as express.ts: it passes requests and WebSockets on.
 *
 *     node --import tsx docs/examples/frameworks/express.ts &
 *     npx --prefix docs/examples/frameworks vite docs/examples/frameworks/vite-app --config docs/examples/frameworks/vite-proxy.config.ts
 */
// #region proxy
import { defineConfig } from 'vite';

const application = process.env.APPLICATION ?? 'http://localhost:3000';

export default defineConfig({
  server: {
    proxy: {
      '/login': { target: application },
      '/websocket': { target: application, ws: true },
    },
  },
});
// #endregion proxy
