//! Sends a request to the upstreams of its model.

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method};
use stockade_core::{context::RequestContext, llm::TokenUsage, refusal::Refusal};

use super::{
    RelayApi, RequestScan,
    error::{error_response, upstream_refusal},
    headers, object,
    stream::{self, StreamRequest},
};
use crate::{
    fairness,
    fence::Deadline,
    upstream::{RequestBody, UpstreamGroup, UpstreamRequest},
};

/// A request to relay.
pub(crate) struct RelayRequest<'a> {
    pub(crate) api: RelayApi,
    /// The headers of the client.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) context: &'a RequestContext,
    pub(crate) deadline: &'a Deadline,
    pub(crate) body: Bytes,
    pub(crate) scan: RequestScan,
}

impl RelayRequest<'_> {
    /// Sends the request, and relays the response.
    ///
    /// # Errors
    /// Returns a refusal if no upstream answers, or the answer is an error or invalid. Nothing is
    /// charged then.
    pub(crate) async fn send(self, group: &UpstreamGroup) -> Result<Response, Refusal> {
        let context = self.context;
        let result = self.relay(group).await;
        result.inspect_err(|_| context.set_usage(TokenUsage::default()))
    }

    async fn relay(self, group: &UpstreamGroup) -> Result<Response, Refusal> {
        let (context, scan) = (self.context, &self.scan);
        let model_request = context.model_request();
        let estimate = model_request.map_or(0, |request| request.prompt_tokens);
        let prompt_estimate = if self.api.is_charged() { estimate } else { 0 };
        // If the client leaves, the upstream has probably read the prompt.
        context.set_estimated_usage(TokenUsage {
            prompt_tokens: prompt_estimate,
            completion_tokens: 0,
        });
        let usage_patch = scan.include_usage_patch(&self.body, self.api);
        let removes_usage = usage_patch.is_some();
        let request = UpstreamRequest {
            method: Method::POST,
            path: self.api.path().into(),
            at_root: self.api.is_at_root(),
            headers: headers::request(self.headers, context, scan.stream),
            body: RequestBody {
                bytes: self.body.clone(),
                model: Some(scan.model_at.clone()),
                patch: usage_patch,
            },
            share: fairness::share(context),
            streaming: scan.stream,
            deadline: self.deadline.instant(),
        };
        let response = group.send(request).await;
        let response = response.map_err(|error| upstream_refusal(&error))?;
        if !response.status.is_success() {
            return Err(error_response(response).await);
        }
        if !scan.stream {
            return object::respond(response, context, prompt_estimate).await;
        }
        let deadline = self.deadline.clone();
        stream::respond(
            response,
            StreamRequest {
                api: self.api,
                context: context.clone(),
                prompt_estimate,
                removes_usage,
                cut: Box::pin(async move { deadline.passed().await.refusal() }),
            },
        )
    }
}
