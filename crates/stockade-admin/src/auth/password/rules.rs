//! The rules of new passwords: long enough, and not one of the first guesses.

const MIN_CHARS: usize = 12;
const MAX_CHARS: usize = 256;
/// Fewer distinct characters are a pattern such as `121212121212`.
const MIN_DISTINCT: usize = 5;

/// Common passwords, and the stems of common ones, in lower case without spaces.
const COMMON: &str = include_str!("common.txt");

/// Returns the rule that a new password of this user breaks.
pub(super) fn check(password: &str, user: &str) -> Result<(), &'static str> {
    let chars = password.chars().count();
    if chars < MIN_CHARS {
        return Err("must have at least 12 characters");
    }
    if chars > MAX_CHARS {
        return Err("must have at most 256 characters");
    }
    let plain: String = password
        .chars()
        .filter(|char| !char.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    if !user.is_empty() && is_mostly(&plain, &user.to_lowercase()) {
        return Err("must not be the user name");
    }
    let mut distinct: Vec<char> = plain.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let common = COMMON.lines().any(|common| is_mostly(&plain, common));
    match common || distinct.len() < MIN_DISTINCT {
        true => Err("is a common password; choose another one"),
        false => Ok(()),
    }
}

/// Whether a password is this word, once or repeated, with digits and signs before or after it.
fn is_mostly(password: &str, word: &str) -> bool {
    let repeated = |text: &str| !text.is_empty() && text.replace(word, "").is_empty();
    let letters = password.trim_matches(|char: char| !char.is_alphabetic());
    repeated(password) || repeated(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_long_uncommon_passwords() {
        for password in [
            "violet kettle under the bridge",
            "xkZ7#mQp2!wL",
            "пароль из слов 7",
        ] {
            assert_eq!(check(password, "admin"), Ok(()), "{password}");
        }
    }

    #[test]
    fn refuses_short_and_common_passwords() {
        for password in [
            "xkZ7#mQp2!w",
            "Password123456!",
            "123password123",
            "passwordpassword",
            "1234567890123",
            "qwertyuiop[]",
            "aaaaaaaaaaaa",
            "121212121212",
            "operations-2",
            "Administrator1",
            &"long".repeat(100),
        ] {
            assert!(check(password, "operations").is_err(), "{password}");
        }
    }
}
