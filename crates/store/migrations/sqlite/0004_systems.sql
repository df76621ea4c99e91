-- Machines that are scanned on request, by an agent of their own or over SSH by someone else's.
CREATE TABLE systems (
  tenant BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  uid TEXT NOT NULL,
  name TEXT NOT NULL,
  via TEXT NOT NULL,
  address TEXT NOT NULL,
  labels TEXT NOT NULL,
  facts TEXT NOT NULL,
  runner TEXT,
  created BIGINT NOT NULL,
  last_seen BIGINT,
  PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX systems_by_uid ON systems (tenant, uid);
CREATE UNIQUE INDEX systems_by_name ON systems (tenant, name);

-- Scans that runners are asked for. state 0 queued, 1 claimed, 2 running, 3 done, 4 failed,
-- 5 cancelled; `stop` is set when a person calls one off that a runner holds.
CREATE TABLE scan_tasks (
  tenant BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  uid TEXT NOT NULL,
  system BIGINT NOT NULL,
  content TEXT NOT NULL,
  profile TEXT NOT NULL,
  state BIGINT NOT NULL,
  stop BIGINT NOT NULL,
  asked_by TEXT NOT NULL,
  schedule TEXT,
  created BIGINT NOT NULL,
  started BIGINT,
  finished BIGINT,
  attempts BIGINT NOT NULL,
  token BIGINT NOT NULL,
  lease_until BIGINT,
  runner TEXT,
  done BIGINT NOT NULL,
  total BIGINT,
  message TEXT NOT NULL,
  error TEXT,
  scan TEXT,
  PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX scan_tasks_by_uid ON scan_tasks (tenant, uid);
CREATE INDEX scan_tasks_by_system ON scan_tasks (tenant, system, seq);
CREATE INDEX scan_tasks_by_state ON scan_tasks (tenant, state, seq);
-- The same is not asked for twice at once.
CREATE UNIQUE INDEX scan_tasks_open ON scan_tasks (tenant, system, content, profile) WHERE state < 3;

CREATE TABLE schedules (
  tenant BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  uid TEXT NOT NULL,
  name TEXT NOT NULL,
  cron TEXT NOT NULL,
  systems TEXT NOT NULL,
  labels TEXT NOT NULL,
  content TEXT NOT NULL,
  profile TEXT NOT NULL,
  enabled BIGINT NOT NULL,
  next_run BIGINT,
  last_run BIGINT,
  created BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX schedules_by_uid ON schedules (tenant, uid);
CREATE UNIQUE INDEX schedules_by_name ON schedules (tenant, name);
CREATE INDEX schedules_due ON schedules (tenant, next_run) WHERE next_run IS NOT NULL;
