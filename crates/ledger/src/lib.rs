//! Merkle log, signed checkpoints, keys, attestations, offline verification
