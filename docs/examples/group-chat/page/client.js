import { Connection } from './connection.js';
import { lastId, scrollToEnd, setCatchingUp, showNotice, showPicture, showText } from './log.js';
import { addPerson, countPeople, removePerson, setPeople } from './people.js';
import { preparePicture } from './picture.js';

const $ = (id) => document.getElementById(id);
const LINE_FEED = 10;

fitToKeyboard();
const room = roomOfPage();
const storedName = localStorage.getItem('name') ?? '';
if (room !== '' && storedName !== '') chat(room, storedName);
else lobby(room, storedName);

// --- the lobby ------------------------------------------------------------------------------------------------------

function lobby(invitedTo, name) {
  $('lobby').hidden = false;
  $('name').value = name;
  $('room').value = invitedTo;
  if (invitedTo !== '')
    $('invitation').textContent = `You are invited to “${invitedTo}”. How should we call you there?`;
  (name === '' ? $('name') : $('room')).focus();

  for (const input of [$('name'), $('room')]) input.oninput = () => input.setCustomValidity('');
  $('enter').onsubmit = (event) => {
    event.preventDefault();
    const chosen = { name: $('name').value.trim(), room: $('room').value.trim() };
    if (chosen.name === '') refuse($('name'), 'Choose a name.');
    // These two mean something else in an address.
    else if (['', '.', '..'].includes(chosen.room)) refuse($('room'), 'Choose another name for the room.');
    else {
      localStorage.setItem('name', chosen.name);
      location.assign(`/chat/${encodeURIComponent(chosen.room)}`);
      // The same address again would only be scrolled to.
      if (chosen.room === invitedTo) location.reload();
    }
  };
}

function refuse(input, sentence) {
  input.setCustomValidity(sentence);
  input.reportValidity();
}

function roomOfPage() {
  const [, chatWord, segment = ''] = location.pathname.split('/');
  if (chatWord !== 'chat') return '';
  try {
    return decodeURIComponent(segment).trim();
  } catch {
    return segment;
  }
}

// --- the chat -------------------------------------------------------------------------------------------------------

