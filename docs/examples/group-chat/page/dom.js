/** The element of the page with this id. */
export const $ = (id) => document.getElementById(id);

/** Makes an element. Whatever `text` holds, it is shown as it is. */
export function element(tag, className = '', text = '') {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  if (text !== '') made.textContent = text;
  return made;
}

/** Says a list as people do: the first few by name, the others by their number. */
export function listOf(names, most = 3) {
  const named = names.length > most ? names.slice(0, most - 1) : names;
  const others = names.length - named.length;
  const all = others === 0 ? named : [...named, `${others} others`];
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}

/** What nobody else comes up with. Without https there is no `randomUUID`. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
