// What the words and numbers about this tenant's vulnerabilities are called on the screen.
import { SEVERITIES, type BySeverity, type Level, type PackageDifference, type Severity } from '../api/types';

export const LEVELS: readonly Level[] = ['act', 'attend', 'track-closely', 'track'];
export const LEVEL_NAMES: Record<Level, string> = { act: 'Act now', attend: 'Attend soon', 'track-closely': 'Track closely', track: 'Track' };
export const LEVEL_MEANS: Record<Level, string> = {
  act: 'Exploited, and severe or open to an attack: today.',
  attend: 'Before the next regular update.',
  'track-closely': 'Watch it; sooner than the regular update where that is easy.',
  track: 'With the next regular update.',
};

/** A level as the console knows it; an unheard-of word is the mildest. */
export const levelOf = (word: string): Level => LEVELS.find((level) => level === word) ?? 'track';

export const sumOf = (counts: BySeverity): number => SEVERITIES.reduce((sum, s) => sum + (counts[s] ?? 0), 0);

export const VIEWS = { cve: 'By CVE', asset: 'By asset', fix: 'By fix', known: 'All known' } as const;
export type View = keyof typeof VIEWS;
/** The view that an address names; the first otherwise. */
export const viewOf = (word: string | undefined): View => (word !== undefined && Object.hasOwn(VIEWS, word) ? (word as View) : 'cve');

/** The values of a comma-separated parameter that are offered. */
export function chosen<T extends string>(offered: readonly T[], text: string | undefined): T[] {
  const words = (text ?? '').split(',');
  return offered.filter((one) => words.includes(one));
}
/** The same with one value switched. */
export function switched<T extends string>(offered: readonly T[], text: string | undefined, one: T): string {
  const now = chosen(offered, text);
  return offered.filter((other) => (other === one) !== now.includes(other)).join(',');
}

export const SEVERITY_WORDS: readonly Severity[] = SEVERITIES;

/** `3.0.11, 3.0.13 and 2 more`. */
export function some(values: readonly string[], most = 2): string {
  if (values.length <= most) return values.join(', ');
  return `${values.slice(0, most).join(', ')} and ${values.length - most} more`;
}

export type Difference = PackageDifference & { kind: 'changed' | 'added' | 'removed' };
export const DIFFERENCES = { changed: 'Changed', added: 'Added', removed: 'Removed' } as const;
