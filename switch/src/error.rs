//! Errors as one line for people.

use std::error::Error;

/// The error and everything behind it, joined by `: `, each said once.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn the_cause_is_said_once_and_on_one_line() {
        let error = Outer(std::io::Error::other("inner\ncause"));
        assert_eq!(chain(&error), "outer: inner cause");
    }
}
