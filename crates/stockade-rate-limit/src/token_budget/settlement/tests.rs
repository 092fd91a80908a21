use proptest::{prelude::*, sample::select};
use stockade_core::{client::ClientIp, context::RequestContext};

use super::{super::estimate::total, *};

const RESERVED: TokenUsage = TokenUsage {
    prompt_tokens: 200,
    completion_tokens: 500,
};
const PROMPT: u64 = 40;

/// Events of one chat, in any order and number.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The handler announces that it meters its model.
    Metered,
    /// The model starts to read the prompt.
    Prefill,
    /// The model generates a token.
    Token,
    /// The model fails after this many tokens were delivered.
    EngineFails { delivered: u64 },
    /// The response starts.
    Head(u16),
    /// The response ends with trailers.
    Trailers(&'static [u8]),
    /// The response ends: read to the end, dropped, failed or panicked.
    End(Outcome),
}

fn event() -> impl Strategy<Value = Event> {
    let ends = vec![
        Outcome::Completed,
        Outcome::Failed,
        Outcome::Panicked,
        Outcome::Dropped,
    ];
    prop_oneof![
        2 => Just(Event::Metered),
        2 => Just(Event::Prefill),
        4 => Just(Event::Token),
        1 => (0_u64..4).prop_map(|delivered| Event::EngineFails { delivered }),
        1 => select(vec![200_u16, 400, 408, 429, 500, 503, 504]).prop_map(Event::Head),
        1 => select(vec![&b"0"[..], b"4", b"13"]).prop_map(Event::Trailers),
        1 => select(ends).prop_map(Event::End),
    ]
}

/// A chat as the reference server meters it, and the facts that determine its charge.
#[derive(Default)]
struct Chat {
    metered: bool,
    prompt: u64,
    made: u64,
    failed: Option<u64>,
    ended: bool,
    settlement: Settlement,
}

impl Chat {
    /// Reports like the reference server.
    fn happens(&mut self, event: Event, context: &RequestContext) {
        match event {
            Event::Metered if !self.metered && !self.ended => {
                self.metered = true;
                context.set_usage(TokenUsage::default());
            }
            Event::Prefill if self.metered && self.prompt == 0 => {
                self.count(context, |chat| chat.prompt = PROMPT);
            }
            Event::Token if self.prompt > 0 => {
                self.count(context, |chat| chat.made += 1);
            }
            Event::EngineFails { delivered } if self.metered => {
                let delivered = delivered.min(self.made);
                if self.failed.is_none() && !self.ended {
                    self.failed = Some(delivered);
                }
                context.set_usage(TokenUsage {
                    prompt_tokens: if delivered > 0 { PROMPT } else { 0 },
                    completion_tokens: delivered,
                });
                context.final_usage();
            }
            Event::Head(status) if !self.ended => {
                let status = StatusCode::from_u16(status).unwrap();
                self.settlement.head(status, None);
            }
            Event::Trailers(status) if !self.ended => {
                self.settlement.grpc_status(Some(status));
            }
            Event::End(end) if !self.ended => {
                self.settlement.end(end);
                charge(self.settlement, context);
                self.ended = true;
            }
            _ => {}
        }
    }

    /// The engine's thread continues after a failure and after the end; its reports then must
    /// not count.
    fn count(&mut self, context: &RequestContext, step: impl FnOnce(&mut Self)) {
        let before = (self.prompt, self.made);
        step(self);
        context.set_usage(TokenUsage {
            prompt_tokens: self.prompt,
            completion_tokens: self.made,
        });
        if self.ended || self.failed.is_some() {
            (self.prompt, self.made) = before;
        }
    }
}

/// Settles like a reservation.
fn charge(settlement: Settlement, context: &RequestContext) -> u64 {
    let usage = match settlement.estimated_charge(RESERVED) {
        Some(estimate) => context.final_usage_or(estimate),
        None => context.final_usage(),
    };
    usage.map_or(0, total)
}

proptest! {
    // FC01
    #[test]
    fn every_order_of_events_charges_what_the_engine_did(
        events in proptest::collection::vec(event(), 0..24),
    ) {
        let context = RequestContext::builder().client(ClientIp::UnixSocket).build();
        let mut chat = Chat::default();
        for event in events {
            chat.happens(event, &context);
        }
        // The reservation is dropped without an announced end.
        let charge = charge(chat.settlement, &context);
        let usage = context.usage();
        let expected = match (chat.metered, chat.failed) {
            (true, Some(0)) => 0,
            (true, Some(delivered)) => PROMPT + delivered,
            (true, None) => chat.prompt + chat.made,
            // Not metered: the estimate, unless the request failed.
            (false, _) if chat.settlement == Settlement::Refused => 0,
            (false, _) => 700,
        };
        prop_assert_eq!(charge, expected);
        // The record reads after the budget has settled, and shows the same usage.
        context.set_usage(TokenUsage { prompt_tokens: 9_999, completion_tokens: 9_999 });
        prop_assert_eq!(context.final_usage(), usage);
        prop_assert_eq!(usage.map_or(0, total), charge);
        prop_assert_eq!(context.is_usage_estimated(), !chat.metered && charge > 0);
    }
}

// FA13
#[test]
fn inner_timeouts_cost_the_estimate_and_other_errors_nothing() {
    for (status, charge) in [
        (200, 700),
        (408, 700),
        (504, 700),
        (400, 0),
        (429, 0),
        (500, 0),
        (503, 0),
    ] {
        let mut settlement = Settlement::default();
        settlement.head(StatusCode::from_u16(status).unwrap(), None);
        settlement.end(Outcome::Completed);
        assert_eq!(
            settlement.estimated_charge(RESERVED).map_or(0, total),
            charge,
            "{status}"
        );
    }
    for (status, charge) in [(&b"0"[..], 700), (b"4", 700), (b"13", 0)] {
        let mut settlement = Settlement::default();
        settlement.head(StatusCode::OK, Some(status));
        assert_eq!(
            settlement.estimated_charge(RESERVED).map_or(0, total),
            charge
        );
    }
}
