// The shapes of the HTTP API about vulnerabilities, by hand; test/unit/contract.ts holds them too.
import type { BySeverity, Page, Severity } from './types';

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
  asset?: string | null;
  finding?: string | null;
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

/** When to do something. */
export type Level = 'act' | 'attend' | 'track-closely' | 'track';
/** A vulnerability of what this tenant has. */
export interface PresentVulnerability {
  id: string;
  title: string;
  also: string[];
  severity: Severity;
  score?: number | null;
  level: string;
  reasons: string[];
  check: string;
  open: number;
  accepted: number;
  unknown: number;
  assets: number;
  components: number;
  fixable: number;
  packages: string[];
}
export interface ByLevel {
  act: number;
  attend: number;
  track_closely: number;
  track: number;
}
export interface PresentPage extends Page<PresentVulnerability> {
  severities: BySeverity;
  levels: ByLevel;
}
/** An asset with an inventory, in a list. */
export interface InventoryLine {
  asset: string;
  scope: string;
  kind: string;
  name: string;
  source: string;
  taken: string;
  unread: number;
  components: number;
  findings: BySeverity;
}
export interface InventoryPage extends Page<InventoryLine> {
  kinds: string[];
}
/** An asset with all that could not be read. */
export interface InventoryHead {
  asset: string;
  scope: string;
  kind: string;
  name: string;
  source: string;
  taken: string;
  unread: string[];
}
export interface ComponentHit {
  id: string;
  title: string;
  severity: Severity;
  level: string;
  standing: string;
  why: string;
  fixed?: string | null;
}
export interface ComponentPlace {
  path: string;
  layer?: string | null;
}
export interface ComponentLine {
  purl: string;
  name: string;
  version?: string | null;
  ecosystem: string;
  source?: string | null;
  licences: string[];
  found: ComponentPlace[];
  worst?: Severity | null;
  affected: number;
  unknown: number;
  upgrade_to?: string | null;
  vulnerabilities: ComponentHit[];
}
export interface Offer {
  value: string;
  count: number;
}
export interface ComponentPage extends Page<ComponentLine> {
  inventory?: InventoryHead | null;
  components: number;
  vulnerable: number;
  unknown: number;
  ecosystems: Offer[];
  licences: Offer[];
}
/** One upgrade of a package, from whichever versions of it there are. */
export interface Upgrade {
  package: string;
  name: string;
  ecosystem: string;
  from: string[];
  upgrade_to: string;
  assets: number;
  closes: number;
  leaves: number;
  level: string;
  reasons: string[];
  severities: BySeverity;
  vulnerabilities: { id: string; title: string; severity: Severity; level: string }[];
}
/** An asset that has a package. */
export interface Holder {
  asset: string;
  scope: string;
  kind: string;
  name: string;
  purl: string;
  version?: string | null;
  ecosystem: string;
  found: ComponentPlace[];
  affected: number;
}
/** A component of an asset that a vulnerability is about. */
export interface AffectedLine {
  asset: string;
  scope: string;
  kind: string;
  name: string;
  purl: string;
  component: string;
  version?: string | null;
  ecosystem: string;
  source?: string | null;
  paths: string[];
  standing: string;
  why: string;
  fixed?: string | null;
  finding: string;
  status?: string | null;
}
export interface ComparisonSide {
  asset?: string | null;
  name: string;
  taken?: string | null;
  components: number;
  unread: number;
  judged: boolean;
}
/** A package that differs between two inventories. */
export interface PackageDifference {
  package: string;
  name: string;
  ecosystem: string;
  before: string[];
  after: string[];
  closes: string[];
  opens: string[];
}
export interface Comparison {
  before: ComparisonSide;
  after: ComparisonSide;
  added: PackageDifference[];
  removed: PackageDifference[];
  changed: PackageDifference[];
  more: boolean;
  closes: number;
  opens: number;
}
