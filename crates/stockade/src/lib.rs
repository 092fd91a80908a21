//! A fence of tower layers for HTTP and gRPC APIs, from one configuration file.
