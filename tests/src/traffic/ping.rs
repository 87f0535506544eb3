//! ICMP echo by iputils.

use std::net::IpAddr;

use crate::lab::Host;

/// Longest wait for all answers of one run, in seconds.
const DEADLINE_S: usize = 30;

/// Time between two requests, in milliseconds.
const INTERVAL_MS: f64 = 10.0;

/// Sends `count` echo requests of `size` octets of data over IPv4.
///
/// # Panics
/// When an answer is missing or comes twice.
#[track_caller]
pub fn ping(from: &Host, to: &Host, size: usize, count: usize) {
    ping_address(from, to.ipv4().into(), size, count);
}

/// As [`ping`], over IPv6.
///
/// # Panics
/// As [`ping`].
#[track_caller]
pub fn ping6(from: &Host, to: &Host, size: usize, count: usize) {
    ping_address(from, to.ipv6().into(), size, count);
}

/// As [`ping`], to any address.
///
/// # Panics
/// As [`ping`].
#[track_caller]
pub fn ping_address(from: &Host, to: IpAddr, size: usize, count: usize) {
    if let Err(said) = try_ping(from, to, size, count) {
        panic!("{} pings {to} with {size} octets, {count} times:\n{said}", from.name());
    }
}

/// As [`ping_address`], but returns what ping said.
///
/// # Errors
/// When an answer is missing or comes twice.
pub fn try_ping(from: &Host, to: IpAddr, size: usize, count: usize) -> Result<(), String> {
    // Without -W a lost answer is noticed only at the deadline; with a short -W a slow machine would lose answers.
    let interval = (INTERVAL_MS / 1_000.0).to_string();
    let arguments = ["-n", "-q", "-i", &interval, "-W", "5"];
    let output = from
        .command("ping")
        .args(arguments)
        .args([
            "-w",
            &DEADLINE_S.to_string(),
            "-c",
            &count.to_string(),
            "-s",
            &size.to_string(),
            &to.to_string(),
        ])
        .output()
        .expect("iputils-ping is installed");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if is_complete(&said, count) { Ok(()) } else { Err(said) }
}

/// Whether at least `count` answers came, each once, and none is missing. With a deadline ping goes on asking until it has as many answers as it should:
/// where answers take longer than the time between two requests, there are requests that are still under way.
fn is_complete(said: &str, count: usize) -> bool {
    let number =
        |after: &str| said.split(after).next()?.split_whitespace().next_back()?.parse::<usize>().ok();
    let slowest_ms =
        said.split("mdev = ").nth(1).and_then(|times| times.split('/').nth(2)?.parse::<f64>().ok());
    let (Some(sent), Some(received)) = (number(" packets transmitted"), number(" received")) else {
        return false;
    };
    let under_way = slowest_ms.map_or(0.0, |slowest| (slowest / INTERVAL_MS).floor()) as usize;
    let is_clean = !said.contains("duplicates") && !said.contains("errors");
    is_clean && received >= count && sent >= received && sent - received <= under_way
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_answers_are_none_that_are_missing() {
        let said = |sent: u32, rest: &str, max: &str| {
            format!(
                "{sent} packets transmitted, 3 received,{rest} time 3ms\nrtt min/avg/max/mdev = 0.1/0.2/{max}/0.1 ms\n"
            )
        };
        assert!(is_complete(&said(3, " 0% packet loss,", "0.3"), 3));
        assert!(is_complete(&said(5, " 40% packet loss,", "21.9"), 3));
        assert!(!is_complete(&said(4, " 25% packet loss,", "0.3"), 3));
        assert!(!is_complete(&said(3, " +1 duplicates, 0% packet loss,", "0.3"), 3));
        assert!(!is_complete(&said(3, " 0% packet loss,", "0.3"), 4));
        assert!(!is_complete("ping: connect: Network is unreachable", 1));
    }
}
