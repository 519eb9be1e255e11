import { avatarOf, hueOf } from './people.js';

/** Messages the page keeps; older ones go, and their pictures with them. */
const KEPT = 400;
/** Messages of one person within this time stand together. */
const TOGETHER_MS = 5 * 60_000;
const NEAR_BOTTOM_PX = 120;

const log = document.getElementById('log');
const newest = document.getElementById('newest');
const viewer = document.getElementById('viewer');
const viewed = document.getElementById('viewed');

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });

/** Ids of the messages that were shown: after a reconnection some may come again. */
const shown = new Set();
let last;

/** The id of the last message, for "what came after it?". */
export function lastId() {
  return [...shown].at(-1);
}

/** Shows a text message. @returns false if it was shown before */
export function showText(message, isMine) {
  const bubble = element('div', 'bubble');
  bubble.append(...withLinks(message.text));
  return showEntry(message, isMine, bubble);
}

/** Shows a picture: its head, and a Blob of its bytes. @returns false if it was shown before */
export function showPicture(head, blob, isMine) {
  if (shown.has(head.id)) return false;
  const image = element('img');
  image.alt = `Picture from ${head.name}`;
  image.src = URL.createObjectURL(blob);
  const stay = isAtBottom();
  image.onload = () => stay && scrollToEnd();
  const button = element('button');
  button.type = 'button';
  button.title = 'View this picture';
  button.append(image);
  button.onclick = () => {
    viewed.src = image.src;
    viewed.alt = image.alt;
    viewer.showModal();
  };
  const bubble = element('div', 'bubble picture');
  bubble.append(button);
  return showEntry(head, isMine, bubble);
}

/** Shows who came or went, or what else there is to know. */
export function showNotice(text) {
  last = undefined;
  append(element('p', 'notice', text), false);
}

/** The messages that come now are old ones, which nobody wants to hear read out. */
export function setCatchingUp(isCatchingUp) {
  log.setAttribute('aria-busy', String(isCatchingUp));
}

function showEntry({ id, at, name }, isMine, bubble) {
  if (shown.has(id)) return false;
  shown.add(id);

  const time = element('time', '', timeFormat.format(at));
  time.dateTime = new Date(at).toISOString();
  time.title = dateFormat.format(at);
  bubble.append(time);

  const entry = element('article', 'entry');
  entry.dataset.id = id;
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
  said.append(element('p', 'author', isMine ? 'You' : name), bubble);
  entry.append(said);
  append(entry, isMine);
  return true;
}

function append(entry, isMine) {
  const stay = isMine || isAtBottom();
  log.append(entry);
  while (log.childElementCount > KEPT) remove(log.children[1]);
  if (stay) scrollToEnd();
  else newest.hidden = false;
}

function remove(entry) {
  shown.delete(entry.dataset.id);
  const image = entry.querySelector('img');
  if (image !== null) URL.revokeObjectURL(image.src);
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

function isAtBottom() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_BOTTOM_PX;
}

export function scrollToEnd() {
  log.scrollTop = log.scrollHeight;
  newest.hidden = true;
}

newest.onclick = () => {
  scrollToEnd();
  log.focus();
};
log.addEventListener('scroll', () => {
  if (isAtBottom()) newest.hidden = true;
});
viewer.onclick = (event) => {
  if (event.target !== viewed) viewer.close();
};

function element(tag, className = '', text = '') {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  made.textContent = text;
  return made;
}
