import { $ } from './dom.js';

/** Asks for a name and a room, and goes there. */
export function lobby(invitedTo, name) {
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
