// The two sides of the page, as the shops' own books have them, and what the other
// scripts need to do something to both. The page reaches the shop behind the gateway
// at its own origin, and the other one at the address that the server wrote into it.
const shop = new URL(document.body.dataset.shop);
if (location.hostname === 'localhost') shop.hostname = 'localhost';
export const sides = { without: shop.origin, with: location.origin };
export const names = Object.keys(sides);
export let state = null;
let newest = 0; // version of state

const field = (side, name) => document.querySelector(`#${side} [data-field="${name}"]`);
export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// What the server streams, and answers.

function show(next) {
  if (next.version < newest) return; // it was overtaken
  state = next;
  newest = next.version;
  for (const side of names) showSide(side, next[side]);
  const list = next.decisions.map((d) => {
    const item = element('li', '');
    item.append(element('time', d.time), d.text);
    return item;
  });
  document.getElementById('decisions').replaceChildren(...(list.length ? list : [element('li', 'nothing yet', 'none')]));
}

function showSide(side, s) {
  const up = field(side, 'up');
  up.textContent = s.up ? 'running' : 'crashed';
  up.classList.toggle('down', !s.up);
  field(side, 'submissions').textContent = s.submissions;
  field(side, 'orders').textContent = s.orders;
  const users = s.users.map((u) => element('li', u.name));
  field(side, 'users').replaceChildren(...(users.length ? users : [element('li', 'none: all were deleted', 'none')]));
  field(side, 'seen').replaceChildren(...s.seen.map((r) => {
    const row = document.createElement('tr');
    row.append(element('td', `${r.method} ${r.path}`), element('td', r.status ? String(r.status) : 'none'));
    return row;
  }));
}

const connection = document.getElementById('connection');
let stream;
function follow() {
  stream = new EventSource('/demo/events');
  stream.onopen = () => { newest = 0; }; // the demo may have been started again
  stream.onmessage = (event) => { connection.textContent = ''; show(JSON.parse(event.data)); };
  // The page's shop is gone: that is what its clients see of a crash.
  stream.onerror = () => {
    connection.textContent = 'the stream is cut; connecting again';
    if (state) showSide('with', { ...state.with, up: false });
    if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 500); // the gateway's 502 ends it for good
  };
}
follow();

export const following = () => stream.readyState === EventSource.OPEN;

// books are read when the numbers have to be those of this moment.
export async function books() {
  const answer = await fetch('/demo/state');
  show(await answer.json());
}

// say tells what came of something: in short, in a sentence, and whether it is good.
export function say(side, text, good, short) {
  const out = field(side, 'outcome');
  out.replaceChildren(...(short ? [element('strong', short), ' '] : []), text);
  out.classList.toggle('good', good === true);
  out.classList.toggle('bad', good === false);
}

// A button does one thing at a time, to both sides, and has the focus again when it
// is done. Where the sides are out of sight, as on a phone, they come into it.
export function button(id, act) {
  const buttons = document.querySelectorAll('button');
  const pressed = document.getElementById(id);
  pressed.addEventListener('click', async () => {
    const focused = document.activeElement === pressed;
    buttons.forEach((b) => { b.disabled = true; });
    lookAtSides();
    try {
      await act();
    } finally {
      buttons.forEach((b) => { b.disabled = false; });
      if (focused && document.activeElement === document.body) pressed.focus({ preventScroll: true });
    }
  });
}

function lookAtSides() {
  const all = document.querySelector('.sides');
  if (all.getBoundingClientRect().top > innerHeight * 0.7) all.scrollIntoView({ block: 'start' });
}

export const both = (act) => () => Promise.all(names.map(act));

button('reset', async () => {
  await fetch('/demo/reset', { method: 'POST' });
  names.forEach((side) => say(side, ''));
});

