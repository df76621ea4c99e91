// What decisions and policies come down to in words, and the exception that one would write.
import type { Decision, Policy, Reason } from '../api/types';

/** The webhook's enforcement point. */
const WEBHOOK = 'validation.gatekeeper.sh';

const OUTCOMES: Record<string, ['ok' | 'bad' | 'unknown' | 'skipped', string]> = {
  allowed: ['ok', 'Allowed'],
  denied: ['bad', 'Denied'],
  unknown: ['unknown', 'Unknown'],
  excluded: ['skipped', 'Left out'],
};

/** Mark and word of an outcome. */
export function outcome(word: string): ['ok' | 'bad' | 'unknown' | 'skipped', string] {
  return OUTCOMES[word] ?? ['unknown', word];
}

/** What a policy does at the webhook: its worst action, or nothing. */
export function atWebhook(policy: Policy): string {
  const actions = policy.constraints.flatMap((c) => c.points.filter((p) => p.name === WEBHOOK).flatMap((p) => p.actions));
  return ['deny', 'warn', 'dryrun'].find((action) => actions.includes(action)) ?? '';
}

/** The first sentence of why a decision fell. */
export function headline(reasons: Reason[]): string {
  const first = reasons.find((r) => r.actions?.includes('deny') && !r.exception) ?? reasons.find((r) => !r.exception) ?? reasons[0];
  return first ? (first.message ?? first.why ?? '') : '';
}

/** Milliseconds, with the digits that tell something. */
export function millis(micros: number): string {
  return micros < 10_000 ? (micros / 1000).toFixed(2) : Math.round(micros / 1000).toString();
}

/** A PolicyException for a violation, to be completed by its owner. */
export function exception(reason: Reason, decision: Pick<Decision, 'namespace' | 'name' | 'kind'>, expires: Date): string {
  const quoted = (text: string) => JSON.stringify(text);
  const policy = (reason.kind ?? '').toLowerCase() || (reason.policy ?? '').split('/').at(-1) || '*';
  const match = decision.namespace ? [`    namespaces: [${quoted(decision.namespace)}]`] : [];
  if (decision.name) match.push(`    name: ${quoted(decision.name)}`);
  return [
    'apiVersion: bartizan.dev/v1',
    'kind: PolicyException',
    `metadata: {name: ${quoted([policy, decision.namespace, decision.name].filter(Boolean).join('-').toLowerCase().slice(0, 60))}}`,
    'spec:',
    `  policies: [${quoted(policy)}]`,
    ...(reason.constraint ? [`  constraints: [${quoted(reason.constraint)}]`] : []),
    ...(match.length ? ['  match:', ...match] : []),
    '  owner: ""            # who answers for it',
    '  reason: ""           # why, with a ticket',
    `  expires: ${expires.toISOString().slice(0, 10)}`,
    '',
  ].join('\n');
}
