//! Login and permissions.

mod access;
mod cookies;
mod cross_site;
mod events;
mod inferno;
mod login;
mod oidc;
mod password;
mod server;
mod setup;
mod tokens;
mod totp;
mod users;
