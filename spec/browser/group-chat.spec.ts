import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';
import type { Page } from 'playwright-core';
import { createChatServer } from '../../docs/examples/group-chat/chat.ts';
import type { ChatLimits } from '../../docs/examples/group-chat/limits.ts';
import { encodeEvent } from '../../docs/examples/group-chat/wire.ts';
import { ExampleProcess } from '../docs/example-process.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { run } from '../support/running-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import {
  describeChat,
  PHONE,
  PICTURE,
  SMALL_PHONE,
  say,
  sees,
  seesPicture,
  text,
  tooSmall,
  tooWide,
} from './chat-pages.ts';
import { noise } from './png.ts';

describeChat('docs/examples/group-chat in a browser', (pages) => {
  afterEach(cleanUp);

  it('shows text and pictures to all in the room, and to those who come later', async () => {
    const [ada, grace] = await Promise.all([pages.enter('show', 'Ada'), pages.enter('show', 'Grace')]);
    await say(ada, '<b>Hello</b> & welcome');
    await sees(grace, '<b>Hello</b> & welcome');
    await say(grace, 'Look at https://example.com/a?b=c.');
    await sees(ada, 'Look at https://example.com/a?b=c.');
    assert.equal(await ada.getByRole('link', { name: 'https://example.com/a?b=c' }).count(), 1);
    await grace.locator('#picture').setInputFiles(PICTURE);
    await seesPicture(ada, 'Grace');
    await seesPicture(grace, 'Grace');

    const alan = await pages.enter('show', 'Alan');
    await sees(alan, '<b>Hello</b> & welcome');
    await seesPicture(alan, 'Grace');
    await ada.getByText('Alan joined').waitFor();
    assert.deepEqual(await ada.locator('#people-list li').allInnerTexts(), ['A\nAda\nyou', 'A\nAlan', 'G\nGrace']);
    await alan.close();
    await ada.getByText('Alan came and went').waitFor();
    assert.equal(await ada.locator('#people-count').innerText(), '2');
  });

  it('comes back by itself when the server does: same room, same name, with what was being written', async () => {
    const [ada, grace] = await Promise.all([pages.enter('restart', 'Ada'), pages.enter('restart', 'Grace')]);
    await say(ada, 'before');
    await sees(grace, 'before');
    await pages.server.stop();
    for (const page of [ada, grace]) await page.getByText('Connection lost, reconnecting…').waitFor();
    await ada.getByLabel('Message', { exact: true }).fill('written without a connection');
    await ada.keyboard.press('Enter');
    await ada.getByRole('alert').getByText('your text stays here').waitFor();
    await pages.screenshot(ada, 'reconnecting');

    pages.server = await ExampleProcess.start('group-chat/main.ts', { PORT: String(pages.server.port) });
    for (const page of [ada, grace]) {
      await page.getByText('Connection lost, reconnecting…').waitFor({ state: 'hidden' });
      await page.locator('#status').getByText('2 people here').waitFor();
      await sees(page, 'before');
    }
    assert.equal(await ada.getByLabel('Message', { exact: true }).inputValue(), 'written without a connection');
    await ada.getByLabel('Message', { exact: true }).press('Enter');
    await sees(grace, 'written without a connection');
    assert.deepEqual(await grace.locator('#people-list li').allInnerTexts(), ['G\nGrace\nyou', 'A\nAda']);
    pages.forgetFailedAttempts();
  });

  it('says where it was when it comes back, and sends again what did not arrive', async () => {
    const script = await pages.enterScript('Ada');
    const { page } = script;
    script.tell(text('1'), text('2'));
    await sees(page, 'text 2');
    await say(page, 'lost on the way');
    await script.hears({ type: 'text', text: 'lost on the way' });
    await script.connection.close();
    await script.hears({ type: 'text', text: 'lost on the way' });
    assert.equal(script.after, 'position.2');
    const [id, again] = script.ids;
    assert.equal(id, again, 'by the same id, by which it is posted once');
    script.tell(text(id!, 'lost on the way', 'Ada'));
    await sees(page, 'lost on the way');
    await script.connection.close();
    await page.locator('#chat:not(.online)').waitFor();
    await page.locator('#chat.online').waitFor();
    await script.hears();
  });

  it('has all 500 messages that passed while it was cut off, in order and once', async () => {
    const { page, proxy, post } = await openBehindProxy();
    await post(0, 5);
    await sees(page, 'message 4');
    await cut(page, proxy);
    await post(5, 505);
    await reconnect(page, proxy);
    await post(505, 506);
    await sees(page, 'message 505');
    assert.deepEqual(await logOf(page), ['You joined as Ada', ...texts(0, 506)]);

    await cut(page, proxy);
    await post(506, 700);
    await reconnect(page, proxy);
    await sees(page, 'message 699');
    assert.ok((await page.locator('.entry').count()) < 600, 'the oldest go');
    const first = await page.locator('#entries').evaluate((entries) => entries.firstElementChild.innerText);
    assert.equal(first, 'Today', 'the line of the day stays when what stood below it is gone');
  });

  it('is told once where messages are missing, when the history is too short', async () => {
    const { page, proxy, post } = await openBehindProxy({ maxHistoryMessages: 100 });
    await post(0, 5);
    await sees(page, 'message 4');
    await cut(page, proxy);
    await post(5, 505);
    await reconnect(page, proxy);
    await pages.screenshot(page, 'gap');
    await cut(page, proxy);
    await reconnect(page, proxy);
    await post(505, 506);
    await sees(page, 'message 505');
    const all = ['You joined as Ada', ...texts(0, 5), 'Some messages are missing here', ...texts(405, 506)];
    assert.deepEqual(await logOf(page), all);
  });

  it('takes another name when somebody else had its own first', async () => {
    const script = await pages.enterScript('Ada');
    script.tell({ type: 'renamed', name: 'Ada 2' }, { type: 'people', names: ['Ada', 'Ada 2'] });
    await sees(script.page, 'You are called Ada 2 now');
    assert.deepEqual(await script.page.locator('#people-list li').allInnerTexts(), ['A\nAda 2\nyou', 'A\nAda']);
  });

  it('takes a reload for the same person, and a second window for another', async () => {
    const ada = await pages.enter('names', 'Ada');
    await ada.reload();
    await ada.locator('#chat.online').waitFor();
    await ada.getByText('You joined as Ada', { exact: true }).waitFor();
    const second = await pages.enter('names', 'ada');
    await second.getByText('You joined as ada 2', { exact: true }).waitFor();
    await say(second, 'the other one');
    assert.equal(await ada.locator('.entry.mine').count(), 0);
    await sees(ada, 'the other one');
  });

  it('can be used by keyboard alone', async () => {
    const grace = await pages.enter('keys', 'Grace');
    const ada = await pages.open();
    await ada.goto(pages.address(''));
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
    await pages.screenshot(ada, 'viewer');
    await ada.keyboard.press('Escape');
    await ada.getByRole('dialog').waitFor({ state: 'hidden' });
  });

  it('makes a large picture smaller, and says why it does not send what it cannot', async () => {
    const [ada, grace] = await Promise.all([pages.enter('pictures', 'Ada'), pages.enter('pictures', 'Grace')]);
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
    const ada = await pages.enter('A room with a rather long name for a phone', 'Ada', SMALL_PHONE);
    await say(ada, `${'long'.repeat(60)} https://example.com/${'path/'.repeat(30)}`);
    await ada.locator('#picture').setInputFiles(PICTURE);
    await seesPicture(ada, 'Ada');
    await ada.getByRole('button', { name: 'show who is here' }).click();
    await ada.getByRole('heading', { name: 'People here' }).waitFor();
    await pages.screenshot(ada, 'phone-small-people');
    await ada.keyboard.press('Escape');
    assert.deepEqual(await tooWide(ada), []);
    assert.deepEqual(await tooSmall(ada), []);
  });

  it('looks good in light, in dark and on a phone', async () => {
    const room = 'Reading group';
    const ada = await pages.enter(room, 'Ada', { colorScheme: 'light' });
    const grace = await pages.enter(room, 'Grace', { colorScheme: 'dark' });
    const alan = await pages.enter(room, 'Alan', { ...PHONE, colorScheme: 'light' });
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
    await pages.screenshot(ada, 'desktop-light');
    await pages.screenshot(grace, 'desktop-dark');
    await pages.screenshot(alan, 'phone');
    await alan.emulateMedia({ colorScheme: 'dark' });
    await pages.screenshot(alan, 'phone-dark');

    const lobby = await pages.open({ colorScheme: 'light' });
    await lobby.goto(pages.address(''));
    await pages.screenshot(lobby, 'lobby-light');
    await lobby.emulateMedia({ colorScheme: 'dark' });
    await lobby.goto(pages.address('chat/Reading%20group'));
    await pages.screenshot(lobby, 'lobby-dark');
    const empty = await pages.enter('empty', 'Ada', { ...PHONE, colorScheme: 'dark' });
    await pages.screenshot(empty, 'phone-empty');
  });

  /** A chat of its own, behind what can cut it off, and a page in it. */
  async function openBehindProxy(limits: Partial<ChatLimits> = {}) {
    const server = createChatServer(limits);
    const proxy = await TcpProxy.open(await run(server));
    onCleanUp(() => proxy.close());
    const page = await pages.introduce(await pages.open(), 'cut', 'Ada', proxy.port);
    const post = async (from: number, to: number): Promise<void> => {
      for (const said of texts(from, to)) await server.publish('room/cut', encodeEvent(text(said, said)));
    };
    return { page, proxy, post };
  }

  async function cut(page: Page, proxy: TcpProxy): Promise<void> {
    proxy.cut();
    await page.getByText('Connection lost, reconnecting…').waitFor();
  }

  /** Has the network come back, and the browser notice it. */
  async function reconnect(page: Page, proxy: TcpProxy): Promise<void> {
    proxy.heal();
    await page.evaluate('dispatchEvent(new Event("online"))');
    await page.locator('#chat.online').waitFor();
    pages.forgetFailedAttempts();
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

function texts(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `message ${from + i}`);
}

/** What stands in the log: texts and notices, one after another. */
function logOf(page: Page): Promise<string[]> {
  return page.locator('.notice, .entry .text').allInnerTexts();
}
