//! Published ports: a line each, with what `publish del` takes in the second column.

use super::table;
use crate::api::types::Publish;

/// A line a published port or range.
pub(in crate::cli) fn publishes(publishes: &[Publish]) -> String {
    table(
        ["NETWORK", "PORTS"],
        publishes.iter().map(|publish| [publish.network.clone(), publish.to_string()]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_del_takes() {
        let publish = Publish::parse("web", "8080:10.1.0.2:80").expect("a published port");
        assert_eq!(publishes(&[publish]), "NETWORK  PORTS\nweb      8080:10.1.0.2:80/tcp\n");
    }
}
