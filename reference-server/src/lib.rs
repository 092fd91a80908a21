//! The reference server of Stockade.

pub mod backend;
pub mod tiny_model;
