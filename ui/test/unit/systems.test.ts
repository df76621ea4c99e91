import { expect, test } from 'vitest';
import { busy, halves, presence, score, share, trend, words } from '../../src/systems/state';
import type { HistoryPoint, System, Task } from '../../src/api/types';

const counts = (pass: number, fail: number, unknown = 0) => ({ pass, fail, unknown, not_applicable: 9 });
const point = (scan: string, source: string, pass: number, fail: number, stale = false): HistoryPoint => ({
  scan, source, finished: `2026-11-2${scan}T00:00:00Z`, complete: true, stale, counts: counts(pass, fail, 2), content: [],
});

test('what could not be told is no pass', () => {
  expect(score(counts(3, 1, 5))).toBe(75);
  expect(score(counts(0, 0, 5))).toBeNull();
  expect(score(undefined)).toBeNull();
});

test('a line is of one source, without what came late', () => {
  const points = [point('1', 'a', 1, 1), point('2', 'b', 3, 1), point('3', 'b', 0, 4, true), point('4', 'b', 4, 4)];
  expect(trend(points)).toEqual([
    { at: '2026-11-22T00:00:00Z', score: 75, coverage: (100 * 4) / 6 },
    { at: '2026-11-24T00:00:00Z', score: 50, coverage: 80 },
  ]);
  expect(trend([])).toEqual([]);
});

test('lists are written as people write them', () => {
  expect(words(' a, b  c,')).toEqual(['a', 'b', 'c']);
  expect(words('')).toEqual([]);
});

test('presence and progress', () => {
  const now = Date.parse('2026-11-25T12:00:00Z');
  const system = (last_seen: string | null) => ({ last_seen }) as System;
  expect(presence(system(null), now)).toBe('never');
  expect(presence(system('2026-11-25T11:59:00Z'), now)).toBe('online');
  expect(presence(system('2026-11-25T11:00:00Z'), now)).toBe('offline');
  expect(presence({ last_seen: '2026-11-25T11:00:00Z', task: { state: 'running' } } as System, now)).toBe('online');
  const task = (state: Task['state'], done: number, total: number | null) => ({ state, progress: { done, total } }) as Task;
  expect(share(task('running', 5, 20))).toBe(25);
  expect(share(task('claimed', 0, null))).toBeUndefined();
  expect([busy(task('queued', 0, null)), busy(task('done', 1, 1)), busy(undefined)]).toEqual([true, false, false]);
});

test('a choice has a kind and an id', () => {
  expect(halves('system:7:a')).toEqual(['system', '7:a']);
  expect(halves('')).toEqual(['', '']);
});
