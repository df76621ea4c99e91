-- What lists need: one index an order and filter, each covering what a filter looks at, so that
-- a walk need not leave the index; and the words of findings.
CREATE INDEX findings_changed ON findings (tenant, status, severity, changed, id) INCLUDE (scope, chk, ns, kind);
CREATE INDEX findings_first ON findings (tenant, status, severity, first_seen, id) INCLUDE (scope, chk, ns, kind);
CREATE INDEX findings_scope ON findings (tenant, scope, status, severity, changed, id) INCLUDE (chk, ns, kind);
CREATE INDEX findings_check ON findings (tenant, chk, first_seen, id) INCLUDE (status, severity, scope, ns, kind);
CREATE INDEX findings_asset ON findings (tenant, scope, asset_uid, id) INCLUDE (status, severity, chk, ns, kind);
CREATE INDEX findings_ns ON findings (tenant, ns, kind, status, severity, id) INCLUDE (scope, chk);
CREATE INDEX assets_by_kind ON assets (tenant, kind, uid);
CREATE INDEX assets_by_ns ON assets (tenant, ns, uid);
-- Passes and failures are most of the results; what could not be told is looked for by itself.
CREATE INDEX results_untold ON results (tenant, outcome, scope, chk, asset, locus) WHERE outcome > 1;
CREATE INDEX audit_by_time ON audit (tenant, at, seq);
CREATE INDEX audit_by_action ON audit (tenant, action, at, seq);
CREATE INDEX audit_by_subject ON audit (tenant, subject, at, seq);
-- Nearly all entries are the system's.
CREATE INDEX audit_by_actor ON audit (tenant, actor, at, seq) WHERE actor <> 'system';

CREATE TABLE finding_words (
  id BIGINT PRIMARY KEY,
  words TSVECTOR NOT NULL
);
INSERT INTO finding_words (id, words)
  SELECT f.id, array_to_tsvector(array_remove(string_to_array(regexp_replace(
    lower(c.title || ' ' || c.uid || ' ' || f.asset_uid || ' ' || f.locus || ' ' || f.message),
    '[^[:alnum:]]+', ' ', 'g'), ' '), ''))
  FROM findings f JOIN checks c ON c.tenant = f.tenant AND c.id = f.chk;
CREATE INDEX finding_words_gin ON finding_words USING gin (words) WITH (fastupdate = on, gin_pending_list_limit = 16384);
-- Unread rows are many after an import: keep statistics and the visibility map near.
ALTER TABLE findings SET (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE results SET (autovacuum_vacuum_insert_scale_factor = 0.05);
