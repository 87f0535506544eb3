//! Queries to a network's names: an answer to the one who asked, within what a datagram may be, or none.

use std::net::IpAddr;
use std::sync::LazyLock;

use vswitch::gateway::dns::{Names, Reply, reply};

use super::outcome;

/// What names and questions are made of.
pub(super) const WORDS: &[&str] = &[
    "\x03web",
    "\x04many",
    "\x04blue",
    "\x00",
    "\x07in-addr\x04arpa\x00",
    "\x03ip6\x04arpa\x00",
    "\x011\x012\x013\x0210",
    "\x00\x00\x01\x00\x01",
    "\x00\x00\x1c\x00\x01",
    "\x00\x00\x0c\x00\x01",
    "\x00\x00\x29\x04\x00\x00\x00\x00\x00\x00\x00",
    "\x00\x01\x00\x00\x00\x00\x00\x01",
];

/// Largest answer by UDP (DNS flag day 2020).
const DATAGRAM_MOST: usize = 1_232;

/// One host with an address of each family, and one with too many for a datagram.
static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let web: Vec<IpAddr> = vec![[10, 1, 0, 2].into(), "fd00:1::2".parse().expect("an address")];
    let many = (1..=200).map(|last| IpAddr::from([10, 1, 0, last])).collect();
    Names {
        network: "blue".to_owned(),
        subnets: vec!["10.1.0.0/24".parse().expect("a subnet"), "fd00:1::/64".parse().expect("a subnet")],
        hosts: web.iter().map(|ip| (*ip, "web".to_owned())).collect(),
        addresses: [("web".to_owned(), web), ("many".to_owned(), many)].into(),
    }
});

pub(super) fn check(input: &[u8]) -> u64 {
    match reply(input, &NAMES) {
        Reply::Octets(answer) => {
            assert!(answer.len() <= DATAGRAM_MOST, "{} octets", answer.len());
            assert_eq!(answer[..2], input[..2], "the answer to another question");
            assert!(matches!(reply(&answer, &NAMES), Reply::Nothing), "two servers would answer each other");
            let (is_cut, code, records) = (answer[2] & 2 != 0, answer[3] & 0x0f, &answer[6..8]);
            outcome(&("answer", is_cut, code, records, answer.len() > input.len()))
        }
        Reply::Forward => outcome(&("forward", input.len() > 512)),
        Reply::Nothing => outcome(&"nothing"),
    }
}
