// Counts of controls and outcomes as the parts of a bar, in one order everywhere.
import type { ControlRow, Score, Tally } from '../api/types';
import { CONTROL_MEANS, CONTROL_NAMES } from '../show/words';

/** A part of a bar: a count, its colour, and the way to its rows. */
export interface Part {
  name: string;
  n: number;
  tone: string;
  href?: string;
  means?: string;
}

const ORDER = ['passed', 'failed', 'accepted', 'not_assessed', 'manual', 'not_applicable'] as const;

/** How a control is shown: as its status, but "could not tell" apart from "did not run". */
export type Shown = (typeof ORDER)[number] | 'unknown';

export function shownStatus(control: Pick<ControlRow, 'status' | 'tally'>): Shown {
  return control.status === 'not_assessed' && control.tally.unknown > 0 ? 'unknown' : control.status;
}

/** The parts of a framework's bar; `href` gives each its rows. */
export function controlParts(counts: Score, href?: (status: string) => string): Part[] {
  return ORDER.map((status) => ({
    name: CONTROL_NAMES[status],
    n: counts[status] ?? 0,
    tone: status,
    href: href?.(status),
    means: CONTROL_MEANS[status],
  }));
}

/** The same from the controls themselves, with Unknown apart. */
export function controlPartsOf(controls: ControlRow[], href: (status: string) => string): Part[] {
  const by = new Map<Shown, number>();
  for (const control of controls) by.set(shownStatus(control), (by.get(shownStatus(control)) ?? 0) + 1);
  const order: Shown[] = ['passed', 'failed', 'accepted', 'unknown', 'not_assessed', 'manual', 'not_applicable'];
  return order.map((status) => ({
    name: status === 'unknown' ? 'Unknown' : CONTROL_NAMES[status],
    n: by.get(status) ?? 0,
    tone: status,
    href: href(status),
    means: status === 'unknown' ? 'A check could not tell, and none failed. Never a pass.' : CONTROL_MEANS[status],
  }));
}

/** The parts of a check's tally. */
export function tallyParts(tally: Tally, href?: (what: keyof Tally) => string): Part[] {
  const names: [keyof Tally, string][] = [
    ['pass', 'Pass'],
    ['fail', 'Fail'],
    ['accepted', 'Accepted'],
    ['unknown', 'Unknown'],
    ['false_positive', 'False positive'],
    ['not_applicable', 'Not applicable'],
  ];
  return names.map(([what, name]) => ({ name, n: tally[what], tone: what, href: href?.(what) }));
}
