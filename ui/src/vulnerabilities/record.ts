// Records as feeds have them, read defensively: what is missing or of another shape is left out.
import type { Feed, Severity, Vulnerability } from '../api/types';

type Plain = Record<string, unknown>;
const plain = (value: unknown): Plain => (value && typeof value === 'object' && !Array.isArray(value) ? (value as Plain) : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** A severity as the console draws it; unrated has no shape of its own. */
export function severityOf(word: string): Severity {
  return (['critical', 'high', 'medium', 'low'] as const).find((s) => s === word) ?? 'info';
}

export interface Words {
  title: string;
  description: string;
  by: string;
  published: string;
  updated: string;
}

/** Title and description: of the CVE list, else of the first advisory that has one. */
export function wordsOf(whole: Vulnerability): Words {
  for (const record of [...whole.cves, ...whole.advisories].map(plain)) {
    const description = text(record['description']) || text(record['details']);
    const title = text(record['title']) || text(record['summary']);
    if (description || title)
      return { title, description, by: text(record['assigner']) || text(record['source']), published: text(record['published']), updated: text(record['updated']) || text(record['modified']) };
  }
  return { title: '', description: '', by: '', published: '', updated: '' };
}

export interface PackageRow {
  ecosystem: string;
  name: string;
  from: string;
  fixed: string;
  last: string;
  state: string;
  advisory: string;
  source: string;
}

/** What advisories say about packages: those with a fix first, then by ecosystem. */
export function packagesOf(whole: Vulnerability): PackageRow[] {
  const rows: PackageRow[] = [];
  for (const advisory of whole.advisories.map(plain)) {
    for (const affected of list(advisory['affected']).map(plain)) {
      const base = {
        ecosystem: text(affected['ecosystem']),
        name: text(affected['package']),
        state: text(affected['state']) || 'affected',
        advisory: text(advisory['id']),
        source: text(advisory['source']),
      };
      const ranges = list(affected['ranges']).map(plain);
      if (ranges.length === 0) rows.push({ ...base, from: '', fixed: '', last: '' });
      for (const range of ranges) {
        const end = plain(range['end']);
        rows.push({ ...base, from: text(range['introduced']), fixed: text(end['fixed']), last: text(end['last-affected']) });
      }
    }
  }
  const key = (row: PackageRow) => `${row.fixed ? 0 : 1} ${row.ecosystem} ${row.name} ${row.fixed}`;
  return rows.toSorted((a, b) => key(a).localeCompare(key(b)));
}

const STATES: Record<string, string> = {
  affected: 'No fix known',
  'not-affected': 'Not affected',
  'wont-fix': 'Will not be fixed',
  postponed: 'Fix postponed',
  unimportant: 'Of no importance there',
  'under-investigation': 'Under investigation',
};
export const stateWord = (row: PackageRow) => (row.fixed ? row.fixed : row.last ? `after ${row.last}` : (STATES[row.state] ?? row.state));

export interface ProductRow {
  vendor: string;
  product: string;
  versions: string[];
  /** What counts for versions that are not listed: `affected`, `unaffected`, `unknown` or nothing. */
  otherwise: string;
}

/** Products as the CVE list names them, each once. */
export function productsOf(whole: Vulnerability): ProductRow[] {
  const rows = new Map<string, ProductRow>();
  for (const record of whole.cves.map(plain)) {
    for (const product of list(record['products']).map(plain)) {
      const row = { vendor: text(product['vendor']), product: text(product['product']) || text(product['package']), versions: [] as string[], otherwise: text(product['default_status']) };
      if (!row.product || row.product === 'n/a') continue;
      const held = rows.get(`${row.vendor}/${row.product}`) ?? row;
      rows.set(`${row.vendor}/${row.product}`, held);
      for (const version of list(product['versions']).map(plain)) {
        if (text(version['status']) !== 'affected') continue;
        const below = text(version['less_than']);
        const upTo = text(version['less_than_or_equal']);
        const words = `${text(version['version'])}${below ? ` before ${below}` : upTo ? ` to ${upTo}` : ''}`;
        if (!held.versions.includes(words)) held.versions.push(words);
      }
    }
  }
  return [...rows.values()];
}

export interface RatingRow {
  by: string;
  vector: string;
  score: string;
}
export function ratingsOf(whole: Vulnerability): RatingRow[] {
  const rows = new Map<string, RatingRow>();
  for (const record of [...whole.cves, ...whole.advisories].map(plain)) {
    for (const rating of [...list(record['ratings']), ...list(record['severities'])].map(plain)) {
      const tenths = rating['score'] ?? rating['stated'];
      const vector = text(rating['vector']);
      if (vector && !rows.has(vector)) rows.set(vector, { by: text(rating['by']) || text(record['source']) || text(record['assigner']), vector, score: typeof tenths === 'number' ? (tenths / 10).toFixed(1) : '' });
    }
  }
  return [...rows.values()];
}

export function weaknessesOf(whole: Vulnerability): string[] {
  return [...new Set([...whole.cves, ...whole.advisories].flatMap((r) => list(plain(r)['cwes']).map(text)))].filter(Boolean);
}

export function referencesOf(whole: Vulnerability): { kind: string; url: string }[] {
  const rows = new Map<string, { kind: string; url: string }>();
  for (const reference of [...whole.cves, ...whole.advisories].flatMap((r) => list(plain(r)['references'])).map(plain)) {
    const url = text(reference['url']);
    if (url && !rows.has(url)) rows.set(url, { kind: text(reference['kind']), url });
  }
  return [...rows.values()];
}

/** CISA's decision points, and its catalogue's entry. */
export function cisaOf(whole: Vulnerability): { name: string; value: string }[] {
  const facts = [];
  const ssvc = plain(whole.cves.map((r) => plain(r)['ssvc']).find(Boolean));
  for (const [key, name] of [['exploitation', 'Exploitation'], ['automatable', 'Automatable'], ['technical_impact', 'Technical impact']] as const) {
    if (text(ssvc[key])) facts.push({ name, value: text(ssvc[key]) });
  }
  const kev = plain(whole.kev[0]);
  if (text(kev['dateAdded'])) facts.push({ name: 'In the catalogue since', value: text(kev['dateAdded']) });
  if (text(kev['dueDate'])) facts.push({ name: 'To be fixed by', value: text(kev['dueDate']) });
  if (text(kev['knownRansomwareCampaignUse']) === 'Known') facts.push({ name: 'Ransomware', value: 'uses it' });
  return facts;
}

const LEVELS: Record<string, string> = { act: 'Act now', attend: 'Attend soon', 'track-closely': 'Track closely', track: 'Track' };
export const levelWord = (priority: unknown): string => LEVELS[text(priority)] ?? '';

/** A value of a change, short enough for a line. */
export function brief(value: unknown): string {
  if (value === null || value === undefined) return '';
  const words = typeof value === 'string' ? value : JSON.stringify(value);
  return words.length > 400 ? `${words.slice(0, 400)}…` : words;
}

/** How a feed stands: a failed attempt, or no success within two days, is not fine. */
export function health(feed: Feed): 'ok' | 'bad' | 'late' {
  if (feed.error) return 'bad';
  if (feed.age_seconds === null || feed.age_seconds === undefined) return 'bad';
  return feed.age_seconds > 2 * 86_400 ? 'late' : 'ok';
}

/** `3 d`, `5 h`, `12 min` of seconds. */
export function length(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A probability; what is small is not zero. */
export function chance(share: number | null | undefined): string {
  if (share === null || share === undefined) return '–';
  return share < 0.001 ? '<0.1%' : `${Math.round(share * 1000) / 10}%`;
}
