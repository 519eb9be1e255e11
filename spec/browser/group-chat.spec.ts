import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Page } from 'playwright-core';
import { ExampleProcess } from '../docs/example-process.ts';
import { chromiumPath, skipUnless } from '../support/external.ts';
import {
  ChatPages,
  PHONE,
  PICTURE,
  say,
  sees,
  seesPicture,
  SMALL_PHONE,
  text,
  tooSmall,
  tooWide,
} from './chat-pages.ts';
import { noise } from './png.ts';

describe('docs/examples/group-chat in a browser', {
  timeout: 240_000,
  ...skipUnless('chromium', chromiumPath() !== undefined),
}, () => {
  let pages: ChatPages;
  before(async () => {
    pages = await ChatPages.start();
  });
  after(() => pages?.stop());
  afterEach(() => pages.tidy());

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

  it('asks for what it missed, shows it in order, and sends again what did not arrive', async () => {
    const script = await pages.enterScript('Ada');
    const { page } = script;
    const shown = () => page.locator('.entry .text').allInnerTexts();

    script.tell(text('1'), { type: 'lagged', missed: 7 }, text('4'));
    await script.hears({ type: 'history', after: '1' });
    script.tell({ type: 'people', names: ['Ada', 'Alan'] }, text('2'), text('3'), text('4'), { type: 'ready' });
    script.tell(text('3'), text('5'));
    await sees(page, 'text 5');
    assert.deepEqual(await shown(), ['text 1', 'text 2', 'text 3', 'text 4', 'text 5']);
    assert.deepEqual(await page.locator('#people-list li').allInnerTexts(), ['A\nAda\nyou', 'A\nAlan']);

    await say(page, 'lost on the way');
    await script.hears({ type: 'text', text: 'lost on the way' });
    await script.connection.close();
    await script.hears({ type: 'text', text: 'lost on the way' });
    assert.equal(new URL(script.connection.url()).searchParams.get('after'), '5');
    script.tell(text('6', 'lost on the way', 'Ada'));
    await sees(page, 'lost on the way');
    await script.connection.close();
    await page.locator('#chat:not(.online)').waitFor();
    await page.locator('#chat.online').waitFor();
    await script.hears();
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

  /** Each waits until all have seen what was said before. */
  async function converse(lines: readonly (readonly [Page, string])[]): Promise<void> {
    const pages = new Set(lines.map(([page]) => page));
    for (const [page, text] of lines) {
      await say(page, text);
      await Promise.all([...pages].map((other) => sees(other, text)));
    }
  }
});
