// The filter of the findings list: read from an address, written to one, given to the API.
import { SEVERITIES, type Severity } from '../api/types';
import type { Search } from '../route/table';

export const STATUS_TABS = ['active', 'accepted', 'false_positive', 'fixed', 'all'] as const;
export type StatusTab = (typeof STATUS_TABS)[number];
const STATUS_WORDS: readonly string[] = [...STATUS_TABS, 'open', 'reopened'];

/** The closed list of orders; each has one natural direction. */
export const SORTS = {
  severity: 'Severity, worst first',
  changed: 'Changed, newest first',
  first_seen: 'First seen, newest first',
  check: 'Check, A to Z',
  asset: 'Asset, A to Z',
} as const;
export type Sort = keyof typeof SORTS;

const TEXTS = ['scope', 'check', 'asset', 'namespace', 'kind', 'framework', 'control', 'q'] as const;
export type TextField = (typeof TEXTS)[number];

export type Filter = Record<TextField, string> & {
  status: string;
  severity: Severity[];
  sort: Sort;
};

/** Reads a filter; what an address has wrong falls back to the default. */
export function readFilter(query: Search): Filter {
  const texts = Object.fromEntries(TEXTS.map((name) => [name, query[name] ?? ''])) as Record<TextField, string>;
  const severities = (query['severity'] ?? '').split(',');
  const sort = query['sort'] ?? '';
  const status = query['status'] ?? '';
  return {
    ...texts,
    status: STATUS_WORDS.includes(status) ? status : 'active',
    severity: SEVERITIES.filter((severity) => severities.includes(severity)),
    sort: sort in SORTS ? (sort as Sort) : 'severity',
  };
}

/** The query of a filter, without what is the default anyway. */
export function filterQuery(filter: Filter): Search {
  const query: Search = {};
  for (const name of TEXTS) if (filter[name]) query[name] = filter[name];
  if (filter.status !== 'active') query['status'] = filter.status;
  if (filter.severity.length) query['severity'] = filter.severity.join(',');
  if (filter.sort !== 'severity') query['sort'] = filter.sort;
  return query;
}

/** What the API is asked: the same, with the defaults said aloud. */
export function apiFilter(filter: Filter): Search {
  return { ...filterQuery(filter), status: filter.status, sort: filter.sort };
}

/** How many narrowing values are set, apart from scope, status and order. */
export function narrowings(filter: Filter): number {
  return TEXTS.filter((name) => name !== 'scope' && filter[name]).length + (filter.severity.length ? 1 : 0);
}
