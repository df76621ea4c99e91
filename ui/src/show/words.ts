// What the words of the API are called on the screen.
import type { ControlStatus, FindingStatus, OutcomeWord } from '../api/types';

export const STATUS_NAMES: Record<FindingStatus, string> = {
  open: 'Open',
  reopened: 'Reopened',
  accepted: 'Accepted',
  false_positive: 'False positive',
  fixed: 'Fixed',
};

export const OUTCOME_NAMES: Record<OutcomeWord, string> = {
  pass: 'Pass',
  fail: 'Fail',
  not_applicable: 'Not applicable',
  unknown: 'Unknown',
};

export const CONTROL_NAMES: Record<ControlStatus, string> = {
  passed: 'Passed',
  failed: 'Failed',
  accepted: 'Accepted',
  not_assessed: 'Not assessed',
  not_applicable: 'Not applicable',
  manual: 'Manual',
};

/** What each control state means, in a line. */
export const CONTROL_MEANS: Record<ControlStatus, string> = {
  passed: 'Checks passed, none failed and none was unknown; or a person judged it met.',
  failed: 'At least one failure that nobody accepted; or a person judged it not met.',
  accepted: 'Its only failures are accepted. No pass, and outside the score.',
  not_assessed: 'Checks did not run, or could not tell. Outside the score.',
  not_applicable: 'Its checks had nothing to look at.',
  manual: 'Only a person can tell, and none has yet, or the verdict ran out.',
};

const ACTIONS: Record<string, string> = {
  'artifact.received': 'Artifact received',
  'assessment.recorded': 'Control assessed',
  'attestation.issued': 'Attestation issued',
  'finding.accepted': 'Finding accepted',
  'finding.false_positive': 'Ruled false positive',
  'finding.fixed': 'Finding fixed',
  'finding.opened': 'Finding opened',
  'finding.reopened': 'Finding reopened',
  'keys.rotated': 'Keys rotated',
  'scan.cancelled': 'Scan called off',
  'scan.imported': 'Scan imported',
  'scan.requested': 'Scan asked for',
  'schedule.changed': 'Schedule changed',
  'schedule.ran': 'Schedule ran',
  'schedule.removed': 'Schedule removed',
  'scope.archived': 'Scope archived',
  'scope.deleted': 'Scope deleted',
  'session.login': 'Sign-in',
  'session.logout': 'Sign-out',
  'system.changed': 'System changed',
  'system.registered': 'System registered',
  'system.removed': 'System removed',
  'token.created': 'Token created',
  'token.revoked': 'Token revoked',
  'user.changed': 'User changed',
};

/** The action words that the audit filter offers. */
export const ACTION_WORDS = Object.keys(ACTIONS);

/** An action's name; an unheard-of word is shown as it is. */
export function actionName(action: string): string {
  return ACTIONS[action] ?? action.replace('.', ' ').replaceAll('_', ' ');
}
