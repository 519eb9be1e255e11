const panel = document.getElementById('people');
const list = document.getElementById('people-list');
const count = document.getElementById('people-count');
const button = document.getElementById('show-people');

const names = new Set();
let own = '';

/** Shows who is here, with oneself first. */
export function setPeople(everybody, myName) {
  own = myName;
  names.clear();
  for (const name of everybody) names.add(name);
  render();
}

/** @returns false if that one was here already */
export function addPerson(name) {
  if (names.has(name)) return false;
  names.add(name);
  render();
  return true;
}

/** @returns false if that one was not here */
export function removePerson(name) {
  if (!names.delete(name)) return false;
  render();
  return true;
}

export function countPeople() {
  return names.size;
}

/** A circle with the first letter of a name, in the colour of the name. */
export function avatarOf(name) {
  const avatar = document.createElement('span');
  avatar.className = 'avatar';
  avatar.setAttribute('aria-hidden', 'true');
  avatar.style.setProperty('--hue', hueOf(name));
  avatar.textContent = [...name][0].toUpperCase();
  return avatar;
}

/** The colour of a name, as degrees of hue: the same on every page. */
export function hueOf(name) {
  let hash = 7;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 100_003;
  return String((hash * 47) % 360);
}

function render() {
  const others = [...names].filter((name) => name !== own).sort((a, b) => a.localeCompare(b));
  list.replaceChildren(...[...(names.has(own) ? [own] : []), ...others].map(itemOf));
  count.textContent = String(names.size);
}

function itemOf(name) {
  const item = document.createElement('li');
  const label = document.createElement('bdi');
  label.textContent = name;
  item.append(avatarOf(name), label);
  if (name === own) {
    const you = document.createElement('small');
    you.textContent = 'you';
    item.append(you);
  }
  return item;
}

function show(isShown) {
  panel.classList.toggle('shown', isShown);
  button.setAttribute('aria-expanded', String(isShown));
}

button.onclick = () => show(!panel.classList.contains('shown'));
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  if (panel.contains(document.activeElement)) button.focus();
  show(false);
});
document.addEventListener('pointerdown', (event) => {
  if (!panel.contains(event.target) && !button.contains(event.target)) show(false);
});
