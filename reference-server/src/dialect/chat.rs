//! OpenAI's chat completions, for clients and for upstreams.

mod request_writer;
mod response_reader;

pub use request_writer::write_request;
pub use response_reader::{ReadError, ResponseReader, read_completion};
