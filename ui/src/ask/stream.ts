// The events of an answer as they come, and an answer grown from them.
import type { Answer, AnswerSource } from '../api/types';

export type AskEvent =
  | { event: 'found'; filters: string[]; sources: AnswerSource[]; missing: string[]; unknown: string[] }
  | { event: 'sentence'; text: string; cites: string[] }
  | { event: 'dropped'; why: string }
  | { event: 'done'; outcome: string; by: string; unknown: string[] };

/** Cuts a body of server-sent events into its data, however the pieces arrive. */
export class EventCutter {
  private rest = '';

  push(text: string): { name: string; data: string }[] {
    this.rest = (this.rest + text).replaceAll('\r\n', '\n');
    const events = [];
    for (let end = this.rest.indexOf('\n\n'); end >= 0; end = this.rest.indexOf('\n\n')) {
      const block = this.rest.slice(0, end);
      this.rest = this.rest.slice(end + 2);
      let name = 'message';
      const data = [];
      for (const line of block.split('\n')) {
        if (line.startsWith('event:')) name = line.slice(6).trim();
        else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
      }
      if (data.length) events.push({ name, data: data.join('\n') });
    }
    return events;
  }
}

export function nothingYet(question: string): Answer {
  return { question, outcome: '', by: '', filters: [], sentences: [], sources: [], missing: [], dropped: [], unknown: [] };
}

/** The answer with one more event. */
export function grown(answer: Answer, event: AskEvent): Answer {
  switch (event.event) {
    case 'found':
      return { ...answer, filters: event.filters ?? [], sources: (event.sources ?? []).map(whole), missing: event.missing ?? [], unknown: event.unknown ?? [] };
    case 'sentence':
      return { ...answer, sentences: [...answer.sentences, { text: event.text, cites: event.cites }] };
    case 'dropped':
      return { ...answer, dropped: [...answer.dropped, event.why] };
    case 'done':
      return { ...answer, outcome: event.outcome, by: event.by, unknown: event.unknown ?? answer.unknown };
  }
}

// Empty lists are left out of events.
function whole(source: AnswerSource): AnswerSource {
  return { ...source, names: source.names ?? [], references: source.references ?? [], ways: source.ways ?? [] };
}

export type Part = { text: string } | { cite: string };

/** A sentence as text and citations, in order. */
export function partsOf(text: string, cites: string[]): Part[] {
  const known = new Set(cites.map((cite) => cite.toUpperCase()));
  const parts: Part[] = [];
  let at = 0;
  for (const found of text.matchAll(/\[([A-Za-z0-9][\w:.\- ,;]*)\]/g)) {
    const ids = (found[1] ?? '').split(/[,;]/).map((id) => id.trim()).filter(Boolean);
    if (!ids.length || !ids.some((id) => known.has(id.toUpperCase()))) continue;
    const before = text.slice(at, found.index).trimEnd();
    if (before) parts.push({ text: before });
    for (const cite of ids) parts.push({ cite });
    at = found.index + found[0].length;
  }
  const rest = text.slice(at);
  if (rest.trim()) parts.push({ text: rest });
  return parts;
}

/** The id of a record without the feed before it, as `debian-tracker:CVE-2024-3094` has one. */
export function bare(id: string): string {
  return id.replace(/^[a-z][a-z-]*:/, '');
}

/** The same reason, counted. */
export function counted(reasons: string[]): { why: string; times: number }[] {
  const all = new Map<string, number>();
  for (const why of reasons) all.set(why, (all.get(why) ?? 0) + 1);
  return [...all].map(([why, times]) => ({ why, times }));
}

const EXACT: Record<string, string> = {
  name: 'asked for by name',
  words: 'found by its words',
  likeness: 'found by what it means',
  filters: 'passes the filters',
  own: 'yours',
};
export function ways(of: string[]): string {
  return of.map((way) => EXACT[way] ?? way).join(', ');
}
