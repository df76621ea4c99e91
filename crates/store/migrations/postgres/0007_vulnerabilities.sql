-- Vulnerabilities: reference data, the same for all tenants (docs/adr/0012-vulnerability-store.md).

-- One row a record: what lists show and order by. `current` and `last` are numbers of versions;
-- `seq` rises with every change, so that whoever follows reads on from where it was.
CREATE TABLE vuln_records (
  id BIGINT NOT NULL PRIMARY KEY,
  key TEXT COLLATE "C" NOT NULL,
  kind BIGINT NOT NULL,
  changed BIGINT,
  published BIGINT NOT NULL,
  score BIGINT NOT NULL,
  flags BIGINT NOT NULL,
  title TEXT COLLATE "C" NOT NULL,
  seq BIGINT NOT NULL,
  current BIGINT NOT NULL,
  last BIGINT NOT NULL,
  digest BYTEA NOT NULL
);
CREATE UNIQUE INDEX vuln_records_by_key ON vuln_records (key);
CREATE UNIQUE INDEX vuln_records_by_seq ON vuln_records (seq);
CREATE INDEX vuln_records_by_change ON vuln_records (changed, id) WHERE kind = 0;
CREATE INDEX vuln_records_by_score ON vuln_records (score, id) WHERE kind = 0;

-- Every version there was, the current one too: `id` is the record's with the version's number
-- in its lowest 20 bits. `body` is packed, empty where the feed withdrew the record.
CREATE TABLE vuln_versions (
  id BIGINT NOT NULL PRIMARY KEY,
  changed BIGINT,
  applied BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  body BYTEA NOT NULL
);

-- Under what the current version is found. `at` is its date, so that lists need not sort.
CREATE TABLE vuln_terms (
  sort BIGINT NOT NULL,
  term TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  record BIGINT NOT NULL,
  PRIMARY KEY (sort, term, at, record)
);

-- EPSS: the latest day alone. Shares are hundred-thousandths.
CREATE TABLE vuln_epss (
  cve TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  day BIGINT NOT NULL,
  score BIGINT NOT NULL,
  percentile BIGINT NOT NULL
);
CREATE INDEX vuln_epss_by_score ON vuln_epss (score, cve);

-- Each feed's health.
CREATE TABLE vuln_feeds (
  name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  tried BIGINT NOT NULL,
  succeeded BIGINT,
  newest BIGINT,
  offered BIGINT NOT NULL,
  applied BIGINT NOT NULL,
  refused BIGINT NOT NULL,
  error TEXT COLLATE "C" NOT NULL
);

-- Bodies come packed: trying to pack them again costs time and gains nothing.
ALTER TABLE vuln_versions ALTER COLUMN body SET STORAGE EXTERNAL;
