//! The charge of a request, from its outcome.

use http::StatusCode;
use stockade_core::{guard::Outcome, llm::TokenUsage};

/// The outcome of a request, as far as it affects the charge.
///
/// A pure state machine. The reported usage is not part of it, since it is read once, at the
/// end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Settlement {
    /// No response yet: the model may be working.
    #[default]
    Running,
    /// The response is a success or the result of a timeout: the model has worked.
    Served,
    /// The response is an error, or the service failed.
    Refused,
}

/// gRPC's `OK` and `DEADLINE_EXCEEDED`: the model has worked in both cases.
const GRPC_WORKED: [&[u8]; 2] = [b"0", b"4"];

impl Settlement {
    /// Records the status of the response, and its gRPC status if it has one.
    pub(super) fn head(&mut self, status: StatusCode, grpc_status: Option<&[u8]>) {
        let error = status.is_client_error() || status.is_server_error();
        // The status of a timeout between this layer and the handler.
        let timeout = matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT
        );
        *self = if error && !timeout {
            Self::Refused
        } else {
            Self::Served
        };
        self.grpc_status(grpc_status);
    }

    /// Records the gRPC status of the trailers.
    pub(super) fn grpc_status(&mut self, status: Option<&[u8]>) {
        if status.is_some_and(|status| !GRPC_WORKED.contains(&status)) {
            *self = Self::Refused;
        }
    }

    /// Records the end of the response.
    pub(super) fn end(&mut self, end: Outcome) {
        if *self == Self::Running && end == Outcome::Failed {
            *self = Self::Refused;
        }
    }

    /// The charge if no usage was reported: the estimate, if the model may have worked.
    pub(super) fn estimated_charge(self, reserved: TokenUsage) -> Option<TokenUsage> {
        match self {
            Self::Refused => None,
            Self::Running | Self::Served => Some(reserved),
        }
    }
}

#[cfg(test)]
mod tests;
