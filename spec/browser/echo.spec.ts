import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { ExampleProcess } from '../docs/example-process.ts';
import { chromiumPath, skipUnless } from '../support/external.ts';
import { launchBrowser, openPage } from './browser.ts';

/** The client that hyperlane's page on WebSockets shows, to the letter. It names this port. */
const SEED_CLIENT = readFileSync(new URL('seed-client.js', import.meta.url), 'utf8');
const PORT = 60000;
const SITE = `http://localhost:${PORT}`;

/** The port is of those that systems choose from: connections of other specs may have it for a moment. */
const ATTEMPTS = 20;

async function startEcho(): Promise<ExampleProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ExampleProcess.start('echo.ts', { PORT: String(PORT) });
    } catch (error) {
      if (attempt < ATTEMPTS) continue;
      const { message } = error as Error;
      throw new Error(`this spec needs port ${PORT}, which the client names: stop what listens there\n${message}`);
    }
  }
}

describe("hyperlane's own client in a browser", {
  timeout: 120_000,
  ...skipUnless('chromium', chromiumPath() !== undefined),
}, () => {
  let echo: ExampleProcess;
  let browser: Browser;

  before(async () => {
    echo = await startEcho();
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await echo?.stop();
  });

  it('is the client that the example serves', async () => {
    const response = await fetch(`${SITE}/client.js`);
    assert.equal((await response.text()).trim(), SEED_CLIENT.trim());
  });

  it('gets back each second, as text, what it sent; and is told when the server is gone', async () => {
    // A page of another origin than the server's, as the seed's may be.
    const pages = createServer((request, response) => {
      const isScript = request.url === '/seed-client.js';
      response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
      response.end(isScript ? SEED_CLIENT : '<!doctype html><script src="/seed-client.js"></script>');
    });
    await new Promise<void>((resolve) => pages.listen(0, 'localhost', resolve));
    after(() => pages.close());
    const page = await openPage(browser, {}, []);
    const lines: string[] = [];
    page.on('console', (message) => lines.push(message.text()));
    await page.goto(`http://localhost:${(pages.address() as AddressInfo).port}/`);

    const received = () => lines.filter((line) => line.startsWith('Receive: '));
    while (received().length < 3 && !lines.includes('WebSocket closed')) await page.waitForEvent('console');
    assert.equal(lines[0], 'WebSocket opened', lines.join('\n'));
    const times = received().map((line) => {
      const [, time] = /^Receive: {2}Now time: (\S+)$/.exec(line) ?? assert.fail(line);
      return Date.parse(time!);
    });
    for (const [i, time] of times.entries()) {
      if (i > 0) assert.ok(time - times[i - 1]! > 500, `they come each second: ${received().join('; ')}`);
    }

    const closed = page.waitForEvent('console', { predicate: (message) => message.text() === 'WebSocket closed' });
    await echo.stop();
    await closed;
  });
});
