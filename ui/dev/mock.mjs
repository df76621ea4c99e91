// A small server of the HTTP contract with pretended data, for work on the console and its
// browser test. Serves dist/ beside the API, under the same Content-Security-Policy as the
// product. Usage: node dev/mock.mjs [--port N] [--empty]
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { handlers } from './mock/routes.mjs';
import { World } from './mock/world.mjs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

function problem(response, status, detail, code = 'mock') {
  const title = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 422: 'Unprocessable' }[status] ?? 'Error';
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ type: `urn:bartizan:problem:${code}`, title, status, detail, code, request_id: randomBytes(4).toString('hex') }));
}

function file(path, response) {
  const asked = normalize(join(DIST, decodeURIComponent(path)));
  const found = asked.startsWith(DIST) && extname(asked) in TYPES && existsSync(asked) ? asked : join(DIST, 'index.html');
  if (!existsSync(found)) return problem(response, 404, 'The console is not built. Run npm run build.');
  response.writeHead(200, { 'content-type': TYPES[extname(found)], 'cache-control': 'no-store' });
  response.end(readFileSync(found));
}

/** Starts the mock; resolves to its address and a way to stop it. */
export function startMock({ port = 0, empty = false, delay = 0 } = {}) {
  const world = new World({ empty });
  const sessions = new Map();
  const routes = handlers(world, sessions);

  async function api(request, response, url) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const cookie = /bartizan_session=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1];
    const held = sessions.get(cookie);
    const path = url.pathname.slice('/api/v1'.length);
    const open = path === '/jwks' || (path === '/session' && request.method === 'POST');
    if (!open && !held) return problem(response, 401, 'You are not signed in, or the session ended. Sign in again.', 'unauthorized');
    if (!open && request.method !== 'GET' && request.headers['x-csrf-token'] !== held.csrf) return problem(response, 403, 'The X-CSRF-Token header is missing or wrong. Reload the page.', 'csrf');
    const json = (request.headers['content-type'] ?? '').includes('json') && raw.length ? JSON.parse(raw) : {};
    for (const [method, pattern, handle] of routes) {
      const match = method === request.method && pattern.exec(path);
      if (!match) continue;
      const params = match.slice(1).map(decodeURIComponent);
      const answer = await handle({ params, query: Object.fromEntries(url.searchParams), json, raw, user: held?.user, session: held, cookie });
      if (delay) await new Promise((done) => setTimeout(done, delay));
      if (answer?.problem) return problem(response, answer.problem, answer.detail, answer.code);
      const { status = 200, headers = {}, body } = typeof answer?.status === 'number' || answer?.headers ? answer : { body: answer };
      const text = body === undefined ? '' : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      response.writeHead(body === undefined && status === 200 ? 204 : status, { 'content-type': 'application/json', ...headers });
      return response.end(text);
    }
    problem(response, 404, `There is no ${path}. Check the address.`, 'not_found');
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://mock');
    response.setHeader('content-security-policy', CSP);
    response.setHeader('x-content-type-options', 'nosniff');
    const work = url.pathname.startsWith('/api/v1/') ? api(request, response, url) : Promise.resolve(file(url.pathname, response));
    work.catch((error) => {
      console.error(error);
      if (!response.headersSent) problem(response, 500, `The mock failed: ${error.message}`);
    });
  });
  return new Promise((done) => {
    server.listen(port, '127.0.0.1', () => done({ url: `http://127.0.0.1:${server.address().port}`, world, stop: () => new Promise((ok) => { server.closeAllConnections(); server.close(ok); }) }));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf('--port');
  const { url } = await startMock({ port: at > 0 ? Number(process.argv[at + 1]) : 8099, empty: process.argv.includes('--empty') });
  console.log(`Mock at ${url}; sign in as admin, mara, theo (correct horse battery) or first (one-time-secret)`);
}
