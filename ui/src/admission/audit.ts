// What the audit of the cluster means for people.

import type { ClusterAudit } from '../api/types';

/** Kinds of which not everything is known although it should be, each with the reason. */
export function inTrouble(audit: ClusterAudit): { name: string; why: string }[] {
  return audit.kinds
    .filter((kind) => !kind.complete && kind.trouble)
    .map((kind) => ({ name: kind.group ? `${kind.kind}.${kind.group}` : kind.kind, why: kind.trouble ?? '' }));
}

/** Violations of all constraints of a template; none where the audit asks none of them. */
export function violationsOf(audit: ClusterAudit | undefined, kind: string): number | undefined {
  const asked = audit?.constraints.filter((one) => one.kind === kind) ?? [];
  return asked.length ? asked.reduce((sum, one) => sum + one.violations, 0) : undefined;
}

/** What it does now: it waits, it is in its full pass, it has changes to judge, or it rests. */
export function standing(audit: ClusterAudit): 'waits' | 'passes' | 'catches up' | 'rests' {
  if (audit.waiting) return 'waits';
  if (!audit.pass_finished) return 'passes';
  return audit.due > 0 || audit.sweeps > 0 ? 'catches up' : 'rests';
}
