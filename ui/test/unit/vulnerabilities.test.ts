import { expect, test } from 'vitest';
import type { Feed, Vulnerability } from '../../src/api/types';
import { cisaOf, health, packagesOf, productsOf, ratingsOf, referencesOf, stateWord, wordsOf } from '../../src/vulnerabilities/record';

const whole: Vulnerability = {
  names: ['CVE-2024-1'], score: 9.8, severity: 'critical', exploited: true, rejected: false, priority: 'act', reasons: [], exploits: [], epss: [], more: false, vex: [], withdrawn: [], unreadable: [],
  kev: [{ cveID: 'CVE-2024-1', dateAdded: '2024-02-01', knownRansomwareCampaignUse: 'Known' }],
  cves: [{ id: 'CVE-2024-1', title: 'T', description: 'D', assigner: 'acme', ratings: [{ by: 'acme', vector: 'CVSS:3.1/AV:N', score: 98 }], cwes: ['CWE-79'], references: [{ url: 'https://a' }, { url: 'https://a' }], ssvc: { exploitation: 'active' }, products: [{ vendor: 'acme', product: 'rocket', versions: [{ version: '0', status: 'affected', less_than: '2' }, { version: '2', status: 'unaffected' }] }, { vendor: 'x', product: 'n/a' }] }, 7, null],
  advisories: [{ id: 'DSA-1', source: 'debian', affected: [{ ecosystem: 'Debian:12', package: 'rocket', state: 'wont-fix' }, { ecosystem: 'Debian:13', package: 'rocket', ranges: [{ end: { fixed: '1.2-1' } }, { introduced: '3', end: { 'last-affected': '4' } }] }] }, 'broken'],
};

test('records are read, and what has another shape is left out', () => {
  expect(wordsOf(whole)).toMatchObject({ title: 'T', description: 'D', by: 'acme' });
  expect(packagesOf(whole).map((p) => [p.ecosystem, stateWord(p)])).toEqual([['Debian:13', '1.2-1'], ['Debian:12', 'Will not be fixed'], ['Debian:13', 'after 4']]);
  expect(productsOf(whole)).toEqual([{ vendor: 'acme', product: 'rocket', versions: ['0 before 2'], otherwise: '' }]);
  expect(ratingsOf(whole)).toEqual([{ by: 'acme', vector: 'CVSS:3.1/AV:N', score: '9.8' }]);
  expect(referencesOf(whole)).toHaveLength(1);
  expect(cisaOf(whole).map((f) => f.value)).toEqual(['active', '2024-02-01', 'uses it']);
});

test('a feed that never succeeded is not fine', () => {
  const feed: Feed = { name: 'a', tried: '2026-01-01T00:00:00Z', offered: 0, applied: 0, refused: 0 };
  expect(health(feed)).toBe('bad');
  expect(health({ ...feed, age_seconds: 60 })).toBe('ok');
  expect(health({ ...feed, age_seconds: 60, error: 'x' })).toBe('bad');
  expect(health({ ...feed, age_seconds: 300_000 })).toBe('late');
});
