//! The whole server over loopback: its fence, its API, and a tiny model of random
//! weights that mistral.rs really runs.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod charges;
mod chat;
mod compatibility;
mod descriptors;
mod documents;
mod early;
mod ending;
mod environment;
mod floods;
mod framing;
mod hang_up;
mod headers;
mod health;
mod life;
mod limits;
mod lost_logs;
mod memory;
mod metrics;
mod process;
mod records;
mod refusals;
mod remote_images;
mod replicas;
mod running;
mod scripted;
mod site;
mod slow;
mod tls;
mod unread;
mod wire;
