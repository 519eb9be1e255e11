import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe } from 'node:test';
import type { Browser, BrowserContextOptions, Locator, Page, WebSocketRoute } from 'playwright-core';
import { DEFAULT_LIMITS } from '../../docs/examples/group-chat/limits.ts';
import {
  type ChatEvent,
  encodeAt,
  encodeEvent,
  encodePiece,
  encodeReply,
} from '../../docs/examples/group-chat/wire.ts';
import { ExampleProcess } from '../docs/example-process.ts';
import { chromiumPath, skipUnless } from '../support/external.ts';
import { launchBrowser, openPage, PATIENCE_MS } from './browser.ts';
import { landscape } from './png.ts';

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
export const SMALL_PHONE = { ...PHONE, viewport: { width: 320, height: 568 } };

export const PICTURE = { name: 'landscape.png', mimeType: 'image/png', buffer: landscape(640, 400) };

/** Where to put the screenshots, to look at; they are thrown away unless it is given. */
const { SCREENSHOTS_DIR } = process.env;

/** Describes the group chat in a browser: one server and one browser for all tests, and a page of its own for each person. */
export function describeChat(name: string, define: (pages: ChatPages) => void): void {
  describe(name, { timeout: 240_000, ...skipUnless('chromium', chromiumPath() !== undefined) }, () => {
    const pages = new ChatPages();
    before(() => pages.start());
    after(() => pages.stop());
    afterEach(() => pages.tidy());
    define(pages);
  });
}

/** The group chat as `npm start` runs it, and people who have it open in a browser. */
export class ChatPages {
  server!: ExampleProcess;
  browser!: Browser;
  readonly #folder: string = SCREENSHOTS_DIR ?? mkdtempSync(join(tmpdir(), 'group-chat-'));
  #errors: string[] = [];

