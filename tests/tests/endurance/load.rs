//! The control path flooded from every side: by containers (ARP), and by whoever may connect to the control socket. Memory is
//! bounded, the data path takes no notice, and `port show` is answered in time.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use vswitch_tests::bpf::{Emitter, Vary};
use vswitch_tests::prelude::*;
use vswitch_tests::traffic::Probe;

use crate::churn::{request, size};
use crate::docker0;
use crate::pipelined::{PIPELINED, Pipelined};
use crate::rival;
use crate::row::{Row, count};

/// What is promised of 99 of 100 looks at the ports, and what a machine that others load adds to it.
const PROMISED: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_millis(500);
/// Frames of a storm at a time.
const BURST: u32 = 65_536;
/// Addresses that are asked for between two bursts.
const MANY: u32 = 2_048;
/// Clients of a flood of requests; the first sends bodies.
const FLOODERS: usize = 5;
/// Memory that all of this may take, in KiB.
const MEMORY_KIB: u64 = 48 * 1024;

/// 99th of 100 times that `port show` takes as the API serves it, over about `for_ms`.
fn p99(socket: &Path, for_ms: u64) -> Duration {
    p99_of(socket, "/v1/ports", for_ms)
}

/// 99th of 100 times that a GET takes.
pub(crate) fn p99_of(socket: &Path, target: &str, for_ms: u64) -> Duration {
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_millis(for_ms) || times.len() < 100 {
        let asked = Instant::now();
        assert_eq!(request(socket, "GET", target, "").ok(), Some(200));
        times.push(asked.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    times.sort();
    times[times.len() * 99 / 100 - 1]
}

struct Loaded {
    lab: Lab,
    hosts: Vec<Host>,
    socket: PathBuf,
    quiet: Duration,
    memory: u64,
}

impl Loaded {
    fn new(title: &str) -> Option<Self> {
        let mut lab = Hooks::Tc.vswitch_lab(title)?;
        let hosts = lab.hosts("h", 3, &HostOptions::ipv4_only());
        hosts.iter().for_each(|host| drop(lab.connect(host, PortOptions::default())));
        let socket = lab.switch().socket();
        let quiet = p99(&socket, 500);
        let memory = size(lab.switch().pid().expect("it runs")).0;
        Some(Self { lab, hosts, socket, quiet, memory })
    }

    /// Looks at the ports, with a probe beside, while `load` runs on as many threads as it says; what was lost, and how long the
    /// looks took.
    fn under(&self, threads: usize, load: impl Fn(usize, &AtomicBool) + Sync) -> String {
        let stop = AtomicBool::new(false);
        let probe = Probe::start(&self.hosts[0], &self.hosts[1], 500);
        let loaded = std::thread::scope(|scope| {
            for number in 0..threads {
                let (load, stop) = (&load, &stop);
                scope.spawn(move || load(number, stop));
            }
            let loaded = p99(&self.socket, 2_500);
            stop.store(true, Ordering::Relaxed);
            loaded
        });
        let report = probe.finish();
        report.assert_no_loss();
        let memory = size(self.lab.switch().pid().expect("it runs")).0;
        assert!(loaded <= LIMIT, "99 of 100 looks took up to {loaded:?}, quiet {:?}", self.quiet);
        let verdict = if loaded <= PROMISED { "" } else { ", over 50 on a busy machine" };
        assert!(memory <= self.memory + MEMORY_KIB, "memory went from {} to {memory} KiB", self.memory);
        format!(
            "0 of {} probes; `port show` p99 {:.1} ms{verdict} (quiet {:.1} ms); memory {} to {memory} KiB",
            report.sent,
            loaded.as_secs_f64() * 1e3,
            self.quiet.as_secs_f64() * 1e3,
            self.memory
        )
    }
}

#[test]
fn an_arp_storm_is_dropped_in_the_kernel_and_waited_for_by_nobody() {
    let Some(place) = Loaded::new("ARP storm") else { return };
    let sent = AtomicU64::new(0);
    let from = &place.hosts[2];
    let ask = |number: u32| {
        let nobody = Ipv4Addr::from(0x0a4d_6400 + number % 0x6000);
        frame::arp_request((from.mac(), from.ipv4()), nobody)
    };
    // Born as XDP: many times what a socket could send.
    let emitter = Emitter::new(from.namespace(), "eth0", Vary::Nothing).expect("the kernel runs live frames");
    let took_ns = AtomicU64::new(0);
    let storm = |_: usize, stop: &AtomicBool| {
        let begun = Instant::now();
        from.run(|| {
            let mut asked = 0;
            while !stop.load(Ordering::Relaxed) {
                // For thousands of addresses, and for one of them as fast as can be.
                from.inject_all(&(asked..asked + MANY).map(ask).collect::<Vec<_>>());
                emitter.emit(&ask(asked), BURST).expect("the kernel runs live frames");
                asked += MANY;
                sent.fetch_add((MANY + BURST).into(), Ordering::Relaxed);
            }
        });
        took_ns.store(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
    };
    let lost = place.under(1, storm);
    let rate = sent.load(Ordering::Relaxed) * 1_000_000 / took_ns.load(Ordering::Relaxed).max(1);
    let counters = place.lab.switch().counters("h30");
    let limited = counters.drops.get("arp-rate-limited").copied().unwrap_or(0);
    assert!(limited > 0, "the storm was no storm: {counters:?}");
    Row {
        fault: "a container that asks by ARP for thousands of addresses, as fast as XDP can",
        did: "256 questions a second of one port reach the controller, the rest is dropped in the kernel and counted",
        lost: format!("{lost}; {rate}k questions a second sent, {} came in, {limited} of them dropped", counters.rx_packets),
        bridge: &rival::arp_storm(),
    }
    .say();
}

#[test]
fn readers_that_do_not_read_and_connections_that_say_nothing_lock_nobody_out() {
    let Some(place) = Loaded::new("half-open") else { return };
    let socket = &place.socket;
    let mut readers = Vec::new();
    for _ in 0..16 {
        let mut reader = UnixStream::connect(socket).expect("the controller listens");
        reader.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").expect("the server reads");
        readers.push(reader);
    }
    // Connections that say nothing, or half a request, are made again as they are closed; and stations move about, for events.
    let silent = |number: usize, stop: &AtomicBool| {
        let mut open = std::collections::VecDeque::new();
        let mut turn = 0_u8;
        while !stop.load(Ordering::Relaxed) {
            if let Ok(mut stream) = UnixStream::connect(socket) {
                if number == 0 {
                    let _closed = stream
                        .write_all(b"POST /v1/ports HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{");
                }
                open.push_back(stream);
            }
            if open.len() > 150 {
                open.pop_front();
            }
            turn = turn.wrapping_add(1);
            let station = MacAddr::from_octets([2, 0, 0, 1, number as u8, turn]);
            place.hosts[2].inject(&frame::marked(MacAddr::BROADCAST, station, 1));
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let lost = place.under(2, silent);
    drop(readers);
    Row {
        fault: "300 half-open connections, and 16 readers of `monitor` that do not read",
        did: "the longest silent connection gives up its place to the next; slow readers lose events, and are told how many",
        lost,
        bridge: &docker0::half_open(),
    }
    .say();
}

#[test]
fn floods_of_requests_and_huge_bodies_are_bounded() {
    let Some(place) = Loaded::new("requests") else { return };
    let (asked, took_ms) = (AtomicU64::new(0), AtomicU64::new(0));
    let flood = |number: usize, stop: &AtomicBool| {
        let huge = format!(r#"{{"link":"{}"}}"#, "x".repeat(10 << 20));
        let mut client = Pipelined::connect(&place.socket);
        let begun = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            if number == 0 {
                // It is refused before it is read, and the connection closed in the middle of it.
                let answer = request(&place.socket, "POST", "/v1/ports", &huge).unwrap_or(413);
                assert_eq!(answer, 413);
                asked.fetch_add(1, Ordering::Relaxed);
            } else {
                client.ask(["/v1/stats", "/v1/ports"][number % 2]);
                asked.fetch_add(PIPELINED, Ordering::Relaxed);
            }
        }
        took_ms.fetch_max(begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    };
    let lost = place.under(FLOODERS, flood);
    let rate = asked.load(Ordering::Relaxed) * 1_000 / took_ms.load(Ordering::Relaxed).max(1);
    let least = count("VSWITCH_REQUESTS", 500);
    assert!(rate >= least, "{rate} requests a second, at least {least} should be answered");
    Row {
        fault: "requests as fast as five clients can, one of them with bodies of 10 MB",
        did: "bodies refused unread (413); the others, who keep their connections and send 32 requests at a time, answered in turn",
        lost: format!("{lost}; {rate} requests a second"),
        bridge: &docker0::floods(),
    }
    .say();
}
