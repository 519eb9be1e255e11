import assert from 'node:assert/strict';
import { it } from 'node:test';
import { DEFAULT_LIMITS } from '../../docs/examples/group-chat/limits.ts';
import type { ChatEvent } from '../../docs/examples/group-chat/wire.ts';
import { comesTo, describeChat, PICTURE, say, sees, seesPicture, text } from './chat-pages.ts';
import { noise } from './png.ts';

const DAY_MS = 86_400_000;
const { pieceBytes } = DEFAULT_LIMITS;

/** Stands in for what a headless browser has not: windows that are hidden, and a desktop that shows notifications. */
const DESKTOP_STAND_IN = `
  let isHidden = false;
  Object.defineProperty(Document.prototype, 'hidden', { get: () => isHidden });
  globalThis.setHidden = (now) => {
    isHidden = now;
    document.dispatchEvent(new Event('visibilitychange'));
  };
  globalThis.asked = 0;
  globalThis.notified = [];
  globalThis.Notification = class {
    static answer = 'granted';
    static permission = 'default';
    static async requestPermission() {
      globalThis.asked += 1;
      return (Notification.permission = Notification.answer);
    }
    constructor(title, { body }) {
      globalThis.notified.push(title + ': ' + body);
    }
    close() {
      globalThis.notified.push('closed');
    }
  };
`;

