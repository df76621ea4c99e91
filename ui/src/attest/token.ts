// Reads a compact JWT without believing it: to say what was pasted before it is checked.
import { fromBase64 } from '../proof/bytes';

export interface Decoded {
  header: Record<string, unknown>;
  claims: Record<string, unknown>;
}

function part(text: string): Record<string, unknown> | undefined {
  const standard = text.replaceAll('-', '+').replaceAll('_', '/');
  const bytes = fromBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, '='));
  if (!bytes) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Header and claims; nothing when it is no JWT. */
export function decodeToken(text: string): Decoded | undefined {
  const parts = text.trim().split('.');
  if (parts.length !== 3) return undefined;
  const [header, claims] = [part(parts[0] ?? ''), part(parts[1] ?? '')];
  return header && claims ? { header, claims } : undefined;
}
