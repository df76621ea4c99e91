-- Times are microseconds, JSON is text, the tenant leads every key. Short integers stand for
-- long ids inside (scope, chk, asset, ns, kind, source); `uid` is what the world knows.

CREATE TABLE tenants (
  id BIGINT PRIMARY KEY,
  uid TEXT COLLATE "C" NOT NULL UNIQUE,
  created BIGINT NOT NULL
);

-- The next number of a kind of row, one line a tenant and kind.
CREATE TABLE counters (
  tenant BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  next BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);

-- Short numbers for namespaces (sort 0), kinds (1) and sources (2).
CREATE TABLE names (
  tenant BIGINT NOT NULL,
  sort BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  id BIGINT NOT NULL,
  PRIMARY KEY (tenant, sort, name)
);
CREATE UNIQUE INDEX names_by_id ON names (tenant, id);

CREATE TABLE scopes (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  uid TEXT COLLATE "C" NOT NULL,
  archived BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX scopes_by_uid ON scopes (tenant, uid);

CREATE TABLE scans (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  uid TEXT COLLATE "C" NOT NULL,
  scope BIGINT NOT NULL,
  source BIGINT NOT NULL,
  source_version TEXT COLLATE "C" NOT NULL,
  complete BIGINT NOT NULL,
  stale BIGINT NOT NULL,
  started BIGINT NOT NULL,
  finished BIGINT NOT NULL,
  imported BIGINT NOT NULL,
  pass BIGINT NOT NULL,
  fail BIGINT NOT NULL,
  not_applicable BIGINT NOT NULL,
  unknown BIGINT NOT NULL,
  artifact TEXT COLLATE "C" NOT NULL,
  content TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX scans_by_uid ON scans (tenant, uid);
CREATE INDEX scans_by_scope ON scans (tenant, scope, id);

-- How far each source has seen a scope. An unchanged result is current as of the newest complete
-- scan here, so that a rescan need not touch it.
CREATE TABLE scope_sources (
  tenant BIGINT NOT NULL,
  scope BIGINT NOT NULL,
  source BIGINT NOT NULL,
  latest_scan BIGINT NOT NULL,
  latest_finished BIGINT NOT NULL,
  complete_scan BIGINT,
  complete_finished BIGINT,
  PRIMARY KEY (tenant, scope, source)
);

CREATE TABLE checks (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  uid TEXT COLLATE "C" NOT NULL,
  title TEXT COLLATE "C" NOT NULL,
  description TEXT COLLATE "C" NOT NULL,
  severity BIGINT NOT NULL,
  remediation TEXT COLLATE "C" NOT NULL,
  refs TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX checks_by_uid ON checks (tenant, uid);

CREATE TABLE assets (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  uid TEXT COLLATE "C" NOT NULL,
  scope BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  ns BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX assets_by_uid ON assets (tenant, uid);
CREATE INDEX assets_by_scope ON assets (tenant, scope);

-- The newest fact of a kind about an asset.
CREATE TABLE observations (
  tenant BIGINT NOT NULL,
  scope BIGINT NOT NULL,
  asset BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  source BIGINT NOT NULL,
  digest TEXT COLLATE "C" NOT NULL,
  body TEXT COLLATE "C" NOT NULL,
  file TEXT COLLATE "C",
  line BIGINT,
  col BIGINT,
  scan BIGINT NOT NULL,
  seen BYTEA NOT NULL,
  PRIMARY KEY (tenant, scope, asset, kind)
);

-- The current outcome of each check on each subject; outcome 0 pass, 1 fail,
-- 2 not applicable, 3 unknown. `hash` covers everything but the scan.
CREATE TABLE results (
  tenant BIGINT NOT NULL,
  scope BIGINT NOT NULL,
  chk BIGINT NOT NULL,
  asset BIGINT NOT NULL,
  locus TEXT COLLATE "C" NOT NULL,
  key BYTEA NOT NULL,
  hash BIGINT NOT NULL,
  source BIGINT NOT NULL,
  scan BIGINT NOT NULL,
  outcome BIGINT NOT NULL,
  why TEXT COLLATE "C",
  message TEXT COLLATE "C" NOT NULL,
  evidence TEXT COLLATE "C",
  file TEXT COLLATE "C",
  line BIGINT,
  col BIGINT,
  said_by TEXT COLLATE "C",
  said_why TEXT COLLATE "C",
  PRIMARY KEY (tenant, scope, chk, asset, locus)
);

-- Keys that ever failed, with their human state. `id` begins with the tenant (tenant << 32 | n).
-- status 0 open, 1 reopened, 2 accepted, 3 false positive, 4 fixed. `seen` and `seen_scan` are
-- set when it is fixed; while it fails they follow from the result.
CREATE TABLE findings (
  id BIGINT PRIMARY KEY,
  tenant BIGINT NOT NULL,
  key BYTEA NOT NULL,
  scope BIGINT NOT NULL,
  chk BIGINT NOT NULL,
  asset BIGINT NOT NULL,
  asset_uid TEXT COLLATE "C" NOT NULL,
  ns BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  locus TEXT COLLATE "C" NOT NULL,
  status BIGINT NOT NULL,
  severity BIGINT NOT NULL,
  message TEXT COLLATE "C" NOT NULL,
  first_seen BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  owner TEXT COLLATE "C",
  reason TEXT COLLATE "C",
  expires BIGINT,
  seen BIGINT,
  seen_scan BIGINT
);
CREATE UNIQUE INDEX findings_by_key ON findings (tenant, key);
CREATE INDEX findings_expiring ON findings (tenant, expires) WHERE expires IS NOT NULL;

-- Current results by class, kept with every change: what posture scores.
CREATE TABLE tallies (
  tenant BIGINT NOT NULL,
  scope BIGINT NOT NULL,
  chk BIGINT NOT NULL,
  pass BIGINT NOT NULL,
  fail BIGINT NOT NULL,
  accepted BIGINT NOT NULL,
  false_positive BIGINT NOT NULL,
  not_applicable BIGINT NOT NULL,
  unknown BIGINT NOT NULL,
  PRIMARY KEY (tenant, scope, chk)
);

-- Findings by state, kept with every change: exact totals without counting rows.
CREATE TABLE finding_counts (
  tenant BIGINT NOT NULL,
  scope BIGINT NOT NULL,
  chk BIGINT NOT NULL,
  status BIGINT NOT NULL,
  severity BIGINT NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (tenant, scope, chk, status, severity)
);

-- state 0 queued, 1 running, 2 done, 3 failed.
CREATE TABLE jobs (
  tenant BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  uid TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  lane TEXT COLLATE "C" NOT NULL,
  state BIGINT NOT NULL,
  created BIGINT NOT NULL,
  run_at BIGINT NOT NULL,
  started BIGINT,
  finished BIGINT,
  attempts BIGINT NOT NULL,
  max_attempts BIGINT NOT NULL,
  token BIGINT NOT NULL,
  lease_until BIGINT,
  worker TEXT COLLATE "C",
  done BIGINT NOT NULL,
  total BIGINT,
  error TEXT COLLATE "C",
  artifact TEXT COLLATE "C",
  scan TEXT COLLATE "C",
  payload TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX jobs_by_uid ON jobs (tenant, uid);
CREATE INDEX jobs_by_state ON jobs (tenant, state, seq);
CREATE INDEX jobs_by_lane ON jobs (tenant, lane, seq) WHERE state < 2;
-- The claim looks over all tenants, at unfinished jobs alone.
CREATE INDEX jobs_unfinished ON jobs (state, run_at, seq) WHERE state < 2;

CREATE TABLE submissions (
  tenant BIGINT NOT NULL,
  ident TEXT COLLATE "C" NOT NULL,
  artifact TEXT COLLATE "C" NOT NULL,
  scan TEXT COLLATE "C",
  ordinal BIGINT NOT NULL,
  job TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, ident)
);
CREATE INDEX submissions_by_scan ON submissions (tenant, scan) WHERE scan IS NOT NULL;

CREATE TABLE artifacts (
  tenant BIGINT NOT NULL,
  digest TEXT COLLATE "C" NOT NULL,
  size BIGINT NOT NULL,
  media_type TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (tenant, digest)
);

-- How far an unfinished import is.
CREATE TABLE import_cursors (
  tenant BIGINT NOT NULL,
  job TEXT COLLATE "C" NOT NULL,
  scan BIGINT NOT NULL,
  scan_uid TEXT COLLATE "C" NOT NULL,
  lines BIGINT NOT NULL,
  at BIGINT NOT NULL,
  summary TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, job)
);

CREATE TABLE users (
  tenant BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  role TEXT COLLATE "C" NOT NULL,
  disabled BIGINT NOT NULL,
  must_change BIGINT NOT NULL,
  password TEXT COLLATE "C" NOT NULL,
  created BIGINT NOT NULL,
  last_login BIGINT,
  PRIMARY KEY (tenant, name)
);

CREATE TABLE sessions (
  tenant BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  csrf TEXT COLLATE "C" NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  PRIMARY KEY (tenant, hash)
);
-- A secret is looked up before its tenant is known.
CREATE UNIQUE INDEX sessions_by_hash ON sessions (hash);
CREATE INDEX sessions_by_user ON sessions (tenant, name);

CREATE TABLE tokens (
  tenant BIGINT NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  hash BYTEA NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  role TEXT COLLATE "C" NOT NULL,
  owner TEXT COLLATE "C" NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX tokens_by_hash ON tokens (hash);

CREATE TABLE assessments (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  scope TEXT COLLATE "C" NOT NULL,
  framework TEXT COLLATE "C" NOT NULL,
  control TEXT COLLATE "C" NOT NULL,
  assessor TEXT COLLATE "C" NOT NULL,
  verdict TEXT COLLATE "C" NOT NULL,
  reason TEXT COLLATE "C" NOT NULL,
  evidence TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  entry TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX assessments_by_control ON assessments (tenant, scope, framework, control, id);

CREATE TABLE attestations (
  tenant BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  uid TEXT COLLATE "C" NOT NULL,
  scope TEXT COLLATE "C" NOT NULL,
  body TEXT COLLATE "C" NOT NULL,
  evidence TEXT COLLATE "C" NOT NULL,
  alg TEXT COLLATE "C" NOT NULL,
  kid TEXT COLLATE "C" NOT NULL,
  issuer TEXT COLLATE "C" NOT NULL,
  entry TEXT COLLATE "C" NOT NULL,
  entry_key BYTEA NOT NULL,
  jwt TEXT COLLATE "C",
  PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX attestations_by_uid ON attestations (tenant, uid);
CREATE INDEX attestations_by_scope ON attestations (tenant, scope, seq);

CREATE TABLE scores (
  tenant BIGINT NOT NULL,
  scope TEXT COLLATE "C" NOT NULL,
  framework TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  body TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, scope, framework, at)
);

-- Bodies of ledger entries. `idx` is the leaf index, none while pending; an erased body has
-- an empty action.
CREATE TABLE audit (
  tenant BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  entry BYTEA NOT NULL,
  idx BIGINT,
  at BIGINT NOT NULL,
  salt BYTEA NOT NULL,
  actor TEXT COLLATE "C" NOT NULL,
  action TEXT COLLATE "C" NOT NULL,
  subject TEXT COLLATE "C" NOT NULL,
  detail TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX audit_by_entry ON audit (tenant, entry);
CREATE INDEX audit_pending ON audit (tenant, seq) WHERE idx IS NULL;
CREATE UNIQUE INDEX audit_by_leaf ON audit (tenant, idx) WHERE idx IS NOT NULL;

CREATE TABLE ledger_state (
  tenant BIGINT PRIMARY KEY,
  size BIGINT NOT NULL,
  root BYTEA NOT NULL,
  checkpoint TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL
);

CREATE TABLE key_blobs (
  tenant BIGINT NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  blob BYTEA NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
