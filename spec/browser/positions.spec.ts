import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { chromiumPath, skipUnless } from '../support/external.ts';
import { makeServer, run } from '../support/running-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { launchBrowser, openPage, PATIENCE_MS } from './browser.ts';

const SCRIPT = readFileSync(new URL('../../docs/examples/positions-page.js', import.meta.url), 'utf8');
const PAGE = `<!doctype html><title>positions</title><script type="module">
  import { follow } from '/positions-page.js';
  window.seen = [];
  follow('/room', (body) => seen.push(body), () => seen.push('start'));
</script>`;

/** For how long the page is cut off. */
const CUT_MS = 3000;

describe('a page with positions.hyperlane, in a browser', {
  timeout: 120_000,
  ...skipUnless('chromium', chromiumPath() !== undefined),
}, () => {
  let browser: Browser;

  before(async () => {
    browser = await launchBrowser();
  });
  after(() => browser?.close());
  afterEach(cleanUp);

  /** Opens the page, through a proxy; returns what it has seen, what can cut it off, and the server. */
  async function open(historyMessages: number) {
    const { server } = makeServer({ subprotocols: ['positions.hyperlane'], topics: { historyMessages } });
    server.route('/room', () => {}, {
      connected: (ctx) => ctx.subscribe('room', { after: ctx.getRequestQuery('after') }),
    });
    server.route('/positions-page.js', async (ctx) => {
      ctx.setResponseHeader('Content-Type', 'text/javascript');
      await ctx.sendResponse(200, SCRIPT);
    });
    server.route('/', async (ctx) => {
      ctx.setResponseHeader('Content-Type', 'text/html');
      await ctx.sendResponse(200, PAGE);
    });
    const proxy = await TcpProxy.open(await run(server));
    onCleanUp(() => proxy.close());
    const page = await openPage(browser, {}, []);
    onCleanUp(() => page.context().close());
    await page.goto(`http://127.0.0.1:${proxy.port}/`);
    await seen(page, 1);
    return { server, proxy, page };
  }

  /** What the page has seen, once it is so much. */
  async function seen(page: Page, count: number): Promise<string[]> {
    await page.waitForFunction(`window.seen?.length >= ${count}`, undefined, { timeout: PATIENCE_MS });
    return page.evaluate('window.seen');
  }

  function names(from: number, to: number): string[] {
    return Array.from({ length: to - from }, (_, i) => `message ${from + i}`);
  }

  it('has all 500 messages that passed while it was cut off, in order and once', async () => {
    const { server, proxy, page } = await open(1000);
    for (const body of names(0, 10)) await server.publish('room', body);
    await seen(page, 11);
    proxy.cut();
    for (const body of names(10, 510)) {
      await server.publish('room', body);
      await new Promise((resolve) => setTimeout(resolve, CUT_MS / 500));
    }
    proxy.heal();
    await seen(page, 511);
    await server.publish('room', 'message 510');
    assert.deepEqual(await seen(page, 512), ['start', ...names(0, 511)]);
  });

  it('is told once that it has missed something, where the history is too short', async () => {
    const { server, proxy, page } = await open(100);
    for (const body of names(0, 10)) await server.publish('room', body);
    await seen(page, 11);
    proxy.cut();
    for (const body of names(10, 510)) await server.publish('room', body);
    proxy.heal();
    await seen(page, 112);
    await server.publish('room', 'message 510');
    assert.deepEqual(await seen(page, 113), ['start', ...names(0, 10), 'start', ...names(410, 511)]);
  });
});
