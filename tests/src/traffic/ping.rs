//! ICMP echo by iputils.

use std::net::IpAddr;

use crate::lab::Host;

/// Longest wait for all answers of one run, in seconds.
const DEADLINE_S: usize = 30;

/// Time between two requests, in seconds.
const INTERVAL_S: &str = "0.01";

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
    let arguments = ["-n", "-q", "-i", INTERVAL_S, "-W", "5"];
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
    let expected = format!("{count} packets transmitted, {count} received, 0% packet loss");
    if said.contains(&expected) { Ok(()) } else { Err(said) }
}
