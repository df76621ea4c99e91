import { expect, test } from 'vitest';
import { inTrouble, standing, violationsOf } from '../../src/admission/audit';
import type { ClusterAudit } from '../../src/api/types';

const audit: ClusterAudit = {
  scope: 'cluster:a', objects: 10, due: 0, sweeps: 0, judged: 12,
  pass_started: '2026-11-25T12:00:00Z', pass_finished: '2026-11-25T12:00:09Z', waiting: null,
  kinds: [
    { group: '', kind: 'Pod', objects: 8, complete: true },
    { group: 'apps', kind: 'Deployment', objects: 2, complete: false, trouble: 'not allowed' },
    { group: '', kind: 'Secret', objects: 0, complete: false, trouble: null },
  ],
  constraints: [
    { kind: 'NoRoot', name: 'a', actions: ['deny'], violations: 2 },
    { kind: 'NoRoot', name: 'b', actions: ['warn'], violations: 3 },
    { kind: 'Quiet', name: 'c', actions: ['deny'], violations: 0 },
  ],
};

test('a kind that is only being listed is in no trouble', () => {
  expect(inTrouble(audit)).toEqual([{ name: 'Deployment.apps', why: 'not allowed' }]);
});

test('no violations is not the same as not asked', () => {
  expect(violationsOf(audit, 'NoRoot')).toBe(5);
  expect(violationsOf(audit, 'Quiet')).toBe(0);
  expect(violationsOf(audit, 'Other')).toBeUndefined();
  expect(violationsOf(undefined, 'NoRoot')).toBeUndefined();
});

test('what it does now', () => {
  expect(standing(audit)).toBe('rests');
  expect(standing({ ...audit, sweeps: 1 })).toBe('catches up');
  expect(standing({ ...audit, pass_finished: null })).toBe('passes');
  expect(standing({ ...audit, waiting: 'no policies are in force' })).toBe('waits');
});
