import { $ } from './dom.js';

const MOST_CHARACTERS = 200;

const choice = $('notify');
const hint = $('notify-hint');

let room = '';
/** Messages that came while nobody looked. */
let unread = 0;
/** The notification that is shown: each takes the place of the one before. */
let notification;

export function nameRoom(name) {
  room = name;
  showTitle();
}

/** Counts a message of somebody else, and tells of it, unless the page is being looked at. */
export function takeNote(name, text) {
  if (!document.hidden) return;
  unread += 1;
  showTitle();
  if (choice.checked) notify(`${name} in ${room}`, text);
}

function showTitle() {
  document.title = `${unread === 0 ? '' : `(${unread}) `}${room} · Group chat`;
}

function notify(title, text) {
  const body = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
  try {
    notification = new Notification(title, { body, tag: `chat: ${room}`, icon: '/page/icon.svg' });
  } catch {
    // On phones only a service worker may do it.
    refuse('This browser shows no notifications of a page.');
    return;
  }
  notification.onclick = () => {
    window.focus();
    notification.close();
  };
}

function refuse(sentence) {
  choice.checked = false;
  hint.textContent = sentence;
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  unread = 0;
  showTitle();
  notification?.close();
});

// Browsers let pages ask over https only, and on localhost.
if ('Notification' in window && window.isSecureContext) {
  $('notifications').hidden = false;
  choice.checked = localStorage.getItem('notify') === 'on' && Notification.permission === 'granted';
}

/** Asks, because somebody wants it; and never otherwise. */
choice.onchange = async () => {
  hint.textContent = '';
  const isAllowed = choice.checked && (await Notification.requestPermission()) === 'granted';
  if (choice.checked && !isAllowed) refuse('Your browser does not allow it: you can change that in its settings.');
  localStorage.setItem('notify', isAllowed ? 'on' : 'off');
};
