//! What a host's stack counted: checksum errors above all, which a switch that breaks offloads causes.

use std::collections::BTreeMap;

use crate::lab::Host;
use crate::namespace::Namespace;

/// All counters of `/proc/net/{snmp,netstat,snmp6}` of a namespace, as `TcpInCsumErrors` and the like.
#[must_use]
pub fn stack_counters(namespace: &Namespace) -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for file in ["snmp", "netstat"] {
        counters.extend(read_pairs_of_lines(&namespace.read(&format!("/proc/thread-self/net/{file}"))));
    }
    let snmp6 = namespace.read("/proc/thread-self/net/snmp6");
    counters.extend(snmp6.lines().filter_map(|line| {
        let (name, value) = line.split_once(char::is_whitespace)?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    }));
    counters
}

/// Reads a line of names, then a line of values, with the same `Prefix:`.
fn read_pairs_of_lines(text: &str) -> BTreeMap<String, u64> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs =
        lines.chunks_exact(2).filter_map(|pair| Some((pair[0].split_once(':')?, pair[1].split_once(':')?)));
    pairs
        .flat_map(|((prefix, names), (_, values))| {
            names
                .split_whitespace()
                .zip(values.split_whitespace())
                .map(move |(name, value)| (format!("{prefix}{name}"), value))
        })
        // TcpMaxConn is -1.
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect()
}

/// Every kind of checksum error a host's stack has seen, added up.
#[must_use]
pub fn checksum_errors(host: &Host) -> u64 {
    errors(host).values().sum()
}

/// Checks that no stack saw a wrong checksum.
///
/// # Panics
/// With the counters that are not zero.
#[track_caller]
pub fn assert_no_checksum_errors(hosts: &[&Host]) {
    for host in hosts {
        let errors = errors(host);
        assert!(errors.is_empty(), "{} saw wrong checksums: {errors:?}", host.name());
    }
}

fn errors(host: &Host) -> BTreeMap<String, u64> {
    let counters = stack_counters(host.namespace());
    assert!(
        counters.contains_key("TcpInCsumErrors") && counters.contains_key("Udp6InCsumErrors"),
        "no such counters"
    );
    counters.into_iter().filter(|(name, value)| name.ends_with("InCsumErrors") && *value != 0).collect()
}

/// Packets that the stack of a namespace forwarded between links, both families.
#[must_use]
pub fn forwarded_by_stack(namespace: &Namespace) -> u64 {
    let counters = stack_counters(namespace);
    ["IpForwDatagrams", "Ip6OutForwDatagrams"].iter().map(|name| counters[*name]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_paired() {
        let counters =
            read_pairs_of_lines("Tcp: MaxConn InCsumErrors\nTcp: -1 3\nUdp: InCsumErrors\nUdp: 0\n");
        assert_eq!(
            counters,
            BTreeMap::from([("TcpInCsumErrors".to_owned(), 3), ("UdpInCsumErrors".to_owned(), 0)])
        );
    }
}
