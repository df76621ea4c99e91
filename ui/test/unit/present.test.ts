// The words and filters of this tenant's vulnerabilities.
import { expect, test } from 'vitest';
import { chosen, levelOf, LEVELS, some, sumOf, switched, viewOf } from '../../src/vulnerabilities/words';

test('a filter of several values is read, switched and kept in its order', () => {
  expect(chosen(LEVELS, 'track,act,nonsense')).toEqual(['act', 'track']);
  expect(switched(LEVELS, 'track', 'act')).toBe('act,track');
  expect(switched(LEVELS, 'act,track', 'act')).toBe('track');
  expect(switched(LEVELS, undefined, 'track-closely')).toBe('track-closely');
});

test('what an address has wrong falls back', () => {
  expect([viewOf('fix'), viewOf('toString'), viewOf(undefined), viewOf('x')]).toEqual(['fix', 'cve', 'cve', 'cve']);
  expect([levelOf('act'), levelOf('whatever')]).toEqual(['act', 'track']);
});

test('counts and lists are told briefly', () => {
  expect(sumOf({ critical: 1, high: 2, medium: 0, low: 0, info: 4 })).toBe(7);
  expect([some(['1']), some(['1', '2']), some(['1', '2', '3', '4'])]).toEqual(['1', '1, 2', '1, 2 and 2 more']);
});
