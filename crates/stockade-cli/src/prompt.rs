//! Prompts on the terminal.

use std::{fmt::Display, str::FromStr};

use dialoguer::{Confirm, Input, Password};
use zeroize::Zeroizing;

use crate::{CliError, escape::escape};

/// Prompts until the input is valid; an empty line selects the default.
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

/// Prompts for a confirmation; the default is no.
pub(crate) fn confirm(question: &str) -> Result<bool, CliError> {
    Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()
        .map_err(prompt_failed)
}

/// Prompts for a secret without echoing it.
pub(crate) fn secret(question: &str) -> Result<Zeroizing<String>, CliError> {
    Password::new()
        .with_prompt(question)
        .interact()
        .map(Zeroizing::new)
        .map_err(prompt_failed)
}

fn prompt_failed(error: dialoguer::Error) -> CliError {
    let dialoguer::Error::IO(error) = error;
    CliError::usage(format_args!("cannot read the answer: {error}"))
        .with_help("use flags instead of prompts; `--help` lists them")
}
