-- Admission decisions, as they were made. `reasons` is a JSON list.
CREATE TABLE decisions (
  tenant BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  at BIGINT NOT NULL,
  request TEXT COLLATE "C" NOT NULL,
  operation TEXT COLLATE "C" NOT NULL,
  grp TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  ns TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  who TEXT COLLATE "C" NOT NULL,
  outcome TEXT COLLATE "C" NOT NULL,
  allowed BIGINT NOT NULL,
  dry_run BIGINT NOT NULL,
  micros BIGINT NOT NULL,
  policies TEXT COLLATE "C" NOT NULL,
  reasons TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE INDEX decisions_by_outcome ON decisions (tenant, outcome, seq);
CREATE INDEX decisions_by_namespace ON decisions (tenant, ns, seq);
