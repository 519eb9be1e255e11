import { nameRoom, takeNote } from './attention.js';
import { Composer } from './composer.js';
import { Connection } from './connection.js';
import { $, randomId } from './dom.js';
import { Download } from './download.js';
import { placePicture, setCatchingUp, showText } from './log.js';
import { showArrival, showDeparture, showNotice } from './notices.js';
import { addPerson, countPeople, removePerson, setPeople } from './people.js';
import { scrollToEnd } from './scroll.js';
import { showTyping } from './typing.js';
import { Uploads } from './uploads.js';

/** Takes part in a room, for as long as the page is open. */
export function chat(roomName, wantedName) {
  /** What the server said about us; the name may be another than the one we wanted. */
  let me = {
    key: '',
    name: wantedName,
    room: roomName,
    maxTextLength: 2000,
    maxPictureBytes: 2 ** 20,
    pieceBytes: 2 ** 15,
  };
  /** Texts that were sent and have not come back, by id: they are sent again when the connection was lost. */
  const unconfirmed = new Map();
  let wasHere = false;
  let isOnline = false;
  /** What comes now was said before we came, or while we were away. */
  let isCatchingUp = true;
  const session = sessionSecret();

  $('chat').hidden = false;
  showRoom('connecting…');

  const connection = new Connection(addressOfRoom, {
    message(body) {
      if (typeof body === 'string') takeEvent(JSON.parse(body));
      else download.take(body);
    },
    gap() {
      // Of a picture that was arriving, too.
      download.drop();
      showNotice('Some messages are missing here');
    },
    lost() {
      setOnline(false);
      showTyping([], me.name);
      showOffline(navigator.onLine ? 'Connection lost, reconnecting…' : 'No network, reconnecting…');
      showRoom('reconnecting…');
    },
  });
  $('retry').onclick = () => connection.check();

  const composer = new Composer({ sendText, sendPictures, sendTyping });
  const uploads = new Uploads((message) => isOnline && connection.send(message), showProblem);
  const download = new Download(endPicture);
  composer.focus();

  function addressOfRoom(position) {
    const url = new URL(location.pathname, location.href.replace(/^http/, 'ws'));
    url.searchParams.set('name', me.name);
    url.searchParams.set('session', session);
    if (position !== undefined) url.searchParams.set('after', position);
    return url;
  }

  // --- what the server says ---

  function takeEvent(event) {
    switch (event.type) {
      case 'welcome':
        me = { ...me, ...event };
        connection.confirm();
        uploads.setLimits(me);
        isCatchingUp = true;
        setCatchingUp(true);
        break;
      case 'people':
        setPeople(event.names, me.name);
        break;
      case 'ready':
        me.name = event.name;
        welcome();
        break;
      case 'renamed':
        me.name = event.name;
        showNotice(`You are called ${me.name} now: somebody else had your name first`);
        break;
      case 'text':
        takeText(event);
        break;
      case 'picture':
        download.begin(event, placePicture(event, event.from === me.key));
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
      case 'problem':
        if (event.number !== undefined) uploads.refuse(event.number, event.message);
        else showProblem(event.message);
        if (event.unsent !== undefined) giveBack(event.unsent);
        break;
    }
  }

  function takeText(message) {
    const isMine = message.from === me.key;
    if (isMine) unconfirmed.delete(message.id);
    showText(message, isMine);
    if (!isMine && !isCatchingUp) takeNote(message.name, message.text);
  }

  function endPicture(head, place, bytes) {
    place.show(new Blob(bytes, { type: head.mediaType }));
    if (head.from !== me.key && !isCatchingUp) takeNote(head.name, 'sent a picture');
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
    // What has arrived all the same is known by its id, and not posted twice.
    for (const [id, text] of unconfirmed) say(id, text);
    uploads.resume();
  }

  // --- what we say ---

  function say(id, text) {
    if (!connection.send(JSON.stringify({ type: 'text', id, text }))) return false;
    unconfirmed.set(id, text);
    return true;
  }

  /** Sends what was written; returns false if it has to stay where it is. */
  function sendText(text) {
    if (text.length > me.maxTextLength) {
      showProblem(`A message has at most ${me.maxTextLength} characters; this one has ${text.length}.`);
      return false;
    }
    if (!isOnline || !say(randomId(), text)) {
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
    const refused = [...unconfirmed].find(([, sent]) => sent === text);
    if (refused !== undefined) unconfirmed.delete(refused[0]);
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
  const secret = randomId();
  sessionStorage.setItem('session', secret);
  return secret;
}
