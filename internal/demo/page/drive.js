'use strict';

// The shop has no scripts. This one is the demo's: where the demo's page shows the
// shop in a frame, it does what a person does in a tab, and says which page it is.

const thisMachine = /^http:\/\/(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/;

const acts = {
  press: () => document.querySelector('form button').click(),
  reload: () => location.reload(),
  back: () => history.back(),
  stop: () => window.stop(),
};

const here = () => ({ address: location.pathname + location.search, order: Number(document.body.dataset.order) || 0 });

addEventListener('message', (event) => {
  if (window === parent || event.source !== parent || !thisMachine.test(event.origin)) return;
  if (event.data === 'page') parent.postMessage(here(), event.origin);
  else if (Object.hasOwn(acts, event.data)) acts[event.data]();
});
