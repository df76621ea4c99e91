-- Components of assets and what advisories say of them (docs/adr/0014-findings-from-advisories.md).

-- Assets with an inventory. `at` is when it was taken in.
CREATE TABLE comp_assets (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  uid TEXT COLLATE "C" NOT NULL,
  scope TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  ns TEXT COLLATE "C" NOT NULL,
  source TEXT COLLATE "C" NOT NULL,
  at BIGINT NOT NULL,
  unread TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX comp_assets_by_uid ON comp_assets (tenant, uid);

-- Distinct components: purl, ecosystem and source package. `matched` is the place in the order
-- of changes of advisories up to which it was matched; null means never.
CREATE TABLE comp_parts (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  purl TEXT COLLATE "C" NOT NULL,
  ecosystem TEXT COLLATE "C" NOT NULL,
  src TEXT COLLATE "C",
  src_version TEXT COLLATE "C",
  licences TEXT COLLATE "C" NOT NULL,
  matched BIGINT,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX comp_parts_by_digest ON comp_parts (tenant, digest);
CREATE INDEX comp_parts_unmatched ON comp_parts (tenant, id) WHERE matched IS NULL;

-- Under which packages advisories may speak of a component.
CREATE TABLE comp_keys (
  tenant BIGINT NOT NULL,
  ecosystem TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  part BIGINT NOT NULL,
  PRIMARY KEY (tenant, ecosystem, name, part)
);

-- Where components were found: few distinct lists for many links.
CREATE TABLE comp_places (
  tenant BIGINT NOT NULL,
  id BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  body TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX comp_places_by_digest ON comp_places (tenant, digest);

CREATE TABLE comp_links (
  tenant BIGINT NOT NULL,
  asset BIGINT NOT NULL,
  part BIGINT NOT NULL,
  place BIGINT NOT NULL,
  PRIMARY KEY (tenant, asset, part)
);
CREATE INDEX comp_links_by_part ON comp_links (tenant, part, asset, place);

-- What advisories say of a component, one row a vulnerability.
CREATE TABLE comp_matches (
  tenant BIGINT NOT NULL,
  part BIGINT NOT NULL,
  vulnerability TEXT COLLATE "C" NOT NULL,
  digest BYTEA NOT NULL,
  body TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, part, vulnerability)
);
CREATE INDEX comp_matches_by_vulnerability ON comp_matches (tenant, vulnerability, part);

-- What was reported of an asset: by it a later derivation knows what to close.
CREATE TABLE comp_hits (
  tenant BIGINT NOT NULL,
  asset BIGINT NOT NULL,
  vulnerability TEXT COLLATE "C" NOT NULL,
  locus TEXT COLLATE "C" NOT NULL,
  digest BYTEA NOT NULL,
  PRIMARY KEY (tenant, asset, vulnerability, locus)
);

-- What is to be derived again: an asset and a vulnerability, or all of the asset's with ''.
CREATE TABLE comp_pending (
  tenant BIGINT NOT NULL,
  asset BIGINT NOT NULL,
  vulnerability TEXT COLLATE "C" NOT NULL,
  mark BIGINT NOT NULL,
  PRIMARY KEY (tenant, asset, vulnerability)
);

-- Up to which change of advisories components were matched.
CREATE TABLE comp_cursors (
  tenant BIGINT NOT NULL PRIMARY KEY,
  seq BIGINT NOT NULL
);
