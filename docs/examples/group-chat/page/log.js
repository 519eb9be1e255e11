import { dayLine, isOtherDay } from './days.js';
import { $, element } from './dom.js';
import { avatarOf, hueOf } from './people.js';
import { followEnd, scrollToEnd } from './scroll.js';

/** Messages the page keeps; older ones go, and their pictures with them. */
const KEPT = 600;
/** Messages of one person within this time stand together. */
const TOGETHER_MS = 5 * 60_000;

const log = $('log');
const entries = $('entries');
const viewer = $('viewer');
const viewed = $('viewed');

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });

/** The message that the next one may stand together with, and when the last one of all was sent. */
let last;
let lastAt;

/** Shows a text message. */
export function showText(message, isMine) {
  const text = element('bdi', 'text');
  text.append(...withLinks(message.text));
  const bubble = element('div', 'bubble');
  bubble.append(text);
  showEntry(message, isMine, bubble);
}

/**
 * Makes a place for a picture that is arriving.
 *
 * @returns `progress(bytes)`, `show(blob)` when it is there, `drop()` if it does not come
 */
export function placePicture(head, isMine) {
  const alt = `Picture from ${head.name}`;
  const bar = element('progress');
  bar.max = head.size;
  bar.value = 0;
  bar.setAttribute('aria-label', `${alt}, arriving`);
  const bubble = element('div', 'bubble picture');
  const arriving = element('div', 'arriving');
  arriving.append(element('span', '', `Picture, ${kib(head.size)}`), bar);
  bubble.append(arriving);
  const entry = showEntry(head, isMine, bubble);
  // Nobody wants to hear of it before it is there.
  entry.setAttribute('aria-busy', 'true');
  return {
    progress(bytes) {
      bar.value = bytes;
    },
    show(blob) {
      entry.removeAttribute('aria-busy');
      arriving.replaceWith(buttonOf(blob, alt));
    },
    drop() {
      if (entry.classList.contains('follows')) entry.previousElementSibling?.classList.remove('continues');
      remove(entry);
    },
  };
}

/** The messages that come now are old ones, which nobody wants to hear read out. */
export function setCatchingUp(isCatchingUp) {
  log.setAttribute('aria-busy', String(isCatchingUp));
}

/** Shows a line between the messages. */
export function appendNotice(line) {
  last = undefined;
  append(line);
  followEnd(false);
}

export function isLastEntry(entry) {
  return entries.lastElementChild === entry;
}

function buttonOf(blob, alt) {
  const image = element('img');
  image.alt = alt;
  image.src = URL.createObjectURL(blob);
  const button = element('button');
  button.type = 'button';
  button.title = 'View this picture';
  button.append(image);
  button.onclick = () => {
    viewed.src = image.src;
    viewed.alt = image.alt;
    viewer.showModal();
  };
  return button;
}

function showEntry({ at, name }, isMine, bubble) {
  const time = element('time', '', timeFormat.format(at));
  time.dateTime = new Date(at).toISOString();
  time.title = dateFormat.format(at);
  bubble.append(time);

  if (lastAt === undefined || isOtherDay(at, lastAt)) {
    append(dayLine(at));
    last = undefined;
  }
  lastAt = at;

  const entry = element('article', 'entry');
  entry.style.setProperty('--hue', hueOf(name));
  entry.classList.toggle('mine', isMine);
  entry.classList.toggle('old', log.getAttribute('aria-busy') === 'true');
  if (last !== undefined && last.name === name && at - last.at < TOGETHER_MS) {
    last.entry.classList.add('continues');
    entry.classList.add('follows');
  }
  last = { name, at, entry };
  if (!isMine) entry.append(avatarOf(name));
  const said = element('div', 'said');
  const author = element('p', 'author');
  author.append(element('bdi', '', isMine ? 'You' : name));
  said.append(author, bubble);
  entry.append(said);
  append(entry);
  if (isMine) scrollToEnd();
  else followEnd(true);
  return entry;
}

function append(entry) {
  entries.append(entry);
  while (entries.childElementCount > KEPT) {
    // The line of the day stays above what is left of it.
    const [first, second] = entries.children;
    const isWanted = first.classList.contains('day') && !second.classList.contains('day');
    remove(isWanted ? second : first);
  }
}

function remove(entry) {
  const image = entry.querySelector('img');
  if (image !== null) URL.revokeObjectURL(image.src);
  if (last?.entry === entry) last = undefined;
  entry.remove();
}

/** Splits a text into plain text and links. All of it is put in as text. */
function withLinks(text) {
  return text.split(/(https?:\/\/[^\s<>"]+[^\s<>"'.,;:!?)\]])/).map((part, i) => {
    if (i % 2 === 0) return document.createTextNode(part);
    const link = element('a', '', part);
    link.href = part;
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
    return link;
  });
}

viewer.onclick = (event) => {
  if (event.target !== viewed) viewer.close();
};

function kib(bytes) {
  return `${Math.ceil(bytes / 1024).toLocaleString()} KiB`;
}
