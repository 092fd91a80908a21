//! Limits, permits and bans of Stockade's layers on Redis or Valkey.
