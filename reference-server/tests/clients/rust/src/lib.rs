//! The API with `async-openai`; one module for each model of the server.

#![cfg(test)]

mod calls;
mod server;

macro_rules! targets {
    ($($target:ident: [$($call:ident),* $(,)?]),* $(,)?) => {$(
        mod $target {
            $(
                #[tokio::test]
                async fn $call() {
                    let target = crate::server::Target::new(stringify!($target));
                    crate::calls::$call(target).await;
                }
            )*
        }
    )*};
}

targets! {
    tiny: [
        chat, stream, image, seed, stop, tools, streamed_tools, auto_tools, json, logprobs, n,
        completions, usage, models, unknown_model, bad_key, rate_limit, disconnect,
    ],
    relay: [
        chat, stream, image, seed, stop, tools, streamed_tools, auto_tools, json, logprobs, n,
        completions, usage, models, unknown_model, bad_key, rate_limit, disconnect,
    ],
}
