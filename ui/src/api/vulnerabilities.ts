// The shapes of the HTTP API about vulnerabilities, by hand; test/unit/contract.ts holds them too.

/** A sentence of an answer and the records that it cites. */
export interface AnswerSentence {
  text: string;
  cites: string[];
}
/** A record that an answer is made from. */
export interface AnswerSource {
  id: string;
  kind: string;
  source: string;
  title: string;
  names: string[];
  published?: string | null;
  score?: string | null;
  exploited: boolean;
  withdrawn: boolean;
  ways: string[];
  references: string[];
}
export interface Answer {
  question: string;
  outcome: string;
  by: string;
  filters: string[];
  sentences: AnswerSentence[];
  sources: AnswerSource[];
  missing: string[];
  dropped: string[];
  unknown: string[];
}

/** A line of the list of vulnerabilities. */
export interface VulnerabilityLine {
  id: string;
  title: string;
  score?: number | null;
  severity: string;
  published?: string | null;
  changed?: string | null;
  kev: boolean;
  epss?: number | null;
  exploit: boolean;
  rejected: boolean;
}
/** Everything about one vulnerability; records come as their feeds have them. */
export interface Vulnerability {
  names: string[];
  score?: number | null;
  severity: string;
  exploited: boolean;
  rejected: boolean;
  priority: unknown;
  reasons: string[];
  exploits: string[];
  epss: { cve: string; day: string; score: number; percentile: number }[];
  kev: unknown[];
  cves: unknown[];
  advisories: unknown[];
  more: boolean;
  vex: unknown[];
  withdrawn: string[];
  unreadable: string[];
}
export interface FieldChange {
  field: string;
  before?: unknown;
  after?: unknown;
}
export interface VulnerabilityVersion {
  record: string;
  at: string;
  applied: string;
  first: boolean;
  withdrawn: boolean;
  changes: FieldChange[];
  more: boolean;
}
export interface VulnerabilityHistory {
  versions: VulnerabilityVersion[];
  net: { record: string; changes: FieldChange[]; more: boolean }[];
  more: boolean;
}
/** How a feed of vulnerabilities stands. */
export interface Feed {
  name: string;
  tried: string;
  succeeded?: string | null;
  age_seconds?: number | null;
  newest?: string | null;
  lag_seconds?: number | null;
  offered: number;
  applied: number;
  refused: number;
  error?: string | null;
}
