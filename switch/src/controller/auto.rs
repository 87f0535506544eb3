//! When a veth whose hook is the switch's choice changes it: a pure decision from what the port's counters show.
//!
//! Frames of kernel stacks are best at tc, and a port begins there. Frames that never were socket buffers (another
//! program's redirect, AF_XDP, DPDK) are best at XDP. A change takes some moments of clear traffic, ten without frames born as XDP lead
//! back, and each return makes the next change wait longer: what swings faster than that stays at tc.

use std::time::Duration;

use vswitch_common::stats::PortCounters;

/// Frames a second, in and out together, that are worth XDP.
const RATE_FOR_XDP: u64 = 2_000;
/// Frames a second below which a port counts as silent.
const RATE_SILENT: u64 = 200;
/// Percent of frames born as XDP from which XDP is better.
const SHARE_FOR_XDP: u64 = 90;
/// Percent below which tc is.
const SHARE_FOR_TC: u64 = 50;
/// Samples in a row that must speak for a change.
const CLEAR_SAMPLES: u32 = 3;
/// Samples without frames born as XDP, most of them silent, that lead back to tc.
const SILENT_SAMPLES: u32 = 10;
/// Least time between two samples.
const SAMPLE: Duration = Duration::from_millis(500);
/// How long after a return to tc the next change may come, at first; doubles with each return.
const WAIT_FIRST: Duration = Duration::from_secs(5);
/// And at most.
const WAIT_MOST: Duration = Duration::from_secs(300);
/// A port that stayed at a hook for so long waits as at first.
const CALM: Duration = Duration::from_secs(600);

/// What a port's counters were at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    at_ns: u64,
    packets: u64,
    born: u64,
}

/// What is remembered of one port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Watch {
    last: Option<Sample>,
    is_xdp: bool,
    /// What speaks for the hook as it is, where traffic once did.
    reason: Option<String>,
    clear: u32,
    silent: u32,
    changed_ns: u64,
    not_before_ns: u64,
    wait_ns: u64,
}

impl Watch {
    /// Why the port should be at XDP; none where it should not.
    pub(super) fn xdp_reason(&self) -> Option<&str> {
        self.reason.as_deref().filter(|_| self.is_xdp)
    }

    /// Why the port came back to tc, if it did.
    pub(super) fn tc_reason(&self) -> Option<&str> {
        self.reason.as_deref().filter(|_| !self.is_xdp)
    }

    /// Goes on where an earlier run had the port at XDP.
    pub(super) fn adopt(&mut self, reason: &str) {
        self.is_xdp = true;
        self.reason = Some(reason.to_owned());
    }

    /// Notes that the port could not go to XDP.
    pub(super) fn refuse(&mut self, now_ns: u64) {
        self.is_xdp = false;
        self.reason = None;
        self.hold(now_ns);
    }

    /// Looks at the counters; true when the other hook is due.
    pub(super) fn look(&mut self, counters: &PortCounters, now_ns: u64) -> bool {
        let packets = counters.rx_packets + counters.tx_packets;
        let now = Sample { at_ns: now_ns, packets, born: counters.born_packets };
        let Some(last) = self.last else {
            self.last = Some(now);
            return false;
        };
        let took_ns = now.at_ns.saturating_sub(last.at_ns);
        if took_ns < nanoseconds(SAMPLE) {
            return false;
        }
        self.last = Some(now);
        let frames = now.packets.saturating_sub(last.packets);
        let born = now.born.saturating_sub(last.born).min(frames);
        let rate = (u128::from(frames) * 1_000_000_000 / u128::from(took_ns)) as u64;
        let share = (born * 100).checked_div(frames).unwrap_or(0);
        if self.is_xdp { self.look_at_xdp(rate, share, now_ns) } else { self.look_at_tc(rate, share, now_ns) }
    }

    fn look_at_tc(&mut self, rate: u64, share: u64, now_ns: u64) -> bool {
        let is_clear = rate >= RATE_FOR_XDP && share >= SHARE_FOR_XDP;
        self.clear = if is_clear { self.clear + 1 } else { 0 };
        if self.clear < CLEAR_SAMPLES || now_ns < self.not_before_ns {
            return false;
        }
        self.change(true, format!("auto: {share} % of {rate} frames/s never were socket buffers"), now_ns);
        true
    }

