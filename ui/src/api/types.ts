// The shapes of the HTTP API, by hand from the contract; test/unit/contract.ts holds them
// against the generated document.

export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];
export type BySeverity = Record<Severity, number>;

export const STATUSES = ['open', 'reopened', 'accepted', 'false_positive', 'fixed'] as const;
export type FindingStatus = (typeof STATUSES)[number];

export const OUTCOMES = ['pass', 'fail', 'not_applicable', 'unknown'] as const;
export type OutcomeWord = (typeof OUTCOMES)[number];

export const CONTROL_STATUSES = [
  'passed',
  'failed',
  'accepted',
  'not_assessed',
  'not_applicable',
  'manual',
] as const;
export type ControlStatus = (typeof CONTROL_STATUSES)[number];

export type Role = 'viewer' | 'operator' | 'admin';
export type Verdict = 'passed' | 'failed' | 'not_applicable';

export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  request_id: string;
}

export interface Total {
  count: number;
  capped: boolean;
}
export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
  total?: Total | null;
}
export interface Items<T> {
  items: T[];
}

export interface Session {
  user: { name: string; role: Role; tenant: string; must_change_password: boolean };
  csrf_token: string | null;
  expires: string | null;
}
export interface User {
  name: string;
  role: Role;
  disabled: boolean;
  created: string;
  last_login?: string | null;
}
export interface Token {
  id: string;
  name: string;
  role: Role;
  created: string;
  expires?: string | null;
  owner?: string | null;
}
export interface NewToken extends Token {
  token: string;
}

export interface Scope {
  id: string;
  kind: string;
  name: string;
  archived: boolean;
  last_scan?: { id: string; source: string; finished: string; complete: boolean } | null;
  findings_active: BySeverity;
}

export interface Job {
  id: string;
  kind: string;
  state: 'queued' | 'running' | 'done' | 'failed';
  created: string;
  started?: string | null;
  finished?: string | null;
  attempts: number;
  progress: { done: number; total?: number | null };
  error?: string | null;
  artifact?: string | null;
  scan?: string | null;
}

export interface Scan {
  id: string;
  source: string;
  source_version: string;
  scope: string;
  complete: boolean;
  stale?: boolean;
  started: string;
  finished: string;
  imported?: string | null;
  counts: Record<OutcomeWord, number>;
  artifact?: string | null;
  content: { name: string; digest: string }[];
}

export type TaskState = 'queued' | 'claimed' | 'running' | 'done' | 'failed' | 'cancelled';
/** A scan that is asked of a system. */
export interface Task {
  id: string;
  system: string;
  system_name: string;
  how: string;
  address: string;
  /** `baseline`, or the digest of uploaded content. */
  content: string;
  content_name?: string | null;
  profile?: string | null;
  state: TaskState;
  cancel_requested: boolean;
  asked_by: string;
  schedule?: string | null;
  created: string;
  started?: string | null;
  finished?: string | null;
  attempts: number;
  runner?: string | null;
  progress: { done: number; total?: number | null };
  message: string;
  error?: string | null;
  scan?: string | null;
}
export interface HistoryPoint {
  scan: string;
  source: string;
  finished: string;
  complete: boolean;
  stale: boolean;
  counts: Record<OutcomeWord, number>;
  content: string[];
}
export interface System {
  id: string;
  name: string;
  scope: string;
  how: 'agent' | 'ssh';
  address: string;
  labels: string[];
  facts: Record<string, string>;
  runner?: string | null;
  created: string;
  last_seen?: string | null;
  last_scan?: HistoryPoint | null;
  task?: Task | null;
  schedules: { id: string; name: string; next_run?: string | null }[];
}
export interface DriftItem {
  change: string;
  check: string;
  title: string;
  severity: Severity;
  locus: string;
  before?: OutcomeWord | null;
  after?: OutcomeWord | null;
  message: string;
}
export interface Drift {
  from?: HistoryPoint | null;
  to?: HistoryPoint | null;
  opened: number;
  fixed: number;
  changed: number;
  items: DriftItem[];
  capped: boolean;
}
export interface Schedule {
  id: string;
  name: string;
  cron: string;
  systems: string[];
  labels: string[];
  content: string;
  content_name?: string | null;
  profile?: string | null;
  enabled: boolean;
  last_run?: string | null;
  next_runs: string[];
  created: string;
  created_by: string;
}

