import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Page } from 'playwright-core';
import {
  comesTo,
  describeChat,
  distanceToEnd,
  PHONE,
  PICTURE,
  SMALL_PHONE,
  sees,
  text,
  tooSmall,
  tooWide,
} from './chat-pages.ts';

const LONG_NAME = 'W'.repeat(24);

describeChat('the page of docs/examples/group-chat, as it is laid out', (pages) => {
  it('keeps the newest message in view, whatever takes its place', async () => {
    const script = await pages.enterScript('Ada', PHONE);
    const { page } = script;
    for (let i = 0; i < 30; i++) script.tell(text(`${i}`));
    await sees(page, 'text 29');
    await isAtEnd(page, 'after many messages');
    script.tell({ type: 'problem', message: 'Slow down a little, and send that again. '.repeat(3) });
    await page.getByRole('alert').waitFor();
    await isAtEnd(page, 'above a problem');
    await page.getByLabel('Message', { exact: true }).fill('line\n'.repeat(8));
    await isAtEnd(page, 'above many lines');
    await page.setViewportSize({ width: 390, height: 500 });
    await isAtEnd(page, 'on a screen that became smaller');
    await page.setViewportSize(PHONE.viewport);
    await isAtEnd(page, 'on a screen that became larger');
  });

  it('stays where it was scrolled to', async () => {
    const script = await pages.enterScript('Ada', PHONE);
    const { page } = script;
    for (let i = 0; i < 30; i++) script.tell(text(`${i}`));
    await sees(page, 'text 29');
    await isAtEnd(page, 'after many messages');
    await page.locator('#log').evaluate((log) => {
      log.scrollTop = 200;
    });
    await page.getByLabel('Message', { exact: true }).fill('line\n'.repeat(8));
    script.tell({ type: 'problem', message: 'Slow down.' }, text('30'), text('31'));
    await page.getByRole('button', { name: '2 new messages' }).waitFor();
    assert.equal(await page.locator('#log').evaluate((log) => log.scrollTop), 200);
    await page.getByRole('button', { name: '2 new messages' }).click();
    await isAtEnd(page, 'after the button');
  });

  it('gives back refused texts in the order they were written, before what is being written', async () => {
    const script = await pages.enterScript('Ada');
    const box = script.page.getByLabel('Message', { exact: true });
    await box.fill('in the making');
    await box.evaluate((element) => element.setSelectionRange(3, 3));
    for (const unsent of ['first', 'second', 'third']) script.tell({ type: 'problem', message: 'Slow down.', unsent });
    const all = 'first\nsecond\nthird\nin the making';
    await comesTo(
      () => box.inputValue(),
      (value) => value === all,
      'all were given back',
    );
    assert.equal(await box.evaluate((element) => element.selectionStart), 'first\nsecond\nthird\nin '.length);
    await box.fill('');
    script.tell({ type: 'problem', message: 'Slow down.', unsent: 'fourth' });
    await comesTo(
      () => box.inputValue(),
      (value) => value === 'fourth',
      'it was given back',
    );
    assert.equal(await box.evaluate((element) => element.selectionStart), 'fourth'.length);
  });

  // A narrow window of a desktop has other controls than a phone.
  for (const [kind, options] of [
    ['a small phone', SMALL_PHONE],
    ['a narrow window', { viewport: SMALL_PHONE.viewport }],
  ] as const) {
    it(`is no wider than ${kind}`, async () => {
      const lobby = await pages.open(options);
      await lobby.goto(pages.address(`chat/${LONG_NAME}${LONG_NAME}`));
      assert.deepEqual(await tooWide(lobby), [], 'the lobby of a room with a long name');

      const script = await pages.enterScript(LONG_NAME, options);
      const { page } = script;
      assert.deepEqual(await tooWide(page), [], 'an empty room');
      script.tell(
        text('1', `${'long'.repeat(60)} https://example.com/${'path/'.repeat(30)}`, LONG_NAME.toLowerCase()),
        text('2', `${'long'.repeat(60)} https://example.com/${'path/'.repeat(30)}`, LONG_NAME),
        { type: 'joined', name: `${LONG_NAME} 2` },
        { type: 'typing', names: [`${LONG_NAME} 2`, `${LONG_NAME} 3`] },
        { type: 'problem', message: 'long'.repeat(60), unsent: 'long'.repeat(60) },
      );
      await page.locator('#picture').setInputFiles({ ...PICTURE, name: `${LONG_NAME}${LONG_NAME}.png` });
      await page.getByRole('progressbar').waitFor();
      await page.locator('#problem').evaluate((problem) => {
        problem.hidden = false;
      });
      assert.deepEqual(await tooWide(page), [], 'a busy room');
      assert.deepEqual(await tooSmall(page), [], 'for a finger');
      assert.ok((await page.locator('#log').evaluate((log) => log.clientHeight)) > 100, 'messages can be read');
      await page.getByRole('button', { name: 'show who is here' }).click();
      await page.getByRole('heading', { name: 'People here' }).waitFor();
      assert.deepEqual(await tooWide(page), [], 'with the people shown');
      await script.connection.close();
      await page.getByText('Connection lost, reconnecting…').waitFor();
      assert.deepEqual(await tooWide(page), [], 'without a connection');
    });
  }

  async function isAtEnd(page: Page, when: string): Promise<void> {
    await comesTo(
      () => distanceToEnd(page),
      (distance) => distance <= 1,
      `the messages are at their end ${when}`,
    );
  }

  it('shows bubbles and the status in forced colours', async () => {
    const script = await pages.enterScript('Ada', { forcedColors: 'active' });
    script.tell(text('1'), text('2', 'mine', 'Ada'));
    await sees(script.page, 'mine');
    await pages.screenshot(script.page, 'forced');
    for (const bubble of await script.page.locator('.bubble').all()) {
      assert.notEqual(await bubble.evaluate(styleOf, 'borderTopWidth'), '0px');
    }
    const canvas = await script.page.locator('body').evaluate(styleOf, 'backgroundColor');
    const dot = await script.page
      .locator('#status')
      .evaluate((element) => element.ownerDocument.defaultView.getComputedStyle(element, '::before').backgroundColor);
    assert.notEqual(dot, canvas);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`can be read in ${colorScheme}: all text stands out from what is behind it`, async () => {
      const script = await pages.enterScript('Ada', { colorScheme });
      const { page } = script;
      // Names of all colours.
      const names = Array.from({ length: 90 }, (_, i) => `Guest ${i}`);
      script.tell({ type: 'people', names: ['Ada', ...names] });
      for (const [i, name] of names.entries()) script.tell(text(`${i}`, 'https://example.com/ and more', name));
      script.tell(
        text('mine', 'https://example.com/ and more', 'Ada'),
        { type: 'joined', name: 'Alan' },
        { type: 'typing', names: ['Alan'] },
        { type: 'problem', message: 'Slow down.' },
      );
      await page.getByRole('alert').waitFor();
      await page.locator('#newest').evaluate((button) => {
        button.hidden = false;
        button.textContent = '1 new message';
      });
      assert.deepEqual(await tooFaint(page), []);
      await script.connection.close();
      await page.getByText('Connection lost, reconnecting…').waitFor();
      assert.deepEqual(await tooFaint(page), [], 'without a connection');
      const lobby = await pages.open({ colorScheme });
      await lobby.goto(pages.address(''));
      assert.deepEqual(await tooFaint(lobby), [], 'the lobby');
    });
  }

  it('stands still for those who want that', async () => {
    const script = await pages.enterScript('Ada', { reducedMotion: 'reduce' });
    const { page } = script;
    script.tell(text('1'));
    await sees(page, 'text 1');
    await script.connection.close();
    await page.locator('#offline').waitFor();
    assert.equal(await page.evaluate('document.getAnimations().length'), 0);
    await page.emulateMedia({ reducedMotion: 'no-preference' });
    await comesTo(
      () => page.evaluate<number>('document.getAnimations().length'),
      (count) => count > 0,
      'and moves for others',
    );
  });

  it('gives the focus back when the people are hidden by keyboard', async () => {
    const page = await pages.enter('focus', 'Ada', PHONE);
    const button = page.getByRole('button', { name: 'show who is here' });
    await button.press('Enter');
    assert.equal(await button.getAttribute('aria-expanded'), 'true');
    await page.getByLabel('Notify me of messages').focus();
    await page.keyboard.press('Escape');
    await page.getByRole('heading', { name: 'People here' }).waitFor({ state: 'hidden' });
    assert.ok(await button.evaluate((element) => element === element.ownerDocument.activeElement));
  });

  it('tells in one line who came and who left', async () => {
    const script = await pages.enterScript('Ada');
    const { page } = script;
    for (const name of ['Alan', 'Barbara', 'Edsger', 'Donald', 'Tony']) script.tell({ type: 'joined', name });
    script.tell({ type: 'left', name: 'Grace' }, { type: 'left', name: 'Alan' });
    await sees(page, 'Barbara, Edsger and 2 others joined · Grace left · Alan came and went');
    script.tell({ type: 'joined', name: 'Grace' }, text('1'), { type: 'left', name: 'Tony' });
    await sees(page, 'Tony left');
    await sees(page, /went$/);
    assert.equal(
      await page.locator('.notice').count(),
      3,
      'one before and one behind the message, and that about oneself',
    );
  });
});

