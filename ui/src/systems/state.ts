// What a system's row and history come down to: shares, words, the line of a sparkline.
import type { HistoryPoint, OutcomeWord, System, Task } from '../api/types';
import type { Part } from '../ui/counts';

/** A runner that asked within this time is taken for alive: it asks every half minute. */
const ALIVE_MS = 3 * 60_000;

/** Percent of passes among passes and failures; what could not be told is neither. */
export function score(counts: Record<OutcomeWord, number> | undefined): number | null {
  const judged = (counts?.pass ?? 0) + (counts?.fail ?? 0);
  return judged > 0 ? (100 * (counts?.pass ?? 0)) / judged : null;
}

/** Whether a task is queued or under way. */
export function busy(task: Task | null | undefined): boolean {
  return task?.state === 'queued' || task?.state === 'claimed' || task?.state === 'running';
}

/** Percent done, where it is known. */
export function share(task: Task): number | undefined {
  return task.progress.total ? Math.min(100, (100 * task.progress.done) / task.progress.total) : undefined;
}

/** Whether a runner asks for the system's work. */
export function presence(system: System, now: number): 'online' | 'offline' | 'never' {
  // While it scans it says how far it is, and does not ask for more.
  if (system.task?.state === 'claimed' || system.task?.state === 'running') return 'online';
  if (!system.last_seen) return 'never';
  return now - Date.parse(system.last_seen) <= ALIVE_MS ? 'online' : 'offline';
}

/** The parts of a scan's counts. */
export function parts(counts: Record<OutcomeWord, number>): Part[] {
  return [
    { name: 'Pass', n: counts.pass, tone: 'pass' },
    { name: 'Fail', n: counts.fail, tone: 'fail' },
    { name: 'Unknown', n: counts.unknown, tone: 'unknown' },
    { name: 'Not applicable', n: counts.not_applicable, tone: 'not_applicable' },
  ];
}

/** Scores over time of the newest scan's source, for the chart. */
export function trend(points: HistoryPoint[]): { at: string; score: number | null; coverage: number | null }[] {
  const source = points.at(-1)?.source;
  return points
    .filter((point) => point.source === source && !point.stale)
    .map((point) => {
      const { pass, fail, unknown } = point.counts;
      const asked = pass + fail + unknown;
      return { at: point.finished, score: score(point.counts), coverage: asked > 0 ? (100 * (pass + fail)) / asked : null };
    });
}

/** The words of a list that people write with spaces or commas. */
export function words(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** The kind and the id of a choice such as `system:7`; both empty when nothing is chosen. */
export function halves(choice: string): [string, string] {
  const at = choice.indexOf(':');
  return at < 0 ? ['', ''] : [choice.slice(0, at), choice.slice(at + 1)];
}
