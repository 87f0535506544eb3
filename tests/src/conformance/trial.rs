//! Where rows run: a switch and three silent stations for a whole column, and for each row a network of its own.

use std::thread::sleep;
use std::time::{Duration, Instant};

use vswitch_common::mac::MacAddr;

use super::{Answer, Candidate, Finding, ensure};
use crate::frame;
use crate::lab::{Host, HostOptions, Lab, PortOptions};
use crate::sniff::Sniffer;
use crate::switch::NetworkOptions;
use crate::wait::{SOON, poll};

/// Stations of an arena.
const STATIONS: usize = 4;

/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(120);

/// How long a frame of a rival's is waited for: it may never come, and that is no fault of the table's.
const RIVALS_TIME: Duration = Duration::from_secs(1);

/// MTU of a new veth.
const PLAIN_MTU: u32 = 1500;

struct Station {
    host: Host,
    port: String,
    heard: Sniffer,
}

/// A candidate and stations with links that are no ports yet.
pub struct Arena {
    stations: Vec<Station>,
    candidate: Candidate,
    rounds: u32,
    next_mark: u64,
    lab: Lab,
}

impl Arena {
    /// Starts the candidate.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn open(candidate: Candidate) -> Self {
        let mut lab = Lab::with("conformance", candidate.rival(), candidate.hooks());
        // A link between two rows is up and no port: it must be silent.
        lab.switch_ns().sysctl("ipv6/conf/default/disable_ipv6", "1");
        let hosts = lab.hosts("s", STATIONS, &HostOptions::bare());
        let stations = hosts.into_iter().map(|host| {
            let port = lab.wire(&host).port;
            lab.switch_ns().ip(&[format!("link set dev {port} up")]);
            Station { heard: host.sniff(), host, port }
        });
        let stations = stations.collect();
        Self { stations, candidate, rounds: 0, next_mark: 1, lab }
    }

    /// The next row's trial.
    pub fn trial(&mut self) -> Trial<'_> {
        self.rounds += 1;
        let network = format!("row{}", self.rounds);
        Trial { arena: self, network, is_made: false, ports: 0, resized: Vec::new() }
    }
}

/// One row's network and ports; they go away with it.
pub struct Trial<'a> {
    arena: &'a mut Arena,
    network: String,
    is_made: bool,
    ports: usize,
    resized: Vec<usize>,
}

/// A frame, where it is sent, and what should arrive where.
pub struct Case {
    what: &'static str,
    from: usize,
    sent: Vec<u8>,
    expected: Vec<(usize, Vec<u8>)>,
}

impl Case {
    /// A frame that should arrive in some form at some stations.
    #[must_use]
    pub fn new(what: &'static str, from: usize, sent: &[u8], expected: &[(usize, &[u8])]) -> Self {
        let mut expected: Vec<_> = expected.iter().map(|(at, frame)| (*at, frame.to_vec())).collect();
        expected.sort();
        Self { what, from, sent: sent.to_vec(), expected }
    }

    /// One that should arrive as it is.
    #[must_use]
    pub fn unchanged(what: &'static str, from: usize, sent: &[u8], to: &[usize]) -> Self {
        Self::new(what, from, sent, &to.iter().map(|at| (*at, sent)).collect::<Vec<_>>())
    }
}

