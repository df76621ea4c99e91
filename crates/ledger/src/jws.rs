//! Compact JWS (RFC 7515), the strict subset that attestations use. Filled in next.