export interface Asset {
  uid: string;
  kind: string;
  name: string;
  namespace: string;
}
export interface Acceptance {
  owner: string;
  reason: string;
  expires?: string | null;
}
export interface Finding {
  key: string;
  scope: string;
  check: string;
  asset: Asset;
  locus: string;
  status: FindingStatus;
  severity: Severity;
  title: string;
  message: string;
  first_seen: string;
  changed: string;
  acceptance?: Acceptance | null;
}
export interface FindingPage extends Page<Finding> {
  search?: { capped: boolean; limit: number } | null;
}
export interface Facets {
  severity: Partial<Record<Severity, number>>;
  status: Partial<Record<FindingStatus, number>>;
  capped: boolean;
}
export interface LedgerPlace {
  state: 'pending' | 'included';
  index?: number | null;
}
export interface Evidence {
  path: string;
  actual?: string | null;
  expected?: string | null;
}
export interface Location {
  file: string;
  line: number;
  column?: number | null;
}
export interface HistoryEntry {
  at: string | null;
  actor: string;
  action: string;
  detail: unknown;
  ledger: LedgerPlace;
  entry_id: string;
}
export interface FindingDetail extends Finding {
  outcome: { outcome: OutcomeWord; why?: string | null } | null;
  description: string;
  remediation: string;
  references: string[];
  evidence: Evidence[];
  location?: Location | null;
  last_seen: string;
  last_scan: string | null;
  controls: { framework: string; control: string; title: string }[];
  observation?: { kind: string; digest: string; body: unknown; location?: Location | null } | null;
  history: HistoryEntry[];
}
export interface ActionAnswer {
  changed: number;
  refused: { key: string; why: string }[];
}

export interface Result {
  check: string;
  asset: string | Asset;
  locus: string;
  outcome: OutcomeWord;
  why?: string | null;
  message: string;
  scan: string;
}
export interface Tally {
  pass: number;
  fail: number;
  accepted: number;
  false_positive: number;
  not_applicable: number;
  unknown: number;
}
export interface Check {
  uid: string;
  title: string;
  severity: Severity;
  description: string;
  remediation: string;
  references: string[];
  tally: Tally;
}

export type Score = Record<ControlStatus, number>;
export interface TrendPoint {
  at: string;
  score?: number | null;
  coverage?: number | null;
}
export interface FrameworkScore {
  id: string;
  title: string;
  version: string;
  score?: number | null;
  coverage?: number | null;
  counts: Score;
  trend: TrendPoint[];
}
export interface Change {
  at: string;
  action: string;
  subject: string;
  title: string;
  severity?: Severity | null;
  scope?: string | null;
  entry_id: string;
}
export interface Overview {
  scope?: string | null;
  scopes: number;
  last_scan?: { id: string; source: string; finished: string; complete: boolean } | null;
  findings: { active: BySeverity; accepted: number; fixed_30d: number; unknown_results: number };
  frameworks: FrameworkScore[];
  changes: Change[];
  jobs: { queued: number; running: number; failed: number };
  ledger: { size: number; pending: number; checkpoint_at?: string | null; root: string };
}

export interface FrameworkRow {
  id: string;
  title: string;
  version: string;
  source: string;
  controls: number;
  digest: string;
}
export interface ControlRow {
  id: string;
  title: string;
  group: string;
  status: ControlStatus;
  checks: number;
  tally: Tally;
  why: string;
}
export interface FrameworkDetail {
  id: string;
  title: string;
  version: string;
  source: string;
  digest: string;
  scope?: string | null;
  score?: number | null;
  coverage?: number | null;
  counts: Score;
  trend: TrendPoint[];
  controls: ControlRow[];
}
export interface Assessment {
  assessor: string;
  verdict: Verdict;
  reason: string;
  evidence: string[];
  at: string;
  expires: string;
  expired: boolean;
  entry_id?: string | null;
}
export interface ControlDetail {
  id: string;
  title: string;
  group: string;
  status: ControlStatus;
  tally: Tally;
  why: string;
  guidance: string;
  checks: { uid: string; title: string; severity: Severity; tally: Tally }[];
  assessments: Assessment[];
}

