/** Pages of a browser that follow rooms of a fleet, by the snippet that the reference tells to copy. */
import type { Browser, Page } from 'playwright-core';
import { openPage, PATIENCE_MS } from '../browser/browser.ts';
import type { PageLog } from './logs.ts';

export class FleetPage {
  readonly name: string;
  readonly room: string;
  readonly #page: Page;
  /** How many WebSockets it has made. */
  attempts = 0;

  private constructor(name: string, room: string, page: Page) {
    this.name = name;
    this.room = room;
    this.#page = page;
    page.on('websocket', () => this.attempts++);
  }

  /** Resolves when the page has begun to follow. @param port - where the servers are */
  static async open(browser: Browser, name: string, room: string, port: number): Promise<FleetPage> {
    const page = new FleetPage(name, room, await openPage(browser, {}, []));
    await page.#page.goto(`http://127.0.0.1:${port}/#${room}`);
    await page.until(1);
    return page;
  }

  /** Resolves when it was told so much. */
  async until(count: number): Promise<void> {
    await this.#page.waitForFunction(`window.told?.length >= ${count}`, undefined, { timeout: PATIENCE_MS });
  }

  async log(): Promise<PageLog> {
    return { name: this.name, room: this.room, told: await this.#page.evaluate('window.told') };
  }
}
