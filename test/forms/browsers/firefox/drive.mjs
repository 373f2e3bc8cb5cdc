// Drives a Firefox that runs already, over WebDriver BiDi, for tests in Go. Each line
// of the standard input is a step, {"id", "who", "do", ...}, and each line of the
// output its result, {"id", "value"} or {"id", "error"}. Who is a person with cookies
// and a page of their own; the steps of one person come one after the other.
import readline from 'node:readline';
import puppeteer from 'puppeteer-core';

const browser = await puppeteer.connect({protocol: 'webDriverBiDi', browserWSEndpoint: process.argv[2]});
const people = new Map();

async function arrive() {
  const context = await browser.createBrowserContext();
  const page = await context.newPage({type: 'window'}); // a tab behind another one is slowed down
  await page.setViewport({width: 1280, height: 900});
  page.setDefaultTimeout(110_000); // the tests wait for two minutes
  const person = {page, complaints: [], dialogs: [], navigations: []};
  page.on('console', (m) => {
    if (['error', 'warn', 'assert'].includes(m.type())) person.complaints.push(`${m.type()}: ${m.text()}`);
  });
  page.on('pageerror', (e) => person.complaints.push(`exception: ${e.message}`));
  page.on('dialog', (d) => {
    person.dialogs.push(`${d.type()} ${d.message()}`);
    d.accept().catch(() => {}); // it may be gone
  });
  page.on('request', (r) => {
    if (r.isNavigationRequest() && r.frame() === page.mainFrame()) person.navigations.push(`${r.method()} ${r.url()}`);
  });
  return person;
}

const steps = {
  goto: ({page}, s) => page.goto(s.url).then(() => null),
  press: ({page}, {at}) => page.mouse.click(at.x, at.y),
  upload: async ({page}, s) => {
    const input = await page.$(s.selector);
    await input.uploadFile(...s.files);
  },
  // A page that comes from the browser's own memory may not say that it has loaded.
  // Whoever asks waits for what the page is to show.
  refresh: ({page}) => { page.reload().catch(() => {}); },
  back: ({page}) => { page.goBack().catch(() => {}); },
  evaluate: ({page}, s) => page.evaluate(s.script),
  screenshot: async ({page}, s) => { await page.screenshot({path: s.text}); },
  report: ({complaints, dialogs, navigations}) => ({complaints, dialogs, navigations}),
};

async function take(step) {
  if (!people.has(step.who)) people.set(step.who, arrive());
  const person = await people.get(step.who);
  return await steps[step.do](person, step);
}

for await (const line of readline.createInterface({input: process.stdin})) {
  const step = JSON.parse(line);
  take(step).then(
    (value) => ({id: step.id, value: value ?? null}),
    (error) => ({id: step.id, error: String(error.message ?? error)}),
  ).then((result) => process.stdout.write(JSON.stringify(result) + '\n'));
}
await browser.disconnect();
