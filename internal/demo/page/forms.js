// What people do with forms, done to the form of each shop.

import { books, button, names, say, sides, state, wait } from './board.js';
import { Tab } from './tab.js';

const human = 150; // milliseconds between the clicks of a double click

const open = (side, which) => new Tab(document.querySelector(`#${side} .tabs`), sides[side], `The shop ${side} seeother${which}`);
const tabs = Object.fromEntries(names.map((side) => [side, open(side, '')]));
const ready = Promise.all(names.map((side) => tabs[side].open('/shop')));
let seconds = []; // second tabs

const orders = (n) => (n === 1 ? '1 order.' : `${n} orders.`);

// Each of these is done to a tab that shows the form, and returns the pages that
// answered. The sentences are for one order, and for more.
const faults = {
  twice: {
    async act(tab, side) {
      tab.tell('press');
      await wait(human);
      await arrived(side);
      tab.tell('press');
      return [await tab.answer()];
    },
    once: (n) => `The second click waited for the first, and the page shows order ${n}.`,
    more: (n) => `Each click bought one. The page shows order ${n}, and says nothing of the other.`,
  },
  refresh: {
    async act(tab) {
      const first = await sent(tab);
      tab.tell('reload');
      return [first, await tab.answer()];
    },
    once: (n) => `The answer has an address of its own, to which a 303 leads. The refresh shows order ${n} again.`,
    more: (n, m) => `The refresh sent the form again: order ${n}, and then order ${m}.`,
  },
  back: {
    alone: true, // both tabs share one history: the browser's
    async act(tab) {
      const first = await sent(tab);
      tab.tell('back');
      await tab.form();
      return [first, await sent(tab)];
    },
    once: (n) => `It is the same form, so that order ${n} is shown again.`,
    more: (n, m) => `The shop cannot know that it is the same form: order ${n}, and then order ${m}.`,
  },
  tabs: {
    path: () => `/shop?keep=${Date.now()}`, // the second tab gets it from the browser's cache
    async act(tab, side, path) {
      const second = open(side, ', second tab');
      seconds.push(second);
      await second.open(path);
      return Promise.all([tab, second].map(sent));
    },
    once: (n) => `Both tabs hold the same form, and both show order ${n}. A form that is opened anew is a new one.`,
    more: (n, m) => `Each tab bought one: orders ${Math.min(n, m)} and ${Math.max(n, m)}.`,
  },
  drop: {
    async act(tab, side) {
      tab.tell('press');
      await arrived(side);
      tab.tell('stop');
      await wait(2 * human);
      return [await sent(tab)];
    },
    once: (n) => `The second click shows what the first one did: order ${n}.`,
    more: (n) => `The first click had its order made, and nobody saw it. The second one made order ${n}.`,
  },
};

// arrived waits until the shop has the form, which it shows by its books: a click
// that is overtaken before is no submission.
async function arrived(side) {
  for (let n = 0; n < 100; n++) {
    await books();
    if (state[side].seen[0]?.path === '/buy') return;
    await wait(50);
  }
}

function sent(tab) {
  tab.tell('press');
  return tab.answer();
}

async function run(side, fault) {
  say(side, 'buying …');
  const before = state[side].orders;
  const path = fault.path ? fault.path() : '/shop';
  await tabs[side].open(path);
  const pages = await fault.act(tabs[side], side, path);
  await books();
  const made = state[side].orders - before;
  if (!pages.every((p) => p.order)) {
    say(side, 'No answer came: the shop was down, or the browser was told not to send the form again.', undefined, orders(made));
    return;
  }
  const sentence = made === 1 ? fault.once : fault.more;
  say(side, sentence(...pages.map((p) => p.order)), made === 1, orders(made));
}

for (const [id, fault] of Object.entries(faults)) {
  button(id, async () => {
    await ready;
    seconds.forEach((tab) => tab.close());
    seconds = [];
    await books();
    if (!fault.alone) {
      await Promise.all(names.map((side) => run(side, fault)));
      return;
    }
    names.forEach((side) => say(side, 'buying …'));
    for (const side of names) await run(side, fault);
  });
}
