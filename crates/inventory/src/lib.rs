//! Components of a host, a folder, a container image or an SBOM.
