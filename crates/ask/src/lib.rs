//! Questions answered from records: retrieval, composition, citations.