  async start(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true });
    [this.server, this.browser] = await Promise.all([ExampleProcess.start('group-chat/main.ts'), launchBrowser()]);
  }

  async stop(): Promise<void> {
    await this.browser?.close();
    await this.server?.stop();
    if (SCREENSHOTS_DIR === undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Ends what a test has opened. Neither its pages nor the server may have complained. */
  async tidy(): Promise<void> {
    await Promise.all(this.browser.contexts().map((context) => context.close()));
    const errors = this.#errors;
    this.#errors = [];
    assert.equal(this.server.output, this.address('\n'), 'the server had nothing to complain about');
    assert.deepEqual(errors, [], 'no page has reported an error');
  }

  /** Forgets what browsers say about each attempt to connect that failed. */
  forgetFailedAttempts(): void {
    this.#errors = this.#errors.filter((error) => !error.includes('WebSocket connection to'));
  }

  address(path: string): string {
    return `http://localhost:${this.server.port}/${path}`;
  }

  /** A page of its own, which has been nowhere yet. */
  open(options: BrowserContextOptions = {}): Promise<Page> {
    return openPage(this.browser, { viewport: DESKTOP, ...options }, this.#errors);
  }

  /** Opens the link of a room, as somebody to whom it was sent, and joins. */
  async enter(room: string, name: string, options: BrowserContextOptions = {}): Promise<Page> {
    return this.introduce(await this.open(options), room, name);
  }

  /** @param port - of another server than that of all tests */
  async introduce(page: Page, room: string, name: string, port: number = this.server.port): Promise<Page> {
    await page.goto(`http://localhost:${port}/chat/${encodeURIComponent(room)}`);
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Join the room' }).click();
    await page.locator('#chat.online').waitFor();
    return page;
  }

  /** Opens a room in which this test plays the server. Runs `before` ahead of the scripts of the page. */
  async enterScript(name: string, options: BrowserContextOptions = {}, before = ''): Promise<Script> {
    const page = await this.open(options);
    await page.addInitScript(before);
    const script = await Script.play(page, name);
    await this.introduce(page, 'scripted', name);
    return script;
  }

  async screenshot(page: Page, name: string): Promise<void> {
    await page.screenshot({ path: join(this.#folder, `${name}.png`), animations: 'disabled' });
  }
}

/** A page whose server is the test: what it heard, and what it is told. All are known by their names. */
export class Script {
  readonly page: Page;
  /** What the page said, but for what it is writing. */
  readonly heard: object[] = [];
  /** Whether the page said that its person is writing, each time it did. */
  readonly typing: boolean[] = [];
  /** The pieces of pictures that the page sent. */
  readonly pieces: Buffer[] = [];
  /** The ids of the texts and pictures that it sent. */
  readonly ids: string[] = [];
  /** One for each time the page connected. */
  readonly connections: WebSocketRoute[] = [];
  /** How many messages of the room it was sent: they are its positions. */
  #sent = 0;

  private constructor(page: Page) {
    this.page = page;
  }

  static async play(page: Page, name: string): Promise<Script> {
    const script = new Script(page);
    await page.routeWebSocket(/\/chat\//, (socket) => script.#accept(socket, name));
    return script;
  }

  get connection(): WebSocketRoute {
    return this.connections.at(-1) ?? assert.fail('the page has not connected');
  }

  /** With which position the page has come back. */
  get after(): string | null {
    return new URL(this.connection.url()).searchParams.get('after');
  }

  tell(...events: ChatEvent[]): void {
    for (const event of events) {
      if (event.type === 'text' || event.type === 'picture') this.post(encodeEvent(event));
      else this.connection.send(encodeReply(encodeEvent(event)));
    }
  }

  /** Sends a message of the room. */
  post(body: string | Uint8Array): void {
    const message = encodeAt(`position.${++this.#sent}`, body);
    this.connection.send(typeof message === 'string' ? message : Buffer.from(message));
  }

  /** Sends a picture in pieces of so many bytes. */
  postPieces(id: string, bytes: Buffer, size: number): void {
    for (let i = 0; i < bytes.length; i += size) this.post(encodePiece(id, bytes.subarray(i, i + size)));
  }

  /** Waits until the page has said this, and nothing else. */
  async hears(...expected: object[]): Promise<void> {
    while (this.heard.length < expected.length) await this.page.waitForTimeout(20);
    assert.deepEqual(this.heard.splice(0), expected);
  }

  #accept(socket: WebSocketRoute, name: string): void {
    this.connections.push(socket);
    socket.onMessage((message) => {
      if (typeof message !== 'string') this.pieces.push(message);
      else {
        const { id, ...said } = JSON.parse(message);
        if (id !== undefined) this.ids.push(id);
        if (said.type === 'typing') this.typing.push(said.isTyping);
        else this.heard.push(said);
      }
    });
    const { maxTextLength, maxPictureBytes, pieceBytes } = DEFAULT_LIMITS;
    this.tell(
      { type: 'welcome', key: name, room: 'scripted', maxTextLength, maxPictureBytes, pieceBytes },
      { type: 'people', names: [name, 'Grace'] },
      { type: 'ready', name },
    );
  }
}

export function text(id: string, said = `text ${id}`, name = 'Grace', at = Date.now()): ChatEvent & { type: 'text' } {
  return { type: 'text', id, at, from: name, name, text: said };
}

export async function say(page: Page, said: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(said);
  await page.keyboard.press('Enter');
}

export async function sees(page: Page, said: string | RegExp): Promise<void> {
  await page.getByRole('log').getByText(said).waitFor();
}

export async function seesPicture(page: Page, from: string): Promise<void> {
  const image = page.getByRole('log').getByAltText(`Picture from ${from}`);
  await image.waitFor();
  const width = await image.evaluate((element: { decode(): Promise<void>; naturalWidth: number }) =>
    element.decode().then(() => element.naturalWidth),
  );
  assert.equal(width, 640);
}

/** Waits until what a page says of itself is so; the last that it said is in the message if it never is. */
export async function comesTo<T>(what: () => Promise<T>, isSo: (value: T) => boolean, sentence: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await what();
    if (isSo(value)) return;
    if (Date.now() > deadline) assert.fail(`${sentence}: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** How far the messages are from their end, in pixels. */
export function distanceToEnd(page: Page): Promise<number> {
  return page.locator('#log').evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
}

/** What is wider than the page, or cut off at its side, by name and right edge. */
export async function tooWide(page: Page): Promise<string[]> {
  return page.locator('body').evaluate((body) => {
    // Not `innerWidth`: a phone zooms out until it shows all that is too wide.
    const { clientWidth } = body.ownerDocument.documentElement;
    const found: string[] = [];
    for (const element of body.querySelectorAll('*')) {
      const style = body.ownerDocument.defaultView.getComputedStyle(element);
      // What is for screen readers only, and what is cut off by what it stands in.
      if (style.clipPath !== 'none' || style.display === 'inline' || element.closest('svg') !== null) continue;
      const { left, right, width } = element.getBoundingClientRect();
      const name = `${element.tagName.toLowerCase()}#${element.id}.${element.className}`;
      if (width > 0 && (left < -0.5 || right > clientWidth + 0.5)) found.push(`${name} from ${left} to ${right}`);
    }
    for (const element of [body, body.ownerDocument.documentElement, ...body.querySelectorAll('#lobby, #log, #people')])
      if (element.scrollWidth > element.clientWidth) found.push(`${element.id} scrolls to ${element.scrollWidth}`);
    return found;
  });
}

/** What is to be pressed: of a box to tick all of its label. */
const TARGETS = 'button, .bar a, textarea, input:not([type="checkbox"]), label:has(input)';

/** All that can be seen to be pressed, and is smaller than a finger needs. */
export async function tooSmall(page: Page): Promise<string[]> {
  const found: string[] = [];
  const targets: Locator[] = await page.locator(TARGETS).filter({ visible: true }).all();
  for (const target of targets) {
    const box = await target.boundingBox();
    if (box === null) continue;
    if (box.width < 44 || box.height < 44) found.push(`${await target.innerHTML()} is ${box.width} x ${box.height}`);
  }
  return found;
}
