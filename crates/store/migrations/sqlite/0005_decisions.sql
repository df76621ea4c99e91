-- Admission decisions, as they were made. `reasons` is a JSON list.
CREATE TABLE decisions (
  tenant BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  at BIGINT NOT NULL,
  request TEXT NOT NULL,
  operation TEXT NOT NULL,
  grp TEXT NOT NULL,
  kind TEXT NOT NULL,
  ns TEXT NOT NULL,
  name TEXT NOT NULL,
  who TEXT NOT NULL,
  outcome TEXT NOT NULL,
  allowed BIGINT NOT NULL,
  dry_run BIGINT NOT NULL,
  micros BIGINT NOT NULL,
  policies TEXT NOT NULL,
  reasons TEXT NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE INDEX decisions_by_outcome ON decisions (tenant, outcome, seq);
CREATE INDEX decisions_by_namespace ON decisions (tenant, ns, seq);
