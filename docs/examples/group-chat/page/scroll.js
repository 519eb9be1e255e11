import { $ } from './dom.js';

const NEAR_END_PX = 40;

const log = $('log');
const newest = $('newest');

/** The newest message is to stay in view: until somebody scrolls up, and again once they are back. */
let isPinned = true;
let lastTop = 0;
let unseen = 0;
/** It goes to the end with the next frame: hundreds of messages that come at once are laid out once. */
let isDue = false;

/** Goes to the newest message, and stays there. */
export function scrollToEnd() {
  isPinned = true;
  unseen = 0;
  newest.hidden = true;
  log.scrollTop = log.scrollHeight;
}

/** Follows what was added at the end; or says that there is more, to those who read further up. */
export function followEnd(isMessage) {
  if (isPinned) scrollSoon();
  else if (isMessage) {
    unseen += 1;
    newest.textContent = unseen === 1 ? '1 new message' : `${unseen} new messages`;
    newest.hidden = false;
  }
}

function scrollSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    if (isPinned) scrollToEnd();
  });
}

// Pictures that load, a box that grows, a keyboard that opens: whatever changes the room for messages is seen here.
const observer = new ResizeObserver(() => isPinned && scrollToEnd());
observer.observe(log);
observer.observe($('entries'));

log.addEventListener('scroll', () => {
  // Only who scrolls up lets go of the end: when messages come it gets further away by itself.
  if (log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX) {
    isPinned = true;
    unseen = 0;
    newest.hidden = true;
  } else if (log.scrollTop < lastTop) isPinned = false;
  lastTop = log.scrollTop;
});
newest.onclick = () => {
  scrollToEnd();
  log.focus();
};