    /// Only frames born as XDP speak for XDP: silence between a stack's bursts takes nothing back of what these have said.
    fn look_at_xdp(&mut self, rate: u64, share: u64, now_ns: u64) -> bool {
        if rate < RATE_SILENT {
            self.silent += 1;
        } else if share < SHARE_FOR_TC {
            self.clear += 1;
        } else {
            (self.clear, self.silent) = (0, 0);
        }
        let reason = if self.clear >= CLEAR_SAMPLES {
            format!("auto: back at tc, for {} % of {rate} frames/s are a kernel stack's", 100 - share)
        } else if self.silent + self.clear >= SILENT_SAMPLES {
            "auto: back at tc, for what needed XDP has ended".to_owned()
        } else {
            return false;
        };
        self.change(false, reason, now_ns);
        self.hold(now_ns);
        true
    }

    fn change(&mut self, to_xdp: bool, reason: String, now_ns: u64) {
        if now_ns.saturating_sub(self.changed_ns) > nanoseconds(CALM) {
            self.wait_ns = 0;
        }
        (self.is_xdp, self.reason) = (to_xdp, Some(reason));
        (self.clear, self.silent, self.changed_ns) = (0, 0, now_ns);
    }

    /// Makes the next change wait, each time longer.
    fn hold(&mut self, now_ns: u64) {
        self.wait_ns = (self.wait_ns * 2).clamp(nanoseconds(WAIT_FIRST), nanoseconds(WAIT_MOST));
        self.not_before_ns = now_ns.saturating_add(self.wait_ns);
        (self.clear, self.silent) = (0, 0);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port's traffic, second by second.
    struct Port {
        watch: Watch,
        counters: PortCounters,
        now_s: u64,
    }

    impl Port {
        fn new() -> Self {
            let mut port = Self { watch: Watch::default(), counters: PortCounters::ZERO, now_s: 1_000 };
            port.second(0, 0);
            port
        }

        /// Whether a second of this traffic makes it change.
        fn second(&mut self, frames: u64, born: u64) -> bool {
            self.now_s += 1;
            self.counters.rx_packets += frames;
            self.counters.born_packets += born;
            self.watch.look(&self.counters, self.now_s * 1_000_000_000)
        }

        fn seconds_until_change(&mut self, frames: u64, born: u64) -> Option<u64> {
            (1..=2_000).find(|_| self.second(frames, born))
        }
    }

    #[test]
    fn frames_born_as_xdp_lead_to_xdp_and_a_stacks_lead_back() {
        let mut port = Port::new();
        assert_eq!(port.seconds_until_change(400_000, 399_000), Some(3));
        assert!(port.watch.xdp_reason().is_some_and(|why| why.contains("99 % of 400000")));
        assert_eq!(port.seconds_until_change(50_000, 100), Some(3));
        assert!(port.watch.tc_reason().is_some_and(|why| why.contains("100 % of 50000")));
    }

    #[test]
    fn silence_leads_back_later() {
        let mut port = Port::new();
        port.seconds_until_change(400_000, 400_000);
        assert_eq!(port.seconds_until_change(10, 10), Some(10));
    }

    #[test]
    fn bursts_of_a_stack_lead_back_although_there_is_silence_between_them() {
        let mut port = Port::new();
        port.seconds_until_change(400_000, 400_000);
        // Never ten silent seconds, nor three of traffic in a row.
        let is_back = (0..10).find(|second| port.second(if second % 5 == 0 { 50_000 } else { 0 }, 0));
        assert_eq!(is_back, Some(9));
        let mut port = Port::new();
        port.seconds_until_change(400_000, 400_000);
        let traffic =
            [(50_000, 0), (0, 0), (50_000, 0), (400_000, 400_000), (50_000, 0), (0, 0), (50_000, 0)];
        assert!(
            !traffic.iter().any(|(frames, born)| port.second(*frames, *born)),
            "the born ones are still there"
        );
        assert!(port.second(50_000, 0));
    }

    #[test]
    fn little_or_mixed_traffic_changes_nothing() {
        let mut port = Port::new();
        assert_eq!(port.seconds_until_change(1_000, 1_000), None);
        assert_eq!(port.seconds_until_change(400_000, 300_000), None);
        for _ in 0..100 {
            assert!(!port.second(400_000, 400_000));
            assert!(!port.second(400_000, 400_000));
            assert!(!port.second(400_000, 0));
        }
    }

    #[test]
    fn each_return_makes_the_next_change_wait_longer() {
        let mut port = Port::new();
        let mut waits = Vec::new();
        for _ in 0..9 {
            waits.push(port.seconds_until_change(400_000, 400_000).expect("it changes"));
            port.seconds_until_change(400_000, 0).expect("and returns");
        }
        assert_eq!(waits, [3, 5, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn a_refused_change_is_tried_again_later() {
        let mut port = Port::new();
        port.seconds_until_change(400_000, 400_000);
        port.watch.refuse(port.now_s * 1_000_000_000);
        assert_eq!(port.watch.xdp_reason(), None);
        assert_eq!(port.seconds_until_change(400_000, 400_000), Some(5));
    }
}
