//! Questions on the terminal.

use std::{
    fmt::Display,
    io::{self, IsTerminal},
    str::FromStr,
};

use dialoguer::{Confirm, Input};

use crate::StartError;

/// Whether a person can read the questions and answer them.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks until the answer is valid; an empty line selects the default.
pub(super) fn input<T>(
    question: &str,
    default: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, StartError> {
    let answer: String = Input::new()
        .with_prompt(question)
        .default(default.to_owned())
        .show_default(!default.is_empty())
        .allow_empty(default.is_empty())
        .validate_with(|text: &String| parse(text.trim()).map(drop))
        .interact_text()
        .map_err(failed)?;
    parse(answer.trim()).map_err(StartError::new)
}

/// Asks until there is an answer.
pub(super) fn required<T>(question: &str) -> Result<T, StartError>
where
    T: FromStr<Err: Display>,
{
    input(question, "", |text| match text.is_empty() {
        true => Err("an answer is required".to_owned()),
        false => text.parse().map_err(|error: T::Err| error.to_string()),
    })
}

/// Asks for yes or no; the default is no.
pub(super) fn confirm(question: &str) -> Result<bool, StartError> {
    Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()
        .map_err(failed)
}

fn failed(error: dialoguer::Error) -> StartError {
    let dialoguer::Error::IO(error) = error;
    StartError::new(format!(
        "cannot read the answer: {error}; use flags instead"
    ))
}
