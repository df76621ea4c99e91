-- An inventory that was taken away stays, as gone, until what was reported of it is closed.
ALTER TABLE comp_assets ADD COLUMN gone BIGINT NOT NULL DEFAULT 0;
CREATE INDEX comp_assets_gone ON comp_assets (tenant, id) WHERE gone = 1;

-- Scores of EPSS have an order of changes of their own: `seq` rises where one moved so far that
-- it can change a priority. Up to where that was followed stands beside the other cursor.
ALTER TABLE vuln_epss ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
CREATE INDEX vuln_epss_by_seq ON vuln_epss (seq);
ALTER TABLE comp_cursors ADD COLUMN epss BIGINT NOT NULL DEFAULT 0;
