//! Login and permissions.

mod cookies;
mod login;
mod password;
mod server;
mod setup;
