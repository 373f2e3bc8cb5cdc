'use strict';

// The page behind the gateway reaches its own shop at its own origin, and the
// other one at the address that the server wrote into the page.
const shop = new URL(document.body.dataset.shop);
if (location.hostname === 'localhost') shop.hostname = 'localhost';
const sides = { without: shop.origin, with: location.origin };
const names = Object.keys(sides);
let state = null;

const field = (side, name) => document.querySelector(`#${side} [data-field="${name}"]`);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// What the server streams.

function show(next) {
  state = next;
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
  stream.onmessage = (event) => { connection.textContent = ''; show(JSON.parse(event.data)); };
  // The page's shop is gone: that is what its clients see of a crash.
  stream.onerror = () => {
    connection.textContent = 'the stream is cut; connecting again';
    if (state) showSide('with', { ...state.with, up: false });
    if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 500); // the gateway's 502 ends it for good
  };
}
follow();

// What a person, an app or an agent does.

async function checkout(side, key) {
  try {
    const answer = await fetch(`${sides[side]}/checkout`, { method: 'POST', headers: { 'Idempotency-Key': key } });
    const body = await answer.json();
    return { status: answer.status, order: body.order, title: body.title };
  } catch {
    return { status: 0 };
  }
}

function say(side, text, good) {
  const out = field(side, 'outcome');
  out.textContent = text;
  out.classList.toggle('good', good === true);
  out.classList.toggle('bad', good === false);
}

function describe(answer) {
  if (answer.order) return `order ${answer.order}`;
  if (answer.status === 0) return 'no answer';
  return answer.title ? `${answer.status}, “${answer.title}”` : String(answer.status);
}

async function submit(side, times) {
  const key = crypto.randomUUID();
  say(side, 'paying …');
  const answers = await Promise.all(Array.from({ length: times }, () => checkout(side, key)));
  const orders = new Set(answers.map((a) => a.order).filter(Boolean));
  say(side, `${times} sent, ${orders.size} made. Answers: ${answers.map(describe).join(', ')}.`, orders.size === 1);
}

async function deleteTim(side) {
  say(side, 'deleting …');
  try {
    const answer = await fetch(`${sides[side]}/users/123`, { method: 'DELETE' });
    const body = await answer.json();
    if (Array.isArray(body)) say(side, `The browser went on with GET /users: ${body.length} users are left.`, true);
    else say(side, `The browser went on with DELETE /users: ${body.deleted} more users were deleted.`, false);
  } catch {
    say(side, 'no answer', false);
  }
}

async function crashAndRetry(side) {
  const key = crypto.randomUUID();
  const before = state[side].orders;
  say(side, 'paying …');
  await fetch(`${sides[side]}/crash`, { method: 'POST' }).catch(() => {});
  const first = await checkout(side, key);
  say(side, `First try: ${describe(first)}. The shop is down; retrying when it is back …`);
  await wait(500);
  while (!state[side].up || stream.readyState !== EventSource.OPEN) await wait(100);
  const second = await checkout(side, key);
  const again = second.status === 0 || second.order;
  say(side, `First try: ${describe(first)}. Retry: ${describe(second)}. ` +
    (again ? `That is ${(second.order || before + 1) - before} orders for one checkout.`
      : 'It was not run again: somebody looks first whether the order was made.'), !again);
}

function button(id, act) {
  const buttons = document.querySelectorAll('button');
  document.getElementById(id).addEventListener('click', async () => {
    buttons.forEach((b) => { b.disabled = true; });
    try {
      await act();
    } finally {
      buttons.forEach((b) => { b.disabled = false; });
    }
  });
}

const both = (act) => () => Promise.all(names.map(act));
button('double', both((side) => submit(side, 2)));
button('storm', both((side) => submit(side, 5)));
button('delete', both(deleteTim));
button('crash', both(crashAndRetry));
button('reset', async () => {
  await fetch('/demo/reset', { method: 'POST' });
  names.forEach((side) => say(side, ''));
});
