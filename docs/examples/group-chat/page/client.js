import { chat } from './chat.js';
import { lobby } from './lobby.js';

fitToKeyboard();
const room = roomOfPage();
const storedName = localStorage.getItem('name') ?? '';
if (room !== '' && storedName !== '') chat(room, storedName);
else lobby(room, storedName);

function roomOfPage() {
  const [, chatWord, segment = ''] = location.pathname.split('/');
  if (chatWord !== 'chat') return '';
  try {
    return decodeURIComponent(segment).trim();
  } catch {
    return segment;
  }
}

/** Where the keyboard of a phone covers the page instead of making it smaller, the page is made smaller here. */
function fitToKeyboard() {
  const { visualViewport } = window;
  if (visualViewport === null) return;
  const fit = () => {
    if (visualViewport.scale !== 1) return;
    document.documentElement.style.setProperty('--height', `${visualViewport.height}px`);
    window.scrollTo(0, 0);
  };
  visualViewport.addEventListener('resize', fit);
}
