-- Components of assets and what advisories say of them (docs/adr/0014-findings-from-advisories.md).

-- Assets with an inventory. `at` is when it was taken in.
CREATE TABLE comp_assets (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  uid TEXT NOT NULL,
  scope TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  ns TEXT NOT NULL,
  source TEXT NOT NULL,
  at BIGINT NOT NULL,
  unread TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX comp_assets_by_uid ON comp_assets (tenant, uid);

-- Distinct components: purl, ecosystem and source package. `matched` is the place in the order
-- of changes of advisories up to which it was matched; null means never.
CREATE TABLE comp_parts (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  digest BLOB NOT NULL,
  purl TEXT NOT NULL,
  ecosystem TEXT NOT NULL,
  src TEXT,
  src_version TEXT,
  licences TEXT NOT NULL,
  matched BIGINT,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX comp_parts_by_digest ON comp_parts (tenant, digest);
CREATE INDEX comp_parts_unmatched ON comp_parts (tenant, id) WHERE matched IS NULL;

-- Under which packages advisories may speak of a component.
CREATE TABLE comp_keys (
  tenant BIGINT NOT NULL,
  ecosystem TEXT NOT NULL,
  name TEXT NOT NULL,
  part BIGINT NOT NULL,
  PRIMARY KEY (tenant, ecosystem, name, part)
) WITHOUT ROWID;

-- Where components were found: few distinct lists for many links.
CREATE TABLE comp_places (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  digest BLOB NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX comp_places_by_digest ON comp_places (tenant, digest);

CREATE TABLE comp_links (
  tenant BIGINT NOT NULL,
  asset BIGINT NOT NULL,
  part BIGINT NOT NULL,
  place BIGINT NOT NULL,
  PRIMARY KEY (tenant, asset, part)
) WITHOUT ROWID;
CREATE INDEX comp_links_by_part ON comp_links (tenant, part, asset, place);

-- What advisories say of a component, one row a vulnerability.
CREATE TABLE comp_matches (
  tenant BIGINT NOT NULL,
  part BIGINT NOT NULL,
  vulnerability TEXT NOT NULL,
  digest BLOB NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, part, vulnerability)
) WITHOUT ROWID;
CREATE INDEX comp_matches_by_vulnerability ON comp_matches (tenant, vulnerability, part);

-- What was reported of an asset: by it a later derivation knows what to close.
CREATE TABLE comp_hits (
  tenant BIGINT NOT NULL,
  asset BIGINT NOT NULL,
  vulnerability TEXT NOT NULL,
  locus TEXT NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (tenant, asset, vulnerability, locus)
) WITHOUT ROWID;

-- What is to be derived again: an asset and a vulnerability, or all of the asset's with ''.
CREATE TABLE comp_pending (
  tenant BIGINT NOT NULL,
  asset BIGINT NOT NULL,
  vulnerability TEXT NOT NULL,
  mark BIGINT NOT NULL,
  PRIMARY KEY (tenant, asset, vulnerability)
) WITHOUT ROWID;

-- Up to which change of advisories components were matched.
CREATE TABLE comp_cursors (
  tenant BIGINT NOT NULL PRIMARY KEY,
  seq BIGINT NOT NULL
);
