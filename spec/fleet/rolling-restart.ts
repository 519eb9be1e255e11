/** A fleet behind nginx, with pages of a browser open, whose servers are restarted one after the other. */
import type { Browser } from 'playwright-core';
import { launchBrowser } from '../browser/browser.ts';
import { onCleanUp } from '../support/clean-up.ts';
import { nginxPath } from '../support/external.ts';
import { Nginx } from '../support/nginx.ts';
import type { Fleet } from './fleet.ts';
import { checkLogs, checkWhole, type Findings } from './logs.ts';
import { FleetPage } from './pages.ts';

/** Has clients come in by an nginx with the site of the docs. Until `cleanUp`. */
export async function putNginxBefore(fleet: Fleet): Promise<void> {
  const ports = fleet.servers.map(({ port }) => port);
  const nginx = await Nginx.start(nginxPath()!, ports);
  fleet.entryPort = nginx.port;
}

/** Opens pages, each in a room in turn. Until `cleanUp`. */
export async function openPages(fleet: Fleet, count: number, rooms: number): Promise<FleetPage[]> {
  const browser: Browser = await launchBrowser();
  onCleanUp(() => browser.close());
  const names = Array.from({ length: count }, (_, i) => i);
  return Promise.all(names.map((i) => FleetPage.open(browser, `page ${i}`, String(i % rooms), fleet.entryPort!)));
}

/** Waits until all have been told all that was published, and says what is wrong with that. */
export async function checkAll(fleet: Fleet, pages: readonly FleetPage[]): Promise<Findings> {
  const published = await fleet.published();
  const countOf = (room: string): number => published.get(room)?.length ?? 0;
  await Promise.all([
    ...fleet.subscribers.map((subscriber) => subscriber.until(countOf(subscriber.room))),
    ...pages.map((page) => page.until(1 + countOf(page.room))),
  ]);
  const logs = await Promise.all(pages.map((page) => page.log()));
  const findings = checkLogs(fleet.subscribers, published);
  return { ...findings, faults: [...findings.faults, ...checkWhole(fleet.subscribers, logs)] };
}
