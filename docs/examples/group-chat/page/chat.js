import { nameRoom, takeNote } from './attention.js';
import { Composer } from './composer.js';
import { Connection } from './connection.js';
import { $ } from './dom.js';
import { Download } from './download.js';
import { lastId, placePicture, setCatchingUp, showText } from './log.js';
import { showArrival, showDeparture, showNotice } from './notices.js';
import { addPerson, countPeople, removePerson, setPeople } from './people.js';
import { scrollToEnd } from './scroll.js';
import { showTyping } from './typing.js';
import { Uploads } from './uploads.js';

/** Takes part in a room, for as long as the page is open. */
export function chat(roomName, wantedName) {
  /** What the server said about us; the name may be another than the one we wanted. */
  let me = { name: wantedName, room: roomName, maxTextLength: 2000, maxPictureBytes: 2 ** 20, pieceBytes: 2 ** 15 };
  /** Texts that were sent and have not come back: they are sent again when the connection was lost. */
  let unconfirmed = [];
  let wasHere = false;
  let isOnline = false;
  /** What comes now was said before we came, or while we were away. */
  let isCatchingUp = true;
  /** The server is to send the history, which begins with the people: until then, messages would come out of order. */
  let awaitsHistory = false;
  const session = sessionSecret();

  $('chat').hidden = false;
  showRoom('connecting…');

  const connection = new Connection(addressOfRoom, {
    message(data) {
      if (typeof data === 'string') takeEvent(JSON.parse(data));
      else download.take(new Uint8Array(data));
    },
    lost() {
      setOnline(false);
      download.drop();
      showTyping([], me.name);
      showOffline(navigator.onLine ? 'Connection lost, reconnecting…' : 'No network, reconnecting…');
      showRoom('reconnecting…');
    },
    replaced() {
      setOnline(false);
      download.drop();
      showTyping([], me.name);
      showOffline('You are in this room in another tab.');
      showRoom('not connected');
      $('retry').onclick = () => location.reload();
    },
  });
  $('retry').onclick = () => connection.check();

  const composer = new Composer({ sendText, sendPictures, sendTyping });
  const uploads = new Uploads((message) => isOnline && connection.send(message), showProblem);
  const download = new Download(beginPicture, endPicture);
  composer.focus();

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
        uploads.setLimits(me);
        isCatchingUp = true;
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
        if (!awaitsHistory) takeText(event);
        break;
      case 'typing':
        showTyping(event.names, me.name);
        break;
      case 'received':
        uploads.confirm(event.number, event.bytes);
        break;
      case 'joined':
        if (addPerson(event.name)) showArrival(event.name);
        showCount();
        break;
      case 'left':
        if (removePerson(event.name)) showDeparture(event.name);
        showCount();
        break;
      case 'lagged':
        awaitsHistory = true;
        connection.send(JSON.stringify({ type: 'history', after: lastId() }));
        break;
      case 'problem':
        if (event.number !== undefined) uploads.refuse(event.number, event.message);
        else showProblem(event.message);
        if (event.unsent !== undefined) giveBack(event.unsent);
        break;
    }
  }

  function takeText(message) {
    const isMine = message.name === me.name;
    if (isMine && message.text === unconfirmed[0]) unconfirmed.shift();
    const isNew = showText(message, isMine);
    if (isNew && !isMine && !isCatchingUp) takeNote(message.name, message.text);
  }

  function beginPicture(head) {
    return awaitsHistory ? undefined : placePicture(head, head.name === me.name);
  }

  function endPicture(head, place, bytes) {
    place.show(new Blob(bytes, { type: head.mediaType }));
    if (head.name !== me.name && !isCatchingUp) takeNote(head.name, 'sent a picture');
    // It had arrived before the connection was lost.
    if (head.name === me.name && isCatchingUp) uploads.confirmOf(head.size);
  }

  function welcome() {
    isCatchingUp = false;
    setCatchingUp(false);
    setOnline(true);
    $('offline').hidden = true;
    hideProblem();
    showCount();
    if (!wasHere) showNotice(`You joined as ${me.name}`);
    wasHere = true;
    const again = unconfirmed;
    unconfirmed = [];
    for (const text of again) say(text);
    uploads.resume();
  }

  // --- what we say ---

  function say(text) {
    if (!connection.send(JSON.stringify({ type: 'text', text }))) return false;
    unconfirmed.push(text);
    return true;
  }

  /** Sends what was written; returns false if it has to stay where it is. */
  function sendText(text) {
    if (text.length > me.maxTextLength) {
      showProblem(`A message has at most ${me.maxTextLength} characters; this one has ${text.length}.`);
      return false;
    }
    if (!isOnline || !say(text)) {
      showProblem('Not connected: your text stays here until you are back.');
      return false;
    }
    hideProblem();
    scrollToEnd();
    return true;
  }

  function sendPictures(files) {
    hideProblem();
    for (const file of files) uploads.add(file);
  }

  function sendTyping(isTyping) {
    if (isOnline) connection.send(JSON.stringify({ type: 'typing', isTyping }));
  }

  /** Gives a text that was refused back to its writer. */
  function giveBack(text) {
    const i = unconfirmed.indexOf(text);
    if (i >= 0) unconfirmed.splice(i, 1);
    composer.giveBack(text);
  }

  // --- what is shown around the messages ---

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

  function setOnline(now) {
    isOnline = now;
    $('chat').classList.toggle('online', now);
  }

  function showRoom(status) {
    $('room-name').textContent = me.room;
    $('room-name').title = me.room;
    $('status').textContent = status;
    nameRoom(me.room);
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

function hideProblem() {
  $('problem').hidden = true;
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
