// A tab of the shop, as a person has one: it is a frame, and /demo/drive.js in it
// does what it is told.

const patience = 20000; // milliseconds: nobody waits longer for a page

export class Tab {
  constructor(place, origin, title) {
    this.origin = origin;
    this.box = document.createElement('figure');
    this.address = document.createElement('figcaption');
    this.frame = document.createElement('iframe');
    this.frame.title = title;
    this.box.append(this.address, this.frame);
    this.place = place;
    this.closed = new AbortController();
    this.waiting = () => {};
    this.frame.addEventListener('load', () => this.tell('page'));
    addEventListener('message', (event) => {
      if (event.origin === origin && event.source === this.frame.contentWindow) this.arrive(event.data);
    }, { signal: this.closed.signal });
  }

  // open loads a page, in place of the one that is there, so that the browser's own
  // Back leads away from here as before.
  open(path) {
    const url = this.origin + path;
    const form = this.form();
    if (this.frame.isConnected) {
      this.frame.contentWindow.location.replace(url);
    } else {
      this.frame.src = url;
      this.place.append(this.box);
    }
    return form;
  }

  close() {
    this.closed.abort();
    this.box.remove();
  }

  tell(what) { this.frame.contentWindow.postMessage(what, this.origin); }

  // answer is the next page that says thank you, and form the next that does not.
  answer() { return this.page((p) => p.order > 0); }

  form() { return this.page((p) => !p.order); }

  // page is the next one that is wanted; after a while it is none.
  page(wanted) {
    return new Promise((done) => {
      const late = setTimeout(() => done({ order: 0 }), patience);
      this.waiting = (p) => {
        if (!wanted(p)) return;
        clearTimeout(late);
        done(p);
      };
    });
  }

  arrive(page) {
    this.address.textContent = page.address;
    this.address.title = this.origin + page.address;
    this.waiting(page);
  }
}
