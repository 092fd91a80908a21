//! What a request is charged, from what happened to it.

use http::StatusCode;
use stockade_core::{guard::Outcome, llm::TokenUsage};

/// What happened to a request so far, as far as it matters for the charge.
///
/// Pure: events in, a number out. The numbers that the handler reports are not part of it,
/// for they are read once, at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Settlement {
    /// There is no answer: the model may be working.
    #[default]
    Running,
    /// The answer began as a success, or ended after a time limit: the model worked.
    Served,
    /// The answer is an error, or there is none.
    Refused,
}

/// gRPC's `OK` and `DEADLINE_EXCEEDED`: in the second case, too, the model has worked.
const GRPC_WORKED: [&[u8]; 2] = [b"0", b"4"];

impl Settlement {
    /// The response begins with this status, and this gRPC status if it has one.
    pub(super) fn head(&mut self, status: StatusCode, grpc_status: Option<&[u8]>) {
        let error = status.is_client_error() || status.is_server_error();
        // The status of a time limit between this layer and the handler.
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

    /// The response ends with this gRPC status, or without one.
    pub(super) fn grpc_status(&mut self, status: Option<&[u8]>) {
        if status.is_some_and(|status| !GRPC_WORKED.contains(&status)) {
            *self = Self::Refused;
        }
    }

    /// The response ends.
    pub(super) fn end(&mut self, end: Outcome) {
        if *self == Self::Running && end == Outcome::Failed {
            *self = Self::Refused;
        }
    }

    /// What to charge if no tokens were reported: the estimate, if the model may have
    /// worked.
    pub(super) fn estimated_charge(self, reserved: TokenUsage) -> Option<TokenUsage> {
        match self {
            Self::Refused => None,
            Self::Running | Self::Served => Some(reserved),
        }
    }
}

#[cfg(test)]
mod tests;
