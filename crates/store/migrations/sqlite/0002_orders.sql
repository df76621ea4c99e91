-- What lists need: one index an order and filter, each covering what a filter looks at, so that
-- a walk never leaves the index; and the words of findings.
CREATE INDEX findings_changed ON findings (tenant, status, severity, changed, id, scope, chk, ns, kind);
CREATE INDEX findings_first ON findings (tenant, status, severity, first_seen, id, scope, chk, ns, kind);
CREATE INDEX findings_scope ON findings (tenant, scope, status, severity, changed, id, chk, ns, kind);
CREATE INDEX findings_check ON findings (tenant, chk, first_seen, id, status, severity, scope, ns, kind);
CREATE INDEX findings_asset ON findings (tenant, scope, asset_uid, id, status, severity, chk, ns, kind);
CREATE INDEX findings_ns ON findings (tenant, ns, kind, status, severity, id, scope, chk);
CREATE INDEX assets_by_kind ON assets (tenant, kind, uid);
CREATE INDEX assets_by_ns ON assets (tenant, ns, uid);
-- Passes and failures are most of the results; what could not be told is looked for by itself.
CREATE INDEX results_untold ON results (tenant, outcome, scope, chk, asset, locus) WHERE outcome > 1;
CREATE INDEX audit_by_time ON audit (tenant, at, seq);
CREATE INDEX audit_by_action ON audit (tenant, action, at, seq);
CREATE INDEX audit_by_subject ON audit (tenant, subject, at, seq);
-- Nearly all entries are the system's.
CREATE INDEX audit_by_actor ON audit (tenant, actor, at, seq) WHERE actor <> 'system';

CREATE VIRTUAL TABLE finding_words USING fts5 (
  words, content = '', contentless_delete = 1, tokenize = 'unicode61', detail = 'none'
);
INSERT INTO finding_words (rowid, words)
  SELECT f.id, c.title || ' ' || c.uid || ' ' || f.asset_uid || ' ' || f.locus || ' ' || f.message
  FROM findings f JOIN checks c ON c.tenant = f.tenant AND c.id = f.chk ORDER BY f.id;