function styleOf(element: { ownerDocument: { defaultView: unknown } }, property: string): string {
  const view = element.ownerDocument.defaultView as { getComputedStyle(of: object): Record<string, string> };
  return view.getComputedStyle(element)[property]!;
}

/** Texts that do not stand out from what is behind them as WCAG 2.2 §1.4.3 asks: 4.5 to 1. */
async function tooFaint(page: Page): Promise<string[]> {
  const texts = await page.locator('body').evaluate((body) => {
    const { defaultView: view } = body.ownerDocument;
    const pen = body.ownerDocument.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const found: { name: string; colours: number[][] }[] = [];
    for (const element of body.querySelectorAll('*')) {
      const holdsText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
      if (!holdsText || !element.checkVisibility({ visibilityProperty: true })) continue;
      const behind: string[] = [];
      for (let at = element; at !== null; at = at.parentElement)
        behind.unshift(view.getComputedStyle(at).backgroundColor);
      // Each is painted over the one before, as the browser mixes them: without the text, and with it.
      const colours = [behind, [...behind, view.getComputedStyle(element).color]].map((layers) => {
        for (const layer of layers) {
          pen.fillStyle = layer;
          pen.fillRect(0, 0, 1, 1);
        }
        return [...pen.getImageData(0, 0, 1, 1).data];
      });
      found.push({ name: `${element.className || element.tagName} "${element.textContent}"`, colours });
    }
    return found;
  });
  assert.ok(texts.length >= 5, 'there is something to read');
  return texts.flatMap(({ name, colours }) => {
    const [dark, light] = colours.map(luminance).sort((a, b) => a - b) as [number, number];
    const ratio = (light + 0.05) / (dark + 0.05);
    return ratio < 4.5 ? [`${ratio.toFixed(2)} to 1: ${name}`] : [];
  });
}

/** The relative luminance of a colour in sRGB, as WCAG 2.2 defines it. */
function luminance(rgb: number[]): number {
  const [r, g, b] = rgb.map((value) => (value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}
