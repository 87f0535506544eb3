//! Counters: since the port was added, or a second.

use std::collections::BTreeMap;

use super::{list, table};
use crate::api::types::PortStats;

/// A line a port, with every drop reason.
pub(in crate::cli) fn stats(stats: &[PortStats]) -> String {
    let titles = ["PORT", "RX", "RX-BYTES", "TX", "TX-BYTES", "DROPS", "REASONS"];
    table(
        titles,
        stats.iter().map(|PortStats { name, counters }| {
            let numbers = [counters.rx_packets, counters.rx_bytes, counters.tx_packets, counters.tx_bytes];
            row(name, numbers, &counters.drops)
        }),
    )
}

/// The same as rates between two looks, `seconds` apart. A port that was added in between counts from zero, and so does
/// one whose counters began anew.
pub(in crate::cli) fn rates(before: &[PortStats], now: &[PortStats], seconds: u32) -> String {
    let titles = ["PORT", "RX/S", "RX-BYTES/S", "TX/S", "TX-BYTES/S", "DROPS/S", "REASONS"];
    let rate = |old: u64, new: u64| new.checked_sub(old).unwrap_or(new) / u64::from(seconds.max(1));
    table(
        titles,
        now.iter().map(|PortStats { name, counters: new }| {
            let old = before.iter().find(|stats| stats.name == *name).map(|stats| stats.counters.clone());
            let old = old.unwrap_or_default();
            let drops = new.drops.iter().map(|(reason, frames)| {
                (reason.clone(), rate(old.drops.get(reason).copied().unwrap_or_default(), *frames))
            });
            let numbers = [
                rate(old.rx_packets, new.rx_packets),
                rate(old.rx_bytes, new.rx_bytes),
                rate(old.tx_packets, new.tx_packets),
                rate(old.tx_bytes, new.tx_bytes),
            ];
            row(name, numbers, &drops.collect())
        }),
    )
}

fn row(name: &str, numbers: [u64; 4], drops: &BTreeMap<String, u64>) -> [String; 7] {
    let [rx, rx_bytes, tx, tx_bytes] = numbers.map(|number| number.to_string());
    let reasons =
        drops.iter().filter(|(_, frames)| **frames > 0).map(|(reason, frames)| format!("{reason}={frames}"));
    let dropped: u64 = drops.values().sum();
    [name.to_string(), rx, rx_bytes, tx, tx_bytes, dropped.to_string(), list(reasons)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::samples;

    fn port(counters: crate::api::types::Counters) -> Vec<PortStats> {
        vec![PortStats { name: "veth0".to_string(), counters }]
    }

    fn second_line(text: &str) -> Vec<&str> {
        text.lines().nth(1).expect("a row").split_whitespace().collect()
    }

    #[test]
    fn every_drop_reason_is_named() {
        let text = stats(&port(samples::counters()));
        assert_eq!(second_line(&text), ["veth0", "1200", "150000", "900", "80000", "7", "mtu=3,storm=4"]);
    }

    #[test]
    fn rates_are_differences_a_second() {
        let mut later = samples::counters();
        later.rx_packets += 20;
        later.rx_bytes += 2000;
        later.drops.insert("storm".to_string(), 14);
        let text = rates(&port(samples::counters()), &port(later), 2);
        assert_eq!(second_line(&text), ["veth0", "10", "1000", "0", "0", "5", "storm=5"]);
    }

    #[test]
    fn counters_that_began_anew_are_no_negative_rate() {
        let fresh = crate::api::types::Counters { rx_packets: 8, ..Default::default() };
        let text = rates(&port(samples::counters()), &port(fresh), 1);
        assert_eq!(second_line(&text), ["veth0", "8", "0", "0", "0", "0", "-"]);
    }
}
