// What an app, a script or an agent does: requests by fetch.

import { both, button, following, say, sides, state, wait } from './board.js';

async function checkout(side, key) {
  try {
    const answer = await fetch(`${sides[side]}/checkout`, { method: 'POST', headers: { 'Idempotency-Key': key } });
    const body = await answer.json();
    return { status: answer.status, order: body.order, title: body.title };
  } catch {
    return { status: 0 };
  }
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
  while (!state[side].up || !following()) await wait(100);
  const second = await checkout(side, key);
  const again = second.status === 0 || second.order;
  say(side, `First try: ${describe(first)}. Retry: ${describe(second)}. ` +
    (again ? `That is ${(second.order || before + 1) - before} orders for one checkout.`
      : 'It was not run again: somebody looks first whether the order was made.'), !again);
}

button('double', both((side) => submit(side, 2)));
button('storm', both((side) => submit(side, 5)));
button('delete', both(deleteTim));
button('crash', both(crashAndRetry));
