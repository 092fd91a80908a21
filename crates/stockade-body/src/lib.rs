//! Checks request bodies, JSON and images, before a model sees them, as a tower layer.
