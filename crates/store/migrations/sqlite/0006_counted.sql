-- Passes that are counted and not listed: an audit of a large cluster finds nothing wrong with most
-- of what it judges. What ever failed has a row in `results` and is not counted here.
CREATE TABLE counted (
  tenant INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  source TEXT NOT NULL,
  chk INTEGER NOT NULL,
  pass INTEGER NOT NULL,
  PRIMARY KEY (tenant, scope, source, chk)
);
