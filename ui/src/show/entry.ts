// What an audit entry says to people: its name, its subject, its reason.
import { assetText } from './number';
import { actionName } from './words';

type Detail = Record<string, unknown>;

function record(detail: unknown): Detail {
  return detail !== null && typeof detail === 'object' ? (detail as Detail) : {};
}
function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The action's name; a sign-in that was refused says so. */
export function entryName(entry: { action?: string; detail?: unknown }): string {
  if (entry.action === 'session.login' && record(entry.detail)['ok'] === false) return 'Sign-in refused';
  return actionName(entry.action ?? '');
}

/** A finding by its title and asset; everything else by its subject. */
export function entrySubject(entry: { subject?: string; detail?: unknown }): string {
  const detail = record(entry.detail);
  const [title, asset] = [text(detail['title']), text(detail['asset'])];
  return title && asset ? `${title} · ${assetText(asset)}` : (entry.subject ?? '');
}

/** Why it was done, who answers, and until when, where the particulars say so. */
export function entryReason(detail: unknown): { reason: string; owner: string; expires: string } {
  const of = record(detail);
  const acceptance = record(of['acceptance']);
  return {
    reason: text(acceptance['reason']) || text(of['reason']),
    owner: text(acceptance['owner']) || text(of['owner']),
    expires: text(acceptance['expires']) || text(of['expires']),
  };
}