function chat(roomName, wantedName) {
  /** What the server said about us; the name may be another than the one we wanted. */
  let me = { name: wantedName, room: roomName, maxTextLength: 2000, maxPictureBytes: 2 ** 20 };
  /** Texts that were sent and have not come back: they are sent again when the connection was lost. */
  let unconfirmed = [];
  let wasHere = false;
  /** The server is to send the history, which begins with the people: until then, messages would come out of order. */
  let awaitsHistory = false;
  const session = sessionSecret();

  $('chat').hidden = false;
  $('message').focus();
  showRoom('connecting…');

  const connection = new Connection(addressOfRoom, {
    message(data) {
      if (typeof data === 'string') takeEvent(JSON.parse(data));
      else takePicture(new Uint8Array(data));
    },
    lost() {
      $('chat').classList.remove('online');
      showOffline(navigator.onLine ? 'Connection lost, reconnecting…' : 'No network, reconnecting…');
      showRoom('reconnecting…');
    },
    replaced() {
      $('chat').classList.remove('online');
      showOffline('You are in this room in another tab.');
      showRoom('not connected');
      $('retry').onclick = () => location.reload();
    },
  });
  $('retry').onclick = () => connection.check();

  function addressOfRoom() {
    const url = new URL(location.pathname, location.href.replace(/^http/, 'ws'));
    url.searchParams.set('name', me.name);
    url.searchParams.set('session', session);
    const after = lastId();
    if (after !== undefined) url.searchParams.set('after', after);
    return url;
  }

  // --- what the server says ---

  function takeEvent(event) {
    switch (event.type) {
      case 'welcome':
        me = event;
        connection.confirm();
        setCatchingUp(true);
        break;
      case 'people':
        awaitsHistory = false;
        setPeople(event.names, me.name);
        break;
      case 'ready':
        welcome();
        break;
      case 'text':
        if (awaitsHistory) break;
        if (event.name === me.name && event.text === unconfirmed[0]) unconfirmed.shift();
        showText(event, event.name === me.name);
        break;
      case 'joined':
        if (addPerson(event.name)) showNotice(`${event.name} joined`);
        showCount();
        break;
      case 'left':
        if (removePerson(event.name)) showNotice(`${event.name} left`);
        showCount();
        break;
      case 'lagged':
        awaitsHistory = true;
        connection.send(JSON.stringify({ type: 'history', after: lastId() }));
        break;
      case 'problem':
        showProblem(event.message);
        if (event.unsent !== undefined) putBack(event.unsent);
        break;
    }
  }

  /** A picture is a line of JSON, a line feed, and its bytes. */
  function takePicture(bytes) {
    if (awaitsHistory) return;
    const end = bytes.indexOf(LINE_FEED);
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
    const blob = new Blob([bytes.subarray(end + 1)], { type: head.mediaType });
    showPicture(head, blob, head.name === me.name);
  }

  function welcome() {
    setCatchingUp(false);
    $('chat').classList.add('online');
    $('offline').hidden = true;
    $('problem').hidden = true;
    showCount();
    if (!wasHere) showNotice(`You joined as ${me.name}`);
    wasHere = true;
    const again = unconfirmed;
    unconfirmed = [];
    for (const text of again) sendText(text);
  }

  // --- what we say ---

  function sendText(text) {
    if (!connection.send(JSON.stringify({ type: 'text', text }))) return false;
    unconfirmed.push(text);
    return true;
  }

  /** Gives a text that was refused back to its writer. */
  function putBack(text) {
    unconfirmed = unconfirmed.filter((other) => other !== text);
    const box = $('message');
    box.value = box.value === '' ? text : `${text}\n${box.value}`;
    fitToText(box);
  }

  $('compose').onsubmit = (event) => {
    event.preventDefault();
    const box = $('message');
    const text = box.value.trim();
    box.focus();
    if (text === '') return;
    if (text.length > me.maxTextLength) {
      showProblem(`A message has at most ${me.maxTextLength} characters; this one has ${text.length}.`);
    } else if (!$('chat').classList.contains('online') || !sendText(text)) {
      showProblem('Not connected: your text stays here until you are back.');
    } else {
      box.value = '';
      fitToText(box);
      $('problem').hidden = true;
      scrollToEnd();
    }
  };
  $('message').onkeydown = (event) => {
    // While a word is being composed, Enter chooses it.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $('compose').requestSubmit();
  };
  $('message').oninput = (event) => fitToText(event.target);

  async function sendPicture(file) {
    try {
      const picture = await preparePicture(file, me.maxPictureBytes);
      const bytes = await picture.arrayBuffer();
      if (!connection.send(bytes)) throw new Error('Not connected: send the picture again when you are back.');
      $('problem').hidden = true;
      scrollToEnd();
    } catch (error) {
      showProblem(error.message);
    }
  }

  $('choose-picture').onclick = () => $('picture').click();
  $('picture').onchange = (event) => {
    for (const file of event.target.files) sendPicture(file);
    event.target.value = '';
    $('message').focus();
  };
  $('message').onpaste = (event) => {
    const { files } = event.clipboardData;
    if (files.length > 0) event.preventDefault();
    for (const file of files) sendPicture(file);
  };
  const chatElement = $('chat');
  chatElement.ondragover = (event) => {
    event.preventDefault();
    chatElement.classList.add('dropping');
  };
  chatElement.ondragleave = () => chatElement.classList.remove('dropping');
  chatElement.ondrop = (event) => {
    event.preventDefault();
    chatElement.classList.remove('dropping');
    for (const file of event.dataTransfer.files) sendPicture(file);
  };

  $('share').onclick = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      $('share-label').textContent = 'Link copied';
    } catch {
      // Without https there is no clipboard.
      $('share-label').textContent = 'Copy it from the address bar';
    }
    setTimeout(() => {
      $('share-label').textContent = 'Copy link';
    }, 2500);
  };

  // --- what is shown around the messages ---

  function showRoom(status) {
    $('room-name').textContent = me.room;
    $('status').textContent = status;
    document.title = `${me.room} · Group chat`;
  }

  function showCount() {
    showRoom(countPeople() === 1 ? 'only you are here' : `${countPeople()} people here`);
  }

  function showOffline(sentence) {
    $('offline').hidden = false;
    $('offline-text').textContent = sentence;
  }
}

function showProblem(sentence) {
  $('problem').textContent = sentence;
  $('problem').hidden = false;
}

/** What this tab is known by when it comes back: its lost connection must not keep its name. */
function sessionSecret() {
  const known = sessionStorage.getItem('session');
  if (known !== null) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const secret = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  sessionStorage.setItem('session', secret);
  return secret;
}

function fitToText(box) {
  box.style.height = 'auto';
  box.style.height = `${box.scrollHeight}px`;
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