describeChat('the page of docs/examples/group-chat, and what happens in the room', (pages) => {
  it('shows who is typing, to the others, until it is said', async () => {
    const [ada, grace] = await Promise.all([pages.enter('typing', 'Ada'), pages.enter('typing', 'Grace')]);
    await grace.getByLabel('Message', { exact: true }).pressSequentially('Hm');
    await ada.getByText('Grace is typing…').waitFor();
    assert.equal(await grace.locator('#typing').innerText(), '');
    await grace.keyboard.press('Enter');
    await sees(ada, 'Hm');
    await ada.locator('#typing').getByText('Grace').waitFor({ state: 'hidden' });
  });

  it('tells of typing now and then, not at each key, and that it has stopped', async () => {
    const script = await pages.enterScript('Ada');
    const { page, typing } = script;
    const box = page.getByLabel('Message', { exact: true });
    const told = (...expected: boolean[]) =>
      comesTo(
        async () => `${typing}`,
        (now) => now === `${expected}`,
        'what it was told',
      );
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 1000);
    await box.pressSequentially('a few');
    await box.fill('');
    await told(true, false);
    await box.pressSequentially('more');
    await told(true, false, true);
    await page.clock.runFor(3000);
    await box.pressSequentially(' words');
    await told(true, false, true, true);
    await page.keyboard.press('Enter');
    await script.hears({ type: 'text', text: 'more words' });
    await box.pressSequentially('x');
    // Nothing was told in between: the server knows by itself that who has said it writes no more.
    await told(true, false, true, true, true);
  });

  it('names those who type, but for oneself, and not all of many', async () => {
    const script = await pages.enterScript('Ada');
    const { page } = script;
    const line = page.locator('#typing');
    const shows = (sentence: string) =>
      comesTo(
        () => line.textContent(),
        (shown) => shown === sentence,
        sentence,
      );
    script.tell({ type: 'typing', names: ['Ada', '<i>Grace</i>'] });
    await shows('<i>Grace</i> is typing…');
    script.tell({ type: 'typing', names: ['Grace', 'Alan', 'Ada'] });
    await shows('Grace and Alan are typing…');
    script.tell({ type: 'typing', names: ['Grace', 'Alan', 'Ada', 'Edsger', 'Donald'] });
    await shows('Several people are typing…');
    script.tell({ type: 'typing', names: ['Ada'] });
    await shows('');
  });

  it('counts in its title what came while nobody looked', async () => {
    const script = await pages.enterScript('Ada', {}, DESKTOP_STAND_IN);
    const { page } = script;
    const isTitled = (title: string) =>
      comesTo(
        () => page.title(),
        (shown) => shown === title,
        'the title',
      );
    script.tell(text('1'));
    await sees(page, 'text 1');
    await isTitled('scripted · Group chat');
    await page.evaluate('setHidden(true)');
    script.tell(text('2'), text('3'), text('4', 'of oneself', 'Ada'), { type: 'joined', name: 'Alan' });
    await isTitled('(2) scripted · Group chat');
    await script.connection.close();
    await comesTo(
      async () => script.connections.length,
      (count) => count === 2,
      'it comes back',
    );
    await isTitled('(2) scripted · Group chat');
    await page.evaluate('setHidden(false)');
    await isTitled('scripted · Group chat');
  });

  it('asks for notifications when somebody wants them, and never otherwise', async () => {
    const script = await pages.enterScript('Ada', {}, DESKTOP_STAND_IN);
    const { page } = script;
    const notified = () => page.evaluate('notified.splice(0)');
    await page.evaluate('setHidden(true)');
    script.tell(text('1'));
    await sees(page, 'text 1');
    assert.deepEqual([await page.evaluate('asked'), await notified()], [0, []]);

    const choice = page.getByLabel('Notify me of messages');
    await page.evaluate('Notification.answer = "denied"');
    await choice.click();
    await page.getByText('Your browser does not allow it').waitFor();
    assert.equal(await choice.isChecked(), false);
    await page.evaluate('Notification.answer = "granted"');
    await choice.focus();
    await page.keyboard.press('Space');
    await page.getByText('Your browser does not allow it').waitFor({ state: 'hidden' });
    assert.deepEqual([await page.evaluate('asked'), await choice.isChecked()], [2, true]);

    script.tell(text('2', '<b>Hello</b>'), text('3', 'mine', 'Ada'), text('4', 'x'.repeat(2000)));
    await sees(page, 'xxx');
    assert.deepEqual(await notified(), ['Grace in scripted: <b>Hello</b>', `Grace in scripted: ${'x'.repeat(200)}…`]);
    await page.evaluate('setHidden(false)');
    script.tell(text('5'));
    await sees(page, 'text 5');
    assert.deepEqual(await notified(), ['closed']);
  });

  it('draws a line for each day, and names it', async () => {
    const script = await pages.enterScript('Ada');
    const { page } = script;
    // Noon, so that an hour more or less does not make it another day.
    const noon = new Date().setHours(12, 0, 0, 0);
    const days = [noon - 400 * DAY_MS, noon - DAY_MS, noon - DAY_MS + 1, noon];
    script.tell(...days.map((at, i) => text(`${i}`, `text ${i}`, 'Grace', at)));
    await sees(page, 'text 3');
    const all = await page.locator('.day, .entry .text').allInnerTexts();
    const longAgo = new Intl.DateTimeFormat('en-US', { dateStyle: 'full' }).format(days[0]);
    assert.deepEqual(all, [longAgo, 'text 0', 'Yesterday', 'text 1', 'text 2', 'Today', 'text 3']);
    assert.match(await page.locator('.day time').last().evaluate(dateTimeOf), /^\d{4}-\d\d-\d\d$/);
  });

  it('shows how far a picture is that it sends, in pieces, and begins again when it was cut off', async () => {
    const script = await pages.enterScript('Ada');
    const { page } = script;
    const buffer = noise(300, 300);
    assert.ok(buffer.length > 6 * pieceBytes);
    await page.locator('#picture').setInputFiles({ ...PICTURE, name: 'first.png', buffer });
    const bar = page.getByRole('progressbar', { name: 'Sending first.png' });
    await script.hears({ type: 'picture', number: 0, size: buffer.length });
    await hasPieces(4);
    script.tell({ type: 'received', number: 9, bytes: buffer.length });
    script.tell({ type: 'received', number: 0, bytes: 2 * pieceBytes });
    await hasPieces(6);
    assert.equal(await bar.evaluate((element) => element.value / element.max), (2 * pieceBytes) / buffer.length);
    assert.deepEqual(Buffer.concat(script.pieces.splice(0)), buffer.subarray(0, 6 * pieceBytes));

    await script.connection.close();
    await script.hears({ type: 'picture', number: 0, size: buffer.length });
    await hasPieces(4);
    assert.deepEqual(script.pieces.splice(0)[0], buffer.subarray(0, pieceBytes));
    await page.locator('#picture').setInputFiles({ ...PICTURE, name: 'second.png' });
    await page.getByRole('button', { name: 'Stop sending first.png' }).click();
    await script.hears({ type: 'cancel' }, { type: 'picture', number: 1, size: PICTURE.buffer.length });
    await bar.waitFor({ state: 'hidden' });
    script.tell({ type: 'problem', number: 1, message: 'A picture has at most 1 KiB.' });
    await page.getByRole('alert').getByText('second.png: A picture has at most 1 KiB.').waitFor();
    assert.ok(await page.locator('#uploads').isHidden());

    async function hasPieces(count: number): Promise<void> {
      await comesTo(
        async () => script.pieces.length,
        (now) => now === count,
        `${count} pieces`,
      );
    }
  });

  it('shows how far a picture is that arrives, and goes on where it was when it was cut off', async () => {
    const script = await pages.enterScript('Ada');
    const { page } = script;
    const { buffer } = PICTURE;
    const bar = page.getByRole('progressbar', { name: 'Picture from Grace, arriving' });
    const arrives = (bytes: number) =>
      comesTo(
        () => bar.evaluate((element) => element.value),
        (value) => value === bytes,
        'how far it is',
      );
    script.tell(text('1'), picture('p', buffer.length));
    script.postPieces('p', buffer.subarray(0, 1000), 1000);
    await arrives(1000);
    await script.connection.close();
    await comesTo(
      async () => script.connections.length,
      (count) => count === 2,
      'it comes back',
    );
    assert.equal(script.after, 'position.3');
    script.tell(text('2'));
    script.postPieces('p', buffer.subarray(1000, 2000), 500);
    await arrives(2000);
    script.postPieces('p', buffer.subarray(2000), 700);
    await seesPicture(page, 'Grace');
    assert.equal(await page.locator('.entry').count(), 3);
    script.postPieces('of one whose beginning is gone', buffer, 1000);

    script.tell(text('3'), picture('q', buffer.length));
    script.postPieces('q', buffer.subarray(0, 1000), 1000);
    await arrives(1000);
    script.connection.send('!position.99\n');
    await bar.waitFor({ state: 'hidden' });
    await sees(page, 'Some messages are missing here');
    assert.equal(await page.locator('.entry').count(), 4);
  });

  it('takes names and texts for what they are: text', async () => {
    const name = '<img src=x onerror=a()>';
    const [ada, grace] = [await pages.enter('hostile', 'Ada'), await pages.enter('hostile', name)];
    const hostile = `<script>a()</script> javascript:a() "'\`\${a()} \u202Eright to left https://example.com/"onclick="a()`;
    await ada.locator('#entries').getByText(`${name} joined`).waitFor();
    await say(grace, hostile);
    await sees(ada, '<script>a()</script>');
    assert.equal(await ada.locator('.entry .text').innerText(), hostile);
    assert.equal(await ada.locator('.author').innerText(), name);
    assert.equal(await ada.locator('#people-list bdi').last().innerText(), name);
    assert.equal(await ada.locator('#entries script, #entries img, #people-list img, [onclick], [onerror]').count(), 0);
    assert.equal(await ada.locator('.text a').getAttribute('href'), 'https://example.com/');
  });
});

function picture(id: string, size: number): ChatEvent {
  return { type: 'picture', id, at: Date.now(), from: 'Grace', name: 'Grace', mediaType: 'image/png', size };
}

function dateTimeOf(time: { dateTime: string }): string {
  return time.dateTime;
}
