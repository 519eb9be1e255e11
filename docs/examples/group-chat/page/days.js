import { element } from './dom.js';

const dateFormat = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const yearFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'full' });

/** Makes the line above the first message of a day. */
export function dayLine(at) {
  const line = element('p', 'day');
  const time = element('time');
  time.dateTime = isoDay(at);
  line.append(time);
  nameDay(time);
  return line;
}

/** Tells whether two moments are on different days here. */
export function isOtherDay(at, other) {
  return startOfDay(at).getTime() !== startOfDay(other).getTime();
}

function nameDay(time) {
  const [year, month, day] = time.dateTime.split('-').map(Number);
  const date = new Date(year, month - 1, day);
  // Some days have 23 hours, and some have 25.
  const daysAgo = Math.round((startOfDay(Date.now()) - date) / 86_400_000);
  const format = date.getFullYear() === new Date().getFullYear() ? dateFormat : yearFormat;
  time.textContent = ['Today', 'Yesterday'][daysAgo] ?? format.format(date);
}

function startOfDay(at) {
  const date = new Date(at);
  date.setHours(0, 0, 0, 0);
  return date;
}

/** The day as it is here, not in Greenwich. */
function isoDay(at) {
  const date = new Date(at);
  const two = (number) => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** At midnight, today becomes yesterday. */
function waitForMidnight() {
  const midnight = startOfDay(Date.now());
  midnight.setDate(midnight.getDate() + 1);
  setTimeout(() => {
    nameDays();
    waitForMidnight();
  }, midnight - Date.now());
}

function nameDays() {
  for (const time of document.querySelectorAll('.day time')) nameDay(time);
}

waitForMidnight();
// A computer that slept has missed it.
document.addEventListener('visibilitychange', nameDays);
