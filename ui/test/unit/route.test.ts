// Addresses: what is written is read back, and nothing else matches.
import { expect, test } from 'vitest';
import { match, path, readSearch, ROUTES, searchText } from '../../src/route/table';

test('every route reads back what it wrote', () => {
  const values = ['AC-6(9)', 'cluster:prod', 'rego/bartizan/x', 'a b', '100%', 'ü?&#', 'CC6.1', '..'];
  for (const [name, pattern] of Object.entries(ROUTES)) {
    const names = [...pattern.matchAll(/:(\w+)/g)].map((m) => m[1] ?? '');
    for (const value of values) {
      // A lone `..` would be resolved by the browser; no id of ours is that.
      if (value === '..') continue;
      const params = Object.fromEntries(names.map((n) => [n, value]));
      const href = names.length
        ? path(name as 'finding', params as { key: string }, { scope: 'cluster:prod' })
        : path(name as 'findings', { scope: 'cluster:prod' });
      const url = new URL(href, 'http://console');
      expect(match(url.pathname, url.search)).toEqual({ name, params, query: { scope: 'cluster:prod' } });
    }
  }
});

test('the fixed word goes before the parameter', () => {
  expect(match('/attestations/verify', '').name).toBe('verify');
  expect(match('/attestations/att_1', '')).toEqual({ name: 'attestation', params: { id: 'att_1' }, query: {} });
});

test('ids with a dot end with a slash, so that no server takes them for a file', () => {
  expect(path('control', { framework: 'soc2', control: 'CC6.1' })).toBe('/frameworks/soc2/CC6.1/');
  expect(path('check', { uid: 'sarif/x/a.b' })).toBe('/checks/sarif%2Fx%2Fa.b/');
});

test('unknown and broken addresses', () => {
  expect(match('/nowhere', '').name).toBe('notFound');
  expect(match('/findings/a/b', '').name).toBe('notFound');
  expect(match('/findings/%E0%A4%A', '').name).toBe('notFound');
});

test('a search text leaves out what is empty and orders what is not', () => {
  expect(searchText({ b: '2', a: 'x y', c: '', d: undefined, e: null, f: 0 })).toBe('?a=x+y&b=2&f=0');
  expect(searchText({})).toBe('');
  expect(readSearch('?a=x+y&b=%C3%BC&a=last')).toEqual({ a: 'last', b: 'ü' });
});
