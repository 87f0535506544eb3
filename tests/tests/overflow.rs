//! A million random sources in a minute: others' unicast stays theirs, and what that costs is bounded.
//!
//! `VSWITCH_OVERFLOW_SECONDS` asks for the whole minute; otherwise it is cut to a few seconds at the same rate.

use std::time::Instant;

use vswitch_tests::prelude::*;
use vswitch_tests::resources::{processor_time, resident_kib};
use vswitch_tests::traffic::Probe;

/// Random sources a second: a million in a minute.
const RATE: u32 = 16_667;

/// Seconds, unless more are asked for.
const SECONDS: u32 = 6;

/// Dynamic entries that the table holds by default.
const TABLE: usize = 65_536;

/// By how much the controller may grow, in KiB.
const MOST_GROWTH: u64 = 8 * 1024;

fn seconds() -> u32 {
    let said = std::env::var("VSWITCH_OVERFLOW_SECONDS").ok();
    said.map_or(SECONDS, |text| text.parse().expect("VSWITCH_OVERFLOW_SECONDS is a number"))
}

/// A source that nobody else has, and of which the next says nothing.
fn source(number: u32) -> MacAddr {
    MacAddr::from_bits(0x0200_0000_0000 | u64::from(number.wrapping_mul(0x9e37_79b1)) << 8 | 0x5a)
}

/// Half of the frames to a host that is there, half to nobody; ten runs a second.
fn storm(from: &Host, to: MacAddr, seconds: u32) -> u32 {
    let (start, run) = (Instant::now(), RATE / 10);
    for turn in 0..seconds * 10 {
        let frames: Vec<_> = (turn * run..(turn + 1) * run)
            .map(|n| frame::marked(if n % 2 == 0 { to } else { source(!n) }, source(n), 1 << 40))
            .collect();
        from.inject_all(&frames);
        std::thread::sleep((Duration::from_millis(100) * (turn + 1)).saturating_sub(start.elapsed()));
    }
    seconds * 10 * run
}

each_hook!(vswitch a_million_random_sources_take_nothing_from_anybody, |lab| {
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    let others = lab.hosts("o", 2, &HostOptions::bare());
    for host in hosts.iter().chain(&others) {
        lab.connect(host, PortOptions::default());
    }
    let [noisy, quiet] = &others[..] else { unreachable!("two were asked for") };
    ping(&hosts[0], &hosts[1], 56, 2);
    let overheard = quiet.sniff();
    let (memory, time, start) = (resident_kib(lab.switch()), processor_time(lab.switch()), Instant::now());
    let probe = Probe::start(&hosts[0], &hosts[1], 100);
    let sent = std::thread::scope(|scope| {
        // It keeps no frame of the storm longer than a moment, of which there will be a million.
        let storm = scope.spawn(|| storm(noisy, noisy.mac(), seconds()));
        let mut seen = 0;
        while !storm.is_finished() {
            let foreign = |frame: &[u8]| frame[12..14] == [8, 0];
            seen += overheard.received(foreign).len();
            overheard.clear();
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(seen, 0, "unicast between others was flooded");
        storm.join().expect("the storm blows over")
    });
    let lasted = start.elapsed();
    probe.finish().assert_no_loss();
    let grown = resident_kib(lab.switch()).saturating_sub(memory);
    let share = (processor_time(lab.switch()) - time).as_secs_f64() / lasted.as_secs_f64();
    let status = lab.switch().status();
    eprintln!(
        "{sent} sources in {lasted:?}: the controller took {:.1} % of a CPU and grew by {grown} KiB; {} entries, {} events lost",
        share * 100.0,
        status.fdb.entries,
        status.events_lost
    );
    assert!(grown < MOST_GROWTH, "the controller grew by {grown} KiB");
    assert!(share < 0.6, "the controller took {share} of a CPU");
    assert!(status.fdb.entries <= TABLE as u64);
    let entries = lab.switch().fdb_show(&[]);
    for host in &hosts {
        assert!(entries.iter().any(|entry| entry.mac == host.mac()), "{} was forgotten", host.name());
    }
});
