// One door to the HTTP API: cookies, the CSRF token, and errors as the server's own sentence.
import type { ProblemBody } from './types';

/** A refusal or failure, with a sentence for people. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string;

  constructor(status: number, code: string, detail: string, requestId = '') {
    super(detail);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }
}

export type QueryValue = string | number | boolean | null | undefined;
export type Query = Record<string, QueryValue>;

const BASE = '/api/v1';
let csrf = '';
let onSignedOut: () => void = () => {};

/** Remembers the token that unsafe methods must carry. */
export function setCsrf(token: string): void {
  csrf = token;
}

/** Called when the server no longer knows the session. */
export function whenSignedOut(then: () => void): void {
  onSignedOut = then;
}

/** An address of the API, for downloads and requests alike. */
export function apiUrl(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return BASE + path + (text ? `?${text}` : '');
}

/** Joins path segments, each percent-encoded: a scope id or control id is one segment. */
export function segments(...parts: string[]): string {
  return parts.map((part) => `/${encodeURIComponent(part)}`).join('');
}

async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => null)) as Partial<ProblemBody> | null;
  const detail =
    body?.detail ??
    `The server answered ${response.status} without saying why. Try again; if it stays, look into its log.`;
  return new Problem(response.status, body?.code ?? 'unknown', detail, body?.request_id ?? '');
}

interface Send {
  query?: Query;
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Sends a request; throws a {@link Problem} for everything but success. */
export async function send(method: string, path: string, options: Send = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json', ...options.headers };
  if (method !== 'GET') headers['x-csrf-token'] = csrf;
  let body = options.body;
  if (options.json !== undefined) {
    headers['content-type'] = 'application/json';
    body = JSON.stringify(options.json);
  }
  let response: Response;
  try {
    response = await fetch(apiUrl(path, options.query), {
      method,
      headers,
      body,
      signal: options.signal,
      credentials: 'same-origin',
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(0, 'unreachable', 'The server does not answer. Check that `bartizan up` is running, then try again.');
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401 && path !== '/session') onSignedOut();
  throw problem;
}

/** GET, answered with JSON. */
export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const response = await send('GET', path, { query, signal });
  return (await response.json()) as T;
}

/** GET, answered with text. */
export async function getText(path: string, query?: Query, signal?: AbortSignal): Promise<string> {
  const response = await send('GET', path, { query, signal, headers: { accept: '*/*' } });
  return response.text();
}

/** An unsafe method with a JSON body; an empty answer is `undefined`. */
export async function change<T = void>(method: 'POST' | 'PATCH' | 'DELETE', path: string, json?: unknown): Promise<T> {
  const response = await send(method, path, { json });
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** Uploads a file as evidence, with its checksum where the browser can make one. */
export async function uploadEvidence(file: File): Promise<{ artifact: string; size: number; name: string }> {
  const headers: Record<string, string> = { 'content-type': file.type || 'application/octet-stream' };
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
    headers['content-digest'] = `sha-256=:${btoa(String.fromCharCode(...digest))}:`;
  }
  const response = await send('POST', '/artifacts', {
    query: { kind: 'evidence', name: file.name },
    body: file,
    headers,
  });
  return (await response.json()) as { artifact: string; size: number; name: string };
}
