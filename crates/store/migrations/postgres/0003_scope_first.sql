-- One scope's findings by when they were first seen: the order's own index would have to pass
-- over what all other scopes saw in the meantime.
CREATE INDEX findings_scope_first ON findings (tenant, scope, status, severity, first_seen, id) INCLUDE (chk, ns, kind);