export interface Attestation {
  id: string;
  scope: string;
  framework: string;
  score?: number | null;
  coverage?: number | null;
  counts: Score;
  issued: string;
  expires: string;
  alg: string;
  kid: string;
  issuer_user: string;
  ledger: LedgerPlace;
  evidence_digest: string;
  entry_id?: string | null;
}
export interface VerifyAnswer {
  valid: boolean;
  checks: { name: string; ok: boolean; detail: string }[];
  claims?: Record<string, unknown> | null;
}

export interface AuditEntry {
  entry_id: string;
  /** Null once the body was erased. */
  at: string | null;
  actor: string;
  action: string;
  subject: string;
  detail: unknown;
  ledger: LedgerPlace;
}
export interface IncludedProof {
  state: 'included';
  index: number;
  tree_size: number;
  /** Null, as is the entry, once the body was erased. */
  leaf_hash: string | null;
  root: string;
  path: string[];
  checkpoint: string;
  entry: { body: unknown; salt: string } | null;
  verified: boolean;
}
export type Proof = { state: 'pending' } | IncludedProof;
export interface Ledger {
  origin: string;
  size: number;
  root: string;
  pending: number;
  checkpoint_at?: string | null;
  public_key: string;
}
export interface Key {
  kid: string;
  alg: string;
  /** The log whose checkpoints it signs; null for a key of attestations. */
  log_origin?: string | null;
  created: string;
  retired?: string | null;
  active: boolean;
}

export interface Constraint {
  name: string;
  points: { name: string; actions: string[] }[];
  at: string;
}
export interface Policy {
  uid: string;
  kind: string;
  title: string;
  description: string;
  remediation: string;
  severity: Severity;
  refused?: string | null;
  inventory: boolean;
  at: string;
  constraints: Constraint[];
  tally?: Tally | null;
}
export interface PolicyException {
  name: string;
  owner: string;
  reason: string;
  expires: string;
  unused?: string | null;
}
export interface PolicySet {
  serving: boolean;
  audited: boolean;
  digest?: string | null;
  items: Policy[];
  exceptions: PolicyException[];
  notices: { at: string; text: string }[];
}
/** Why a decision fell: a violation, or (with `why`) what could not be told. */
export interface Reason {
  policy?: string | null;
  kind?: string;
  constraint?: string;
  actions?: string[];
  severity?: Severity;
  message?: string;
  path?: string | null;
  actual?: string | null;
  expected?: string | null;
  remediation?: string;
  template_at?: string;
  constraint_at?: string;
  exception?: { name: string; owner: string; reason: string } | null;
  why?: string;
  denies?: boolean;
}
export interface Decision {
  seq: number;
  at: string;
  request: string;
  operation: string;
  group: string;
  kind: string;
  namespace: string;
  name: string;
  user: string;
  outcome: string;
  allowed: boolean;
  dry_run: boolean;
  micros: number;
  policies: string;
  reasons: Reason[];
}
export interface Tried {
  kind: string;
  namespace: string;
  name: string;
  line: number;
  outcome: string;
  allowed: boolean;
  evaluated: number;
  message: string;
  warnings: string[];
  reasons: Reason[];
}
export interface TrialResult {
  items: Tried[];
  notices: { at: string; text: string }[];
  micros: number;
}

/** How the audit of a cluster stands. */
export interface ClusterAudit {
  scope: string;
  objects: number;
  due: number;
  sweeps: number;
  judged: number;
  pass_started?: string | null;
  /** Null while a pass is under way. */
  pass_finished?: string | null;
  waiting?: string | null;
  kinds: { group: string; kind: string; objects: number; complete: boolean; trouble?: string | null }[];
  constraints: { kind: string; name: string; actions: string[]; violations: number }[];
}

export * from './vulnerabilities';
