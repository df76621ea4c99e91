// The console's addresses: one table, typed parameters, no dependency on a browser.

export const ROUTES = {
  overview: '/',
  signIn: '/sign-in',
  password: '/password',
  vulnerabilities: '/vulnerabilities',
  vulnerability: '/vulnerabilities/:id/',
  comparison: '/inventories/compare',
  inventory: '/inventories/:asset/',
  feeds: '/feeds',
  ask: '/ask',
  findings: '/findings',
  finding: '/findings/:key',
  results: '/results',
  checks: '/checks',
  // The slash at the end: an address whose last part has a dot would be taken for a file.
  check: '/checks/:uid/',
  frameworks: '/frameworks',
  framework: '/frameworks/:framework',
  control: '/frameworks/:framework/:control/',
  attestations: '/attestations',
  verify: '/attestations/verify',
  attestation: '/attestations/:id',
  audit: '/audit',
  entry: '/audit/:entry',
  policies: '/admission/policies',
  policy: '/admission/policies/:uid/',
  decisions: '/admission/decisions',
  playground: '/admission/playground',
  systems: '/systems',
  system: '/systems/:id',
  jobs: '/jobs',
  scans: '/scans',
  settings: '/settings',
  settingsPage: '/settings/:section',
} as const;

export type RouteName = keyof typeof ROUTES;
type Names<P extends string> = P extends `${string}:${infer N}/${infer R}`
  ? N | Names<`/${R}`>
  : P extends `${string}:${infer N}`
    ? N
    : never;
/** The parameters that a route's path names. */
export type Params<R extends RouteName> = { [K in Names<(typeof ROUTES)[R]>]: string };

export type Search = Record<string, string>;
export interface Place {
  name: RouteName | 'notFound';
  params: Record<string, string>;
  query: Search;
}

type Args<R extends RouteName> =
  Names<(typeof ROUTES)[R]> extends never
    ? [query?: Record<string, string | number | undefined | null>]
    : [params: Params<R>, query?: Record<string, string | number | undefined | null>];

/** `?a=b`, without empty values and with names in a fixed order; or nothing. */
export function searchText(query: Record<string, string | number | undefined | null>): string {
  const search = new URLSearchParams();
  for (const name of Object.keys(query).sort()) {
    const value = query[name];
    if (value !== undefined && value !== null && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : '';
}

/** Reads `?a=b`; the last of equal names counts. */
export function readSearch(text: string): Search {
  return Object.fromEntries(new URLSearchParams(text));
}

/** The address of a route. */
export function path<R extends RouteName>(name: R, ...args: Args<R>): string {
  const pattern: string = ROUTES[name];
  const named = pattern.includes(':');
  const params = (named ? args[0] : {}) as Record<string, string>;
  const query = (named ? args[1] : args[0]) as Record<string, string | undefined> | undefined;
  const filled = pattern.replace(/:(\w+)/g, (_, key: string) => encodeURIComponent(params[key] ?? ''));
  return filled + searchText(query ?? {});
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function matchOne(pattern: string, parts: string[]): Record<string, string> | undefined {
  const wanted = pattern.split('/').filter(Boolean);
  if (wanted.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, want] of wanted.entries()) {
    const part = decode(parts[i] ?? '');
    if (part === undefined) return undefined;
    if (want.startsWith(':')) params[want.slice(1)] = part;
    else if (want !== part) return undefined;
  }
  return params;
}

/** What an address means. The table's order decides: `/attestations/verify` before `:id`. */
export function match(pathname: string, search: string): Place {
  const parts = pathname.split('/').filter(Boolean);
  const query = readSearch(search);
  for (const [name, pattern] of Object.entries(ROUTES)) {
    const params = matchOne(pattern, parts);
    if (params) return { name: name as RouteName, params, query };
  }
  return { name: 'notFound', params: {}, query };
}
