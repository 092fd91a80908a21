//! A fence of tower layers for HTTP and gRPC APIs, from one configuration file.

mod check;
mod config;

pub use check::{Finding, Severity, Surroundings, check};
pub use config::{
    AbuseConfig, AnswerConfig, AuthConfig, ClientIpConfig, ConcurrencyConfig, Config, ConfigError,
    CorsConfig, DocsConfig, Format, HeaderStyle, LEGACY_NAMES, OnFailure, RateLimitConfig,
    RouteAccess, RouteConfig, SecretUrl, StoreConfig, TokenBudgetConfig, TokensConfig, parse,
};
