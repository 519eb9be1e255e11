import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser, BrowserContextOptions, Page, WebSocketRoute } from 'playwright-core';
import { DEFAULT_LIMITS } from '../../docs/examples/group-chat/limits.ts';
import { type ChatEvent, encodeEvent } from '../../docs/examples/group-chat/wire.ts';
import { ExampleProcess } from '../docs/example-process.ts';
import { chromiumPath, skipUnless } from '../support/external.ts';
import { launchBrowser, openPage } from './browser.ts';
import { landscape, noise } from './png.ts';

const PICTURE = { name: 'landscape.png', mimeType: 'image/png', buffer: landscape(640, 400) };
const DESKTOP = { width: 1180, height: 760 };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const SMALL_PHONE = { ...PHONE, viewport: { width: 320, height: 568 } };
/** Where to put the screenshots, to look at; they are thrown away unless it is given. */
const { SCREENSHOTS_DIR } = process.env;

describe('docs/examples/group-chat in a browser', {
  timeout: 240_000,
  ...skipUnless('chromium', chromiumPath() !== undefined),
}, () => {
  let server: ExampleProcess;
  let browser: Browser;
  let errors: string[] = [];
  let folder: string;

  before(async () => {
    folder = SCREENSHOTS_DIR ?? mkdtempSync(join(tmpdir(), 'group-chat-'));
    mkdirSync(folder, { recursive: true });
    [server, browser] = await Promise.all([ExampleProcess.start('group-chat/main.ts'), launchBrowser()]);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    if (SCREENSHOTS_DIR === undefined) rmSync(folder, { recursive: true, force: true });
  });
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    const seen = errors;
    errors = [];
    assert.equal(server.output, `http://localhost:${server.port}/\n`, 'the server had nothing to complain about');
    assert.deepEqual(seen, [], 'no page has reported an error');
  });

  /** Opens the link of a room, as somebody to whom it was sent, and joins. */
  async function enter(room: string, name: string, options: BrowserContextOptions = {}): Promise<Page> {
    const page = await openPage(browser, { viewport: DESKTOP, ...options }, errors);
    return introduce(page, room, name);
  }

  async function introduce(page: Page, room: string, name: string): Promise<Page> {
    await page.goto(`http://localhost:${server.port}/chat/${encodeURIComponent(room)}`);
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Join the room' }).click();
    await page.locator('#chat.online').waitFor();
    return page;
  }

  it('shows text and pictures to all in the room, and to those who come later', async () => {
    const [ada, grace] = await Promise.all([enter('show', 'Ada'), enter('show', 'Grace')]);
    await say(ada, '<b>Hello</b> & welcome');
    await sees(grace, '<b>Hello</b> & welcome');
    await say(grace, 'Look at https://example.com/a?b=c.');
    await sees(ada, 'Look at https://example.com/a?b=c.');
    assert.equal(await ada.getByRole('link', { name: 'https://example.com/a?b=c' }).count(), 1);
    await grace.locator('#picture').setInputFiles(PICTURE);
    await seesPicture(ada, 'Grace');
    await seesPicture(grace, 'Grace');

    const alan = await enter('show', 'Alan');
    await sees(alan, '<b>Hello</b> & welcome');
    await seesPicture(alan, 'Grace');
    await ada.getByText('Alan joined').waitFor();
    assert.deepEqual(await ada.locator('#people-list li').allInnerTexts(), ['A\nAda\nyou', 'A\nAlan', 'G\nGrace']);
    await alan.close();
    await ada.getByText('Alan left').waitFor();
    assert.equal(await ada.locator('#people-count').innerText(), '2');
  });

  it('comes back by itself when the server does: same room, same name, with what was being written', async () => {
    const [ada, grace] = await Promise.all([enter('restart', 'Ada'), enter('restart', 'Grace')]);
    await say(ada, 'before');
    await sees(grace, 'before');
    await server.stop();
    for (const page of [ada, grace]) await page.getByText('Connection lost, reconnecting…').waitFor();
    await ada.getByLabel('Message', { exact: true }).fill('written without a connection');
    await ada.keyboard.press('Enter');
    await ada.getByRole('alert').getByText('your text stays here').waitFor();
    await screenshot(ada, 'reconnecting');

    server = await ExampleProcess.start('group-chat/main.ts', { PORT: String(server.port) });
    for (const page of [ada, grace]) {
      await page.getByText('Connection lost, reconnecting…').waitFor({ state: 'hidden' });
      await page.locator('#status').getByText('2 people here').waitFor();
      await sees(page, 'before');
    }
    assert.equal(await ada.getByLabel('Message', { exact: true }).inputValue(), 'written without a connection');
    await ada.getByLabel('Message', { exact: true }).press('Enter');
    await sees(grace, 'written without a connection');
    assert.deepEqual(await grace.locator('#people-list li').allInnerTexts(), ['G\nGrace\nyou', 'A\nAda']);
    // The browser reports each attempt that failed.
    errors = errors.filter((error) => !error.includes('WebSocket connection to'));
  });

  it('asks for what it missed, shows it in order, and sends again what did not arrive', async () => {
    const heard: object[] = [];
    const connections: WebSocketRoute[] = [];
    const page = await openPage(browser, { viewport: DESKTOP }, errors);
    await page.routeWebSocket(/\/chat\//, (socket) => {
      connections.push(socket);
      socket.onMessage((message) => heard.push(JSON.parse(String(message))));
      const { maxTextLength, maxPictureBytes } = DEFAULT_LIMITS;
      tell(socket, { type: 'welcome', name: 'Ada', room: 'scripted', maxTextLength, maxPictureBytes });
      tell(socket, { type: 'people', names: ['Ada', 'Grace'] });
      tell(socket, { type: 'ready' });
    });
    const shown = () =>
      page.locator('.entry .bubble').evaluateAll((all) => all.map((one) => one.firstChild.textContent));
    const heardIs = async (...expected: object[]) => {
      while (heard.length < expected.length) await page.waitForTimeout(20);
      assert.deepEqual(heard.splice(0), expected);
    };
    await introduce(page, 'scripted', 'Ada');

    const [first] = connections as [WebSocketRoute];
    tell(first, text('1'));
    tell(first, { type: 'lagged', missed: 7 });
    tell(first, text('4'));
    await heardIs({ type: 'history', after: '1' });
    tell(first, { type: 'people', names: ['Ada', 'Alan'] });
    for (const id of ['2', '3', '4']) tell(first, text(id));
    tell(first, { type: 'ready' });
    tell(first, text('3'));
    tell(first, text('5'));
    await sees(page, 'text 5');
    assert.deepEqual(await shown(), ['text 1', 'text 2', 'text 3', 'text 4', 'text 5']);
    assert.deepEqual(await page.locator('#people-list li').allInnerTexts(), ['A\nAda\nyou', 'A\nAlan']);

    await say(page, 'lost on the way');
    await heardIs({ type: 'text', text: 'lost on the way' });
    await first.close();
    await heardIs({ type: 'text', text: 'lost on the way' });
    const [, second] = connections as [WebSocketRoute, WebSocketRoute];
    assert.equal(new URL(second.url()).searchParams.get('after'), '5');
    tell(second, { ...text('6'), name: 'Ada', text: 'lost on the way' });
    await sees(page, 'lost on the way');
    await second.close();
    await page.locator('#chat:not(.online)').waitFor();
    await page.locator('#chat.online').waitFor();
    await heardIs();
  });

  it('takes a reload for the same person, and a second window for another', async () => {
    const ada = await enter('names', 'Ada');
    await ada.reload();
    await ada.locator('#chat.online').waitFor();
    await ada.getByText('You joined as Ada', { exact: true }).waitFor();
    const second = await enter('names', 'ada');
    await second.getByText('You joined as ada 2', { exact: true }).waitFor();
    await say(second, 'the other one');
    assert.equal(await ada.locator('.entry.mine').count(), 0);
    await sees(ada, 'the other one');
  });

  it('can be used by keyboard alone', async () => {
    const grace = await enter('keys', 'Grace');
    const ada = await openPage(browser, { viewport: DESKTOP }, errors);
    await ada.goto(`http://localhost:${server.port}/`);
    await ada.keyboard.type('Ada');
    await ada.keyboard.press('Tab');
    await ada.keyboard.type('keys');
    await ada.keyboard.press('Enter');
    await ada.locator('#chat.online').waitFor();

    await ada.keyboard.type('first line');
    await ada.keyboard.press('Shift+Enter');
    await ada.keyboard.type('second line');
    await ada.keyboard.press('Enter');
    await sees(grace, 'first line second line');
    assert.equal(await ada.getByLabel('Message', { exact: true }).inputValue(), '');

    const reached: string[] = [];
    for (let i = 0; i < 12 && !reached.includes('Skip to the message box'); i++) {
      await ada.keyboard.press(i === 0 ? 'Tab' : 'Shift+Tab');
      const focused = ada.locator(':focus-visible');
      const [name, outline] = await focused.evaluate((element) => {
        const style = element.ownerDocument.defaultView.getComputedStyle(element.closest('.composer') ?? element);
        const own = element.ownerDocument.defaultView.getComputedStyle(element);
        const shown = [style, own].some((one) => one.outlineStyle !== 'none' && one.outlineWidth !== '0px');
        return [element.getAttribute('aria-label') ?? (element.innerText || element.id), shown];
      });
      assert.ok(outline, `focus can be seen on ${name}`);
      reached.push(name.trim());
    }
    const all = 'Send, message, Send a picture, Messages, Copy link, Leave the room, Skip to the message box';
    assert.equal(reached.join(', '), all);
    await ada.keyboard.press('Enter');
    await ada.keyboard.type('skipped to here');
    assert.equal(await ada.getByLabel('Message', { exact: true }).inputValue(), 'skipped to here');

    await ada.locator('#picture').setInputFiles(PICTURE);
    await seesPicture(ada, 'Ada');
    await ada.getByRole('button', { name: 'Picture from Ada' }).press('Enter');
    await ada.getByRole('dialog').waitFor();
    await screenshot(ada, 'viewer');
    await ada.keyboard.press('Escape');
    await ada.getByRole('dialog').waitFor({ state: 'hidden' });
  });

  it('makes a large picture smaller, and says why it does not send what it cannot', async () => {
    const [ada, grace] = await Promise.all([enter('pictures', 'Ada'), enter('pictures', 'Grace')]);
    const input = ada.locator('#picture');
    await input.setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no picture') });
    await ada.getByRole('alert').getByText('Only PNG, JPEG, GIF and WebP').waitFor();
    await input.setInputFiles({ name: 'long.gif', mimeType: 'image/gif', buffer: Buffer.alloc(2 ** 20 + 1, 'GIF89a') });
    await ada.getByRole('alert').getByText('1,025 KiB, and at most 1,024 KiB').waitFor();
    await input.setInputFiles({ name: 'fake.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
    await ada.getByRole('alert').getByText('Only PNG, JPEG, GIF and WebP').waitFor();
    const large = noise(800, 600);
    assert.ok(large.length > 2 ** 20);
    await input.setInputFiles({ name: 'noise.png', mimeType: 'image/png', buffer: large });
    await grace.getByRole('log').getByAltText('Picture from Ada').waitFor();
    assert.ok(await ada.locator('#problem').isHidden());
  });

  it('fits a phone', async () => {
    const ada = await enter('A room with a rather long name for a phone', 'Ada', SMALL_PHONE);
    await say(ada, `${'long'.repeat(60)} https://example.com/${'path/'.repeat(30)}`);
    await ada.locator('#picture').setInputFiles(PICTURE);
    await seesPicture(ada, 'Ada');
    await ada.getByRole('button', { name: 'show who is here' }).click();
    await ada.getByRole('heading', { name: 'People here' }).waitFor();
    await screenshot(ada, 'phone-small-people');
    await ada.keyboard.press('Escape');
    const [scrollWidth, width] = await ada
      .locator('html')
      .evaluate((html) => [Math.max(html.scrollWidth, html.ownerDocument.body.scrollWidth), html.clientWidth]);
    assert.equal(width, 320);
    assert.ok(scrollWidth <= width, `the page is ${scrollWidth} wide`);
    const log = await ada.locator('#log').evaluate((element) => [element.scrollWidth, element.clientWidth]);
    assert.ok(log[0]! <= log[1]!, `the messages are ${log[0]} wide`);
    for (const target of await ada.locator('#chat button:visible, #chat .bar a:visible, textarea').all()) {
      const box = (await target.boundingBox())!;
      assert.ok(box.width >= 44 && box.height >= 44, `${await target.innerHTML()} is ${box.width} x ${box.height}`);
      assert.ok(box.x >= 0 && box.x + box.width <= 320);
    }
  });

  it('looks good in light, in dark and on a phone', async () => {
    const room = 'Reading group';
    const ada = await enter(room, 'Ada', { colorScheme: 'light' });
    const grace = await enter(room, 'Grace', { colorScheme: 'dark' });
    const alan = await enter(room, 'Alan', { ...PHONE, colorScheme: 'light' });
    await converse([
      [grace, 'Has everybody read the chapter on framing?'],
      [ada, 'Twice. The part on masking is better the second time.'],
      [ada, 'I have a question on control frames, though: may they come between the fragments of a message?'],
      [alan, 'They may, and they must not be fragmented themselves.'],
      [grace, 'Section 5.4, in the middle. Here is the view from where I read it:'],
    ]);
    await grace.locator('#picture').setInputFiles(PICTURE);
    await Promise.all([ada, grace, alan].map((page) => seesPicture(page, 'Grace')));
    await converse([
      [alan, 'Lovely! Where is that?'],
      [grace, 'Up the hill behind the library. Bring the book on Thursday?'],
      [ada, 'I am in.'],
    ]);
    await screenshot(ada, 'desktop-light');
    await screenshot(grace, 'desktop-dark');
    await screenshot(alan, 'phone');
    await alan.emulateMedia({ colorScheme: 'dark' });
    await screenshot(alan, 'phone-dark');

    const lobby = await openPage(browser, { viewport: DESKTOP, colorScheme: 'light' }, errors);
    await lobby.goto(`http://localhost:${server.port}/`);
    await screenshot(lobby, 'lobby-light');
    await lobby.emulateMedia({ colorScheme: 'dark' });
    await lobby.goto(`http://localhost:${server.port}/chat/Reading%20group`);
    await screenshot(lobby, 'lobby-dark');
    const empty = await enter('empty', 'Ada', { ...PHONE, colorScheme: 'dark' });
    await screenshot(empty, 'phone-empty');
  });

  async function screenshot(page: Page, name: string): Promise<void> {
    await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
  }

  /** Each waits until all have seen what was said before. */
  async function converse(lines: readonly (readonly [Page, string])[]): Promise<void> {
    const pages = new Set(lines.map(([page]) => page));
    for (const [page, text] of lines) {
      await say(page, text);
      await Promise.all([...pages].map((other) => sees(other, text)));
    }
  }
});

function tell(socket: WebSocketRoute, event: ChatEvent): void {
  socket.send(encodeEvent(event));
}

function text(id: string): ChatEvent & { type: 'text' } {
  return { type: 'text', id, at: Date.now(), name: 'Grace', text: `text ${id}` };
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

async function sees(page: Page, text: string): Promise<void> {
  await page.getByRole('log').getByText(text).waitFor();
}

async function seesPicture(page: Page, from: string): Promise<void> {
  const image = page.getByRole('log').getByAltText(`Picture from ${from}`);
  await image.waitFor();
  const width = await image.evaluate((element: { decode(): Promise<void>; naturalWidth: number }) =>
    element.decode().then(() => element.naturalWidth),
  );
  assert.equal(width, 640);
}
