// The findings filter: address and filter are inverse, and nonsense falls back.
import { expect, test } from 'vitest';
import { apiFilter, filterQuery, narrowings, readFilter, SORTS, STATUS_TABS, type Filter, type Sort } from '../../src/findings/filter';
import { SEVERITIES } from '../../src/api/types';
import { readSearch, searchText } from '../../src/route/table';

const NONE: Filter = { scope: '', check: '', asset: '', namespace: '', kind: '', framework: '', control: '', q: '', status: 'active', severity: [], sort: 'severity' };

/** A small repeatable generator. */
function random(seed: number) {
  return (most: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * most);
  };
}

test('1,000 filters survive the address bar', () => {
  const pick = random(7);
  const texts = ['', 'a', 'shop', 'AC-6(9)', 'x&y=z', 'ä ö', '+', '%'];
  for (let i = 0; i < 1000; i++) {
    const text = () => texts[pick(texts.length)] ?? '';
    const filter: Filter = {
      scope: text(), check: text(), asset: text(), namespace: text(), kind: text(), framework: text(), control: text(), q: text(),
      status: STATUS_TABS[pick(STATUS_TABS.length)] ?? 'active',
      severity: SEVERITIES.filter(() => pick(2) === 1),
      sort: (Object.keys(SORTS) as Sort[])[pick(5)] ?? 'severity',
    };
    expect(readFilter(readSearch(searchText(filterQuery(filter))))).toEqual(filter);
  }
});

test('nonsense falls back to the default', () => {
  expect(readFilter({})).toEqual(NONE);
  expect(readFilter({ status: 'evil', sort: '-severity', severity: 'urgent,,HIGH', view: 'page' })).toEqual(NONE);
  expect(readFilter({ severity: 'low,critical,low' }).severity).toEqual(['critical', 'low']);
});

test('the default address is bare and the API is told everything', () => {
  expect(filterQuery(NONE)).toEqual({});
  expect(apiFilter({ ...NONE, severity: ['critical', 'high'], q: 'root' })).toEqual({ q: 'root', severity: 'critical,high', sort: 'severity', status: 'active' });
});

test('narrowings do not count scope, status and order', () => {
  expect(narrowings({ ...NONE, scope: 's', status: 'all', sort: 'check' })).toBe(0);
  expect(narrowings({ ...NONE, q: 'a', kind: 'Pod', severity: ['low', 'info'] })).toBe(3);
});
