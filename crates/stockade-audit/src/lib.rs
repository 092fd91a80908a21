//! One tamper-evident record a request, without secrets, as a tower layer.
