-- Times are microseconds, JSON is text, the tenant leads every key. Short integers stand for
-- long ids inside (scope, chk, asset, ns, kind, source); `uid` is what the world knows.

CREATE TABLE tenants (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  created INTEGER NOT NULL
);

-- The next number of a kind of row, one line a tenant and kind.
CREATE TABLE counters (
  tenant INTEGER NOT NULL,
  name TEXT NOT NULL,
  next INTEGER NOT NULL,
  PRIMARY KEY (tenant, name)
);

-- Short numbers for namespaces (sort 0), kinds (1) and sources (2).
CREATE TABLE names (
  tenant INTEGER NOT NULL,
  sort INTEGER NOT NULL,
  name TEXT NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (tenant, sort, name)
);
CREATE UNIQUE INDEX names_by_id ON names (tenant, id);

CREATE TABLE scopes (
  tenant INTEGER NOT NULL,
  id INTEGER NOT NULL,
  uid TEXT NOT NULL,
  archived INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX scopes_by_uid ON scopes (tenant, uid);

CREATE TABLE scans (
  tenant INTEGER NOT NULL,
  id INTEGER NOT NULL,
  uid TEXT NOT NULL,
  scope INTEGER NOT NULL,
  source INTEGER NOT NULL,
  source_version TEXT NOT NULL,
  complete INTEGER NOT NULL,
  stale INTEGER NOT NULL,
  started INTEGER NOT NULL,
  finished INTEGER NOT NULL,
  imported INTEGER NOT NULL,
  pass INTEGER NOT NULL,
  fail INTEGER NOT NULL,
  not_applicable INTEGER NOT NULL,
  unknown INTEGER NOT NULL,
  artifact TEXT NOT NULL,
  content TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX scans_by_uid ON scans (tenant, uid);
CREATE INDEX scans_by_scope ON scans (tenant, scope, id);

-- How far each source has seen a scope. An unchanged result is current as of the newest complete
-- scan here, so that a rescan need not touch it.
CREATE TABLE scope_sources (
  tenant INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  source INTEGER NOT NULL,
  latest_scan INTEGER NOT NULL,
  latest_finished INTEGER NOT NULL,
  complete_scan INTEGER,
  complete_finished INTEGER,
  PRIMARY KEY (tenant, scope, source)
);

CREATE TABLE checks (
  tenant INTEGER NOT NULL,
  id INTEGER NOT NULL,
  uid TEXT NOT NULL,
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  severity INTEGER NOT NULL,
  remediation TEXT NOT NULL,
  refs TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX checks_by_uid ON checks (tenant, uid);

CREATE TABLE assets (
  tenant INTEGER NOT NULL,
  id INTEGER NOT NULL,
  uid TEXT NOT NULL,
  scope INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  ns INTEGER NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX assets_by_uid ON assets (tenant, uid);
CREATE INDEX assets_by_scope ON assets (tenant, scope);

-- The newest fact of a kind about an asset.
CREATE TABLE observations (
  tenant INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  asset INTEGER NOT NULL,
  kind TEXT NOT NULL,
  source INTEGER NOT NULL,
  digest TEXT NOT NULL,
  body TEXT NOT NULL,
  file TEXT,
  line INTEGER,
  col INTEGER,
  scan INTEGER NOT NULL,
  seen BLOB NOT NULL,
  PRIMARY KEY (tenant, scope, asset, kind)
);

-- The current outcome of each check on each subject; outcome 0 pass, 1 fail,
-- 2 not applicable, 3 unknown. `hash` covers everything but the scan.
CREATE TABLE results (
  tenant INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  chk INTEGER NOT NULL,
  asset INTEGER NOT NULL,
  locus TEXT NOT NULL,
  key BLOB NOT NULL,
  hash INTEGER NOT NULL,
  source INTEGER NOT NULL,
  scan INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  why TEXT,
  message TEXT NOT NULL,
  evidence TEXT,
  file TEXT,
  line INTEGER,
  col INTEGER,
  said_by TEXT,
  said_why TEXT,
  PRIMARY KEY (tenant, scope, chk, asset, locus)
) WITHOUT ROWID;

-- Keys that ever failed, with their human state. `id` begins with the tenant (tenant << 32 | n).
-- status 0 open, 1 reopened, 2 accepted, 3 false positive, 4 fixed. `seen` and `seen_scan` are
-- set when it is fixed; while it fails they follow from the result.
CREATE TABLE findings (
  id INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  key BLOB NOT NULL,
  scope INTEGER NOT NULL,
  chk INTEGER NOT NULL,
  asset INTEGER NOT NULL,
  asset_uid TEXT NOT NULL,
  ns INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  locus TEXT NOT NULL,
  status INTEGER NOT NULL,
  severity INTEGER NOT NULL,
  message TEXT NOT NULL,
  first_seen INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  owner TEXT,
  reason TEXT,
  expires INTEGER,
  seen INTEGER,
  seen_scan INTEGER
);
CREATE UNIQUE INDEX findings_by_key ON findings (tenant, key);
CREATE INDEX findings_expiring ON findings (tenant, expires) WHERE expires IS NOT NULL;

-- Current results by class, kept with every change: what posture scores.
CREATE TABLE tallies (
  tenant INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  chk INTEGER NOT NULL,
  pass INTEGER NOT NULL,
  fail INTEGER NOT NULL,
  accepted INTEGER NOT NULL,
  false_positive INTEGER NOT NULL,
  not_applicable INTEGER NOT NULL,
  unknown INTEGER NOT NULL,
  PRIMARY KEY (tenant, scope, chk)
);

-- Findings by state, kept with every change: exact totals without counting rows.
CREATE TABLE finding_counts (
  tenant INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  chk INTEGER NOT NULL,
  status INTEGER NOT NULL,
  severity INTEGER NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (tenant, scope, chk, status, severity)
);

-- state 0 queued, 1 running, 2 done, 3 failed.
CREATE TABLE jobs (
  tenant INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  uid TEXT NOT NULL,
  kind TEXT NOT NULL,
  lane TEXT NOT NULL,
  state INTEGER NOT NULL,
  created INTEGER NOT NULL,
  run_at INTEGER NOT NULL,
  started INTEGER,
  finished INTEGER,
  attempts INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  token INTEGER NOT NULL,
  lease_until INTEGER,
  worker TEXT,
  done INTEGER NOT NULL,
  total INTEGER,
  error TEXT,
  artifact TEXT,
  scan TEXT,
  payload TEXT NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX jobs_by_uid ON jobs (tenant, uid);
CREATE INDEX jobs_by_state ON jobs (tenant, state, seq);
CREATE INDEX jobs_by_lane ON jobs (tenant, lane, seq) WHERE state < 2;
-- The claim looks over all tenants, at unfinished jobs alone.
CREATE INDEX jobs_unfinished ON jobs (state, run_at, seq) WHERE state < 2;

CREATE TABLE submissions (
  tenant INTEGER NOT NULL,
  ident TEXT NOT NULL,
  artifact TEXT NOT NULL,
  scan TEXT,
  ordinal INTEGER NOT NULL,
  job TEXT NOT NULL,
  PRIMARY KEY (tenant, ident)
);
CREATE INDEX submissions_by_scan ON submissions (tenant, scan) WHERE scan IS NOT NULL;

CREATE TABLE artifacts (
  tenant INTEGER NOT NULL,
  digest TEXT NOT NULL,
  size INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  name TEXT NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (tenant, digest)
);

-- How far an unfinished import is.
CREATE TABLE import_cursors (
  tenant INTEGER NOT NULL,
  job TEXT NOT NULL,
  scan INTEGER NOT NULL,
  scan_uid TEXT NOT NULL,
  lines INTEGER NOT NULL,
  at INTEGER NOT NULL,
  summary TEXT NOT NULL,
  PRIMARY KEY (tenant, job)
);

CREATE TABLE users (
  tenant INTEGER NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  disabled INTEGER NOT NULL,
  must_change INTEGER NOT NULL,
  password TEXT NOT NULL,
  created INTEGER NOT NULL,
  last_login INTEGER,
  PRIMARY KEY (tenant, name)
);

CREATE TABLE sessions (
  tenant INTEGER NOT NULL,
  hash BLOB NOT NULL,
  name TEXT NOT NULL,
  csrf TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (tenant, hash)
);
-- A secret is looked up before its tenant is known.
CREATE UNIQUE INDEX sessions_by_hash ON sessions (hash);
CREATE INDEX sessions_by_user ON sessions (tenant, name);

CREATE TABLE tokens (
  tenant INTEGER NOT NULL,
  id TEXT NOT NULL,
  hash BLOB NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  owner TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX tokens_by_hash ON tokens (hash);

CREATE TABLE assessments (
  tenant INTEGER NOT NULL,
  id INTEGER NOT NULL,
  scope TEXT NOT NULL,
  framework TEXT NOT NULL,
  control TEXT NOT NULL,
  assessor TEXT NOT NULL,
  verdict TEXT NOT NULL,
  reason TEXT NOT NULL,
  evidence TEXT NOT NULL,
  at INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  entry TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX assessments_by_control ON assessments (tenant, scope, framework, control, id);

CREATE TABLE attestations (
  tenant INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  uid TEXT NOT NULL,
  scope TEXT NOT NULL,
  body TEXT NOT NULL,
  evidence TEXT NOT NULL,
  alg TEXT NOT NULL,
  kid TEXT NOT NULL,
  issuer TEXT NOT NULL,
  entry TEXT NOT NULL,
  entry_key BLOB NOT NULL,
  jwt TEXT,
  PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX attestations_by_uid ON attestations (tenant, uid);
CREATE INDEX attestations_by_scope ON attestations (tenant, scope, seq);

CREATE TABLE scores (
  tenant INTEGER NOT NULL,
  scope TEXT NOT NULL,
  framework TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, scope, framework, at)
);

-- Bodies of ledger entries. `idx` is the leaf index, none while pending; an erased body has
-- an empty action.
CREATE TABLE audit (
  tenant INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  entry BLOB NOT NULL,
  idx INTEGER,
  at INTEGER NOT NULL,
  salt BLOB NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX audit_by_entry ON audit (tenant, entry);
CREATE INDEX audit_pending ON audit (tenant, seq) WHERE idx IS NULL;
CREATE UNIQUE INDEX audit_by_leaf ON audit (tenant, idx) WHERE idx IS NOT NULL;

CREATE TABLE ledger_state (
  tenant INTEGER PRIMARY KEY,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  checkpoint TEXT NOT NULL,
  at INTEGER NOT NULL
);

CREATE TABLE key_blobs (
  tenant INTEGER NOT NULL,
  id TEXT NOT NULL,
  blob BLOB NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
);
