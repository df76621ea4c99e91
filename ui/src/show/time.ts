// Times for people. The server speaks RFC 3339 in UTC; people read their own zone.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `now`, `5 min ago`, `3 h ago`, `in 12 d`, then the date. */
export function ago(iso: string | null | undefined, now: number = Date.now()): string {
  if (!iso) return 'never';
  const then = Date.parse(iso);
  if (Number.isNaN(then)) return iso;
  const seconds = Math.round((now - then) / 1000);
  const far = Math.abs(seconds);
  if (far < 45) return 'now';
  if (far > 60 * DAY) return day(iso);
  const text =
    far < HOUR
      ? `${Math.max(1, Math.round(far / MINUTE))} min`
      : far < 36 * HOUR
        ? `${Math.round(far / HOUR)} h`
        : `${Math.round(far / DAY)} d`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/** `2026-11-21`, in the reader's zone. */
export function day(iso: string | null | undefined): string {
  if (!iso) return '';
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const two = (n: number) => String(n).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** `2026-11-21 09:30:12`, in the reader's zone. */
export function exact(iso: string | null | undefined): string {
  if (!iso) return '';
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const two = (n: number) => String(n).padStart(2, '0');
  return `${day(iso)} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `340 ms`, `12 s`, `3 min 20 s`. */
export function span(from: string, until: string): string {
  const ms = Date.parse(until) - Date.parse(from);
  if (!Number.isFinite(ms) || ms < 0) return '';
  if (ms < 1000) return `${ms} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 90) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** The date `days` from now, as a date field wants it. */
export function dateIn(days: number, now: number = Date.now()): string {
  return new Date(now + days * DAY * 1000).toISOString().slice(0, 10);
}

/** The first moment of a date field's day, as the server wants it. */
export function startOf(date: string): string {
  return `${date}T00:00:00Z`;
}

/** The date after a date field's, for an exclusive end. */
export function dayAfter(date: string): string {
  const at = Date.parse(startOf(date));
  return Number.isNaN(at) ? '' : new Date(at + DAY * 1000).toISOString().slice(0, 10);
}
