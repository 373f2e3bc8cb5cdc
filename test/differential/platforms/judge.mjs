// Says what Cloudflare Pages, Netlify and Vercel answer, by their own code. One
// job as JSON on each line of standard input, one answer on each line of
// standard output:
//
//   {"platform": "cloudflare", "config": "/a /b 301\n", "requests": [{"url": "http://h/a", "method": "GET", "headers": {}}]}
//   {"answers": [{"status": 301, "location": "/b"}], "errors": []}
//
// An answer of status 0 is a request that no redirect takes.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { parseAllRedirects } from 'netlify-redirect-parser';

const require = createRequire(import.meta.url);
const redirector = require('netlify-redirector');
const { getTransformedRoutes } = require('@vercel/routing-utils');

const pass = { status: 0, location: '' };

// cloudflare is the asset server of Pages. Its parser of _redirects is on npm
// only inside of miniflare's bundle, where each source file stands after its
// name.
async function cloudflare() {
  const pages = dirname(require.resolve('@cloudflare/pages-shared/package.json'));
  const { generateHandler } = await import(join(pages, 'dist/asset-server/handler.js'));
  const { createMetadataObject } = await import(join(pages, 'dist/metadata-generator/createMetadataObject.js'));
  const bundle = readFileSync(join(pages, '../../miniflare/dist/src/index.js'), 'utf8');
  const name = (file) => `// ../workers-shared/utils/configuration/${file}.ts`;
  const start = bundle.indexOf(name('constants'));
  const end = bundle.indexOf(name('constructConfiguration'));
  if (start < 0 || end < start) throw new Error('miniflare: no parseRedirects in its bundle');
  const parseRedirects = new Function(`${bundle.slice(start, end)}; return parseRedirects;`)();
  return async (config) => {
    const redirects = parseRedirects(config);
    const metadata = createMetadataObject({ redirects, deploymentId: 'x' });
    const answer = async ({ url, method }) => {
      const response = await generateHandler({
        request: new Request(url, { method }),
        metadata,
        logError: (err) => { throw err; },
        findAssetEntryForPath: async () => null,
        getAssetKey: () => '',
        negotiateContent: () => ({ encoding: null }),
        fetchAsset: async () => ({ body: null, contentType: '' }),
      });
      const location = response.headers.get('location');
      return location === null ? pass : { status: response.status, location };
    };
    return { answer, errors: redirects.invalid.map((i) => `${i.lineNumber ?? 0}: ${i.message}`) };
  };
}

// netlify is the matcher that Netlify's command line runs, behind the parser
// that its builds run. How a query is passed on is in rules of Netlify's
// servers; here it is done as its command line does.
async function netlify(config, platform) {
  const dir = mkdtempSync(join(tmpdir(), 'seeother-judge-'));
  const file = join(dir, platform === 'netlify' ? '_redirects' : 'netlify.toml');
  writeFileSync(file, config);
  const parsed = await parseAllRedirects(
    platform === 'netlify' ? { redirectsFiles: [file] } : { netlifyConfigPath: file },
  );
  rmSync(dir, { recursive: true });
  const errors = parsed.errors.map((e) => e.message);
  const rules = parsed.redirects.map(({ from, query, signed, ...rest }) => ({
    ...rest, origin: from, params: query, ...(signed && { sign: { jwt_secret: signed } }),
  }));
  if (rules.length === 0) return { answer: async () => pass, errors };
  const options = { jwtSecret: 'secret', jwtRoleClaim: 'app_metadata.authorization.roles' };
  const matcher = await redirector.parseJSON(JSON.stringify(rules), options);
  const answer = async ({ url, headers }) => {
    const u = new URL(url);
    const cookies = Object.fromEntries((headers.cookie ?? '').split('; ').filter(Boolean).map((c) => c.split('=')));
    const match = matcher.match({
      scheme: u.protocol.slice(0, -1), host: u.hostname, path: u.pathname, query: u.search.slice(1),
      getHeader: (n) => headers[n.toLowerCase()] ?? '', getCookie: (n) => cookies[n] ?? '',
    });
    if (!match || match.force404 || match.status < 300 || match.status > 399) return pass;
    return { status: match.status, location: match.to, force: match.force, query: u.search.slice(1) };
  };
  return { answer, errors };
}

// vercel gives the routes that routing-utils makes, tried in their order as
// "vercel dev" does. It does not look at has and missing; here they are looked
// at as the documentation says.
async function vercel(config) {
  const { routes, error } = getTransformedRoutes(JSON.parse(config));
  const answer = async ({ url, headers }) => {
    const u = new URL(url);
    for (const route of routes ?? []) {
      if (route.handle) continue;
      const match = new RegExp(route.src).exec(u.pathname);
      if (!match) continue;
      const captured = {};
      const holds = (c) => condition(c, u, headers, captured);
      if (!(route.has ?? []).every(holds) || (route.missing ?? []).some(holds)) continue;
      if (!route.headers?.Location) return pass;
      const fill = (_, name) => captured[name] ?? match[parseInt(name, 10)] ?? '';
      return { status: route.status, location: merge(route.headers.Location.replace(/\$([1-9]+|[a-zA-Z]+)/g, fill), u.search) };
    }
    return pass;
  };
  return { answer, errors: error ? [error.message] : [] };
}

function condition({ type, key, value }, url, headers, captured) {
  const cookies = Object.fromEntries((headers.cookie ?? '').split('; ').filter(Boolean).map((c) => c.split('=')));
  const got = {
    host: () => url.hostname, header: () => headers[key.toLowerCase()], cookie: () => cookies[key],
    query: () => url.searchParams.getAll(key).at(-1),
  }[type]();
  if (!got) return false;
  if (value === undefined) {
    captured[key] = got;
    return true;
  }
  const match = new RegExp(`^(?:${value})$`).exec(got);
  if (!match) return false;
  Object.assign(captured, match.groups ?? {});
  if (type === 'host') captured.host = match[0];
  return true;
}

// merge passes on the parameters that the target has not.
function merge(location, search) {
  const [rest, hash = ''] = location.split(/(?=#)/, 2);
  const [path, own = ''] = rest.split(/\?(.*)/s, 2);
  const names = new Set(own.split('&').map((p) => p.split('=')[0]));
  const more = search.slice(1).split('&').filter((p) => p !== '' && !names.has(p.split('=')[0]));
  const query = [own, ...more].filter(Boolean).join('&');
  return path + (query && `?${query}`) + hash;
}

const platforms = { cloudflare: await cloudflare(), netlify, 'netlify-toml': netlify, vercel };

for await (const line of createInterface({ input: process.stdin })) {
  const { platform, config, requests } = JSON.parse(line);
  const out = { answers: [], errors: [] };
  try {
    const { answer, errors } = await platforms[platform](config, platform);
    out.errors = errors;
    for (const request of requests) out.answers.push(await answer({ headers: {}, method: 'GET', ...request }));
  } catch (error) {
    out.failed = String(error?.stack ?? error);
  }
  process.stdout.write(`${JSON.stringify(out)}\n`);
}
