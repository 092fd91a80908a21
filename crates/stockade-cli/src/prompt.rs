//! Questions to whoever sits at the terminal.

use std::{fmt::Display, str::FromStr};

use dialoguer::{Confirm, Input, Password};
use zeroize::Zeroizing;

use crate::{CliError, escape::escape};

/// Asks until the answer is one; enter alone takes the default.
pub(crate) fn input<T>(
    question: &str,
    default: &str,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<T, CliError>
where
    T: FromStr<Err: Display>,
{
    let read = |text: &str| {
        let value: T = text.trim().parse().map_err(|error| format!("{error}"))?;
        check(&value).map(|()| value)
    };
    let answer: String = Input::new()
        .with_prompt(question)
        .default(default.to_owned())
        .show_default(!default.is_empty())
        .allow_empty(default.is_empty())
        .validate_with(|text: &String| read(text).map(drop).map_err(|error| escape(&error)))
        .interact_text()
        .map_err(prompt_failed)?;
    read(&answer).map_err(CliError::usage)
}

/// Asks for a yes; enter alone is a no.
pub(crate) fn confirm(question: &str) -> Result<bool, CliError> {
    Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()
        .map_err(prompt_failed)
}

/// Asks for something that is not shown as it is typed.
pub(crate) fn secret(question: &str) -> Result<Zeroizing<String>, CliError> {
    Password::new()
        .with_prompt(question)
        .interact()
        .map(Zeroizing::new)
        .map_err(prompt_failed)
}

fn prompt_failed(error: dialoguer::Error) -> CliError {
    let dialoguer::Error::IO(error) = error;
    CliError::usage(format_args!("no answer was given: {error}"))
        .help("answer by flags instead; `--help` lists them")
}
