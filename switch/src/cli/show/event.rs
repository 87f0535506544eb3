//! Events: a line each, beginning with the time in UTC (RFC 3339).

use super::port::hook;
use super::printable;
use crate::api::types::{Event, EventKind};

/// One line.
pub(in crate::cli) fn event(event: &Event) -> String {
    let what = match &event.what {
        EventKind::Learned { mac, network, port } => format!("learned {mac} at {port} network {network}"),
        EventKind::Moved { mac, network, from, port } => {
            format!("moved {mac} from {from} to {port} network {network}")
        }
        EventKind::Aged { mac, network, port } => format!("aged {mac} at {port} network {network}"),
        EventKind::PortAdded { port } => format!("port added {port}"),
        EventKind::PortRemoved { port } => format!("port removed {port}"),
        EventKind::PortUp { port } => format!("port up {port}"),
        EventKind::PortDown { port } => format!("port down {port}"),
        EventKind::HookChanged { port, hook: now, reason } => {
            format!("hook changed {port} to {}: {reason}", hook(*now))
        }
        EventKind::Quarantined { port, seconds, reason, .. } => {
            format!("quarantined {port} for {seconds} s: {reason}")
        }
        EventKind::QuarantineEnded { port } => format!("quarantine of {port} ended"),
        EventKind::LimitReached { limit, port: None } => format!("limit reached {limit}"),
        EventKind::LimitReached { limit, port: Some(port) } => format!("limit reached {limit} at {port}"),
        EventKind::Mended { what, port: None } => format!("mended {what}"),
        EventKind::Mended { what, port: Some(port) } => format!("mended {what} of {port}"),
        EventKind::Lost { count } => format!("lost {count} events"),
    };
    format!("{} {}\n", utc(event.time_ms), printable(&what))
}

/// From milliseconds since the Unix epoch. The date counts 400-year eras of 146,097 days from 1 March of year 0, so that
/// the leap day is the last of its year.
fn utc(time_ms: u64) -> String {
    let (seconds, millis) = (time_ms / 1000, time_ms % 1000);
    let day = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_that_date_prints() {
        // date -u -d @SECONDS
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(951_827_696_789), "2000-02-29T12:34:56.789Z");
        assert_eq!(utc(1_735_689_599_999), "2024-12-31T23:59:59.999Z");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn an_event_is_one_line() {
        let mac = "02:42:ac:11:00:02".parse().expect("a MAC");
        let what = EventKind::Moved { mac, network: "blue".into(), from: "a".into(), port: "b\n".into() };
        assert_eq!(
            event(&Event { time_ms: 0, what }),
            "1970-01-01T00:00:00.000Z moved 02:42:ac:11:00:02 from a to b\u{fffd} network blue\n"
        );
    }
}