impl Trial<'_> {
    /// Makes the network, and the first stations' links its ports.
    ///
    /// # Errors
    /// What the candidate cannot do.
    pub fn connect(&mut self, options: &NetworkOptions, ports: Vec<PortOptions>) -> Answer {
        let made = self.arena.lab.subject().try_create_network(&self.network, options);
        made.map_err(Finding::Lacks)?;
        self.is_made = true;
        for options in ports {
            let options = PortOptions { network: Some(self.network.clone()), ..options };
            let link = self.arena.stations[self.ports].port.clone();
            self.arena.lab.try_add_port(&link, options).map_err(Finding::Lacks)?;
            self.ports += 1;
        }
        self.clear();
        Ok(())
    }

    /// A plain network with so many plain ports.
    ///
    /// # Errors
    /// As [`Trial::connect`].
    pub fn plain(&mut self, ports: usize) -> Answer {
        self.connect(&NetworkOptions::default(), vec![PortOptions::default(); ports])
    }

    /// A VLAN-aware network.
    ///
    /// # Errors
    /// As [`Trial::connect`].
    pub fn vlans(&mut self, ports: Vec<PortOptions>) -> Answer {
        self.connect(&NetworkOptions { vlan_aware: true, ..NetworkOptions::default() }, ports)
    }

    /// Gives both ends of a station's link another MTU; before [`Trial::connect`].
    pub fn resize(&mut self, number: usize, mtu: u32) {
        self.resized.push(number);
        self.set_mtu(number, mtu);
    }

    fn set_mtu(&self, number: usize, mtu: u32) {
        self.host(number).namespace().ip(&[format!("link set dev eth0 mtu {mtu}")]);
        self.arena.lab.switch_ns().ip(&[format!("link set dev {} mtu {mtu}", self.port(number))]);
    }

    /// Which switch this is.
    #[must_use]
    pub fn candidate(&self) -> Candidate {
        self.arena.candidate
    }

    /// The lab, for what only some candidates have.
    pub fn lab(&mut self) -> &mut Lab {
        &mut self.arena.lab
    }

    /// Name of the row's network.
    #[must_use]
    pub fn network(&self) -> String {
        self.network.clone()
    }

    /// Name of a station's port.
    #[must_use]
    pub fn port(&self, number: usize) -> String {
        self.arena.stations[number].port.clone()
    }

    /// A station's host.
    #[must_use]
    pub fn host(&self, number: usize) -> &Host {
        &self.arena.stations[number].host
    }

    /// A station's MAC.
    #[must_use]
    pub fn mac(&self, number: usize) -> MacAddr {
        self.host(number).mac()
    }

    /// A shortest frame from any address, known again by a mark that no other has.
    pub fn frame_of(&mut self, from: MacAddr, to: MacAddr) -> Vec<u8> {
        frame::marked(to, from, self.mark())
    }

    /// A number that no other frame has.
    pub fn mark(&mut self) -> u64 {
        self.arena.next_mark += 1;
        self.arena.next_mark
    }

    /// One from a station.
    pub fn frame(&mut self, from: usize, to: MacAddr) -> Vec<u8> {
        self.frame_of(self.mac(from), to)
    }

    /// One from a station to all.
    pub fn broadcast(&mut self, from: usize) -> Vec<u8> {
        self.frame(from, MacAddr::BROADCAST)
    }

    /// A full frame of an MTU, from a station.
    pub fn long(&mut self, from: usize, to: MacAddr, mtu: usize) -> Vec<u8> {
        let (mark, length) = (self.mark(), frame::HEADER + mtu);
        frame::marked_as(to, self.mac(from), frame::EXPERIMENTAL, mark, length)
    }

    /// How long a frame that should come is waited for.
    fn patience(&self) -> Duration {
        if self.candidate().is_vswitch() { SOON } else { RIVALS_TIME }
    }

    /// Forgets what was heard.
    pub fn clear(&self) {
        self.arena.stations.iter().for_each(|station| station.heard.clear());
    }

    /// How many received frames that `filter` takes each station with a port has heard so far.
    pub fn counts(&self, filter: impl Fn(&[u8]) -> bool) -> Vec<usize> {
        let ports = self.arena.stations[..self.ports].iter();
        ports.map(|station| station.heard.received(&filter).len()).collect()
    }

    /// Waits for frames that `filter` takes, so many at each station with a port, and no more.
    ///
    /// # Errors
    /// What was heard instead.
    pub fn hear(&self, what: &str, filter: impl Fn(&[u8]) -> bool, expected: &[usize]) -> Answer {
        let has_come = || self.counts(&filter).iter().zip(expected).all(|(is, wanted)| is >= wanted);
        poll(self.patience(), || has_come().then_some(()));
        sleep(QUIET);
        let counts = self.counts(&filter);
        ensure(counts == expected, || format!("{what}: {} instead of {}", each(&counts), each(expected)))
    }

    /// The first received frame at a station that `filter` takes.
    pub fn first(&self, number: usize, filter: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let found = self.arena.stations[number].heard.received(filter);
        found.into_iter().next().map(|captured| captured.frame)
    }

    /// All received frames at a station that `filter` takes, in order.
    pub fn all(&self, number: usize, filter: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let found = self.arena.stations[number].heard.received(filter);
        found.into_iter().map(|captured| captured.frame).collect()
    }

    /// Sends frames in order, from one station after the other, and looks what arrives.
    ///
    /// # Errors
    /// The first that went another way.
    pub fn check(&self, cases: &[Case]) -> Answer {
        for case in cases {
            self.host(case.from).inject(&case.sent);
            // What is learned from one frame counts for the next: they must not overtake each other.
            let wanted = case.expected.len();
            poll(self.patience(), || (self.arrived(&case.sent).len() >= wanted).then_some(()));
            if wanted == 0 {
                sleep(QUIET / 4);
            }
        }
        sleep(QUIET);
        for case in cases {
            let arrived = self.arrived(&case.sent);
            let places =
                |frames: &[(usize, Vec<u8>)]| frames.iter().map(|(at, _)| *at).collect::<Vec<usize>>();
            let (is, wanted) = (places(&arrived), places(&case.expected));
            ensure(is == wanted, || {
                format!("{}: reached {} instead of {}", case.what, list(&is), list(&wanted))
            })?;
            let changed = arrived.iter().zip(&case.expected).find(|(is, wanted)| is != wanted);
            if let Some(((at, is), (_, wanted))) = changed {
                return Err(Finding::Differs(format!(
                    "{}: at {} {} instead of {}",
                    case.what,
                    letter(*at),
                    head(is),
                    head(wanted)
                )));
            }
        }
        Ok(())
    }

    fn arrived(&self, sent: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let mark = frame::mark_of(sent).expect("the frame has a mark");
        let ports = self.arena.stations[..self.ports].iter().enumerate();
        let of = |(number, station): (usize, &Station)| {
            let heard = station.heard.received(frame::has_mark(mark));
            heard.into_iter().map(move |captured| (number, captured.frame)).collect::<Vec<_>>()
        };
        let mut arrived: Vec<_> = ports.flat_map(of).collect();
        arrived.sort();
        arrived
    }

    /// Waits until `time` after `start`.
    pub fn wait_until(&self, start: Instant, time: Duration) {
        sleep(time.saturating_sub(start.elapsed()));
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for number in 0..self.ports {
            let port = self.port(number);
            self.arena.lab.subject().delete_port(&port);
        }
        if self.is_made {
            self.arena.lab.subject().delete_network(&self.network);
        }
        for number in std::mem::take(&mut self.resized) {
            self.set_mtu(number, PLAIN_MTU);
        }
    }
}

/// Stations are called a, b, c, d to a reader.
fn letter(number: usize) -> char {
    char::from(b'a' + u8::try_from(number).expect("few stations"))
}

fn list(numbers: &[usize]) -> String {
    if numbers.is_empty() {
        return "nobody".to_owned();
    }
    numbers.iter().map(|number| letter(*number).to_string()).collect::<Vec<_>>().join(" ")
}

fn each(counts: &[usize]) -> String {
    let one = |(number, count): (usize, &usize)| format!("{} {count}", letter(number));
    counts.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

/// What a frame begins with, as far as switches change it.
fn head(frame: &[u8]) -> String {
    let tag = |at: usize| {
        let word = |at: usize| frame.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
        let (tpid, tci) = (word(at)?, word(at + 2)?);
        [frame::DOT1Q, frame::DOT1AD].contains(&tpid).then(|| format!("tag {tpid:04x} {tci:04x}"))
    };
    match (tag(12), tag(16)) {
        (None, _) => format!("untagged, {} octets", frame.len()),
        (Some(outer), None) => outer,
        (Some(outer), Some(inner)) => format!("{outer}, {inner}"),
    }
}
