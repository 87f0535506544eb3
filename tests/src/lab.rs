//! The lab: one namespace for the switch, one for each host, and the links between them.
//!
//! A link is a veth pair as a container engine makes it, with default offloads and nothing prepared inside the host.
//! Its host end is called after the host and the link's number: the first link of host `a` is port `a0`.

mod host;
mod options;
mod segment;

pub use host::{Host, HostOptions};
pub use options::{Membership, PortOptions};
pub use segment::Segment;

use std::path::Path;
use std::sync::Arc;

use crate::hooks::Hooks;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::scratch::{Scratch, unique_name};
use crate::switch::{Rival, Subject, Switch};
use crate::tap::Tap;

/// A veth pair between a host and the switch's namespace.
#[derive(Debug, Clone)]
pub struct Wire {
    /// Name of the end in the switch's namespace: the port's name once it is a port.
    pub port: String,
    /// Name of the end in the host's namespace.
    pub link: String,
}

/// Hosts, links and the switch under test; all of it goes away on drop.
pub struct Lab {
    // Dropped in this order: the switch and the daemons leave before their namespaces and folders do.
    subject: Subject,
    daemons: Vec<Process>,
    hosts: Vec<Host>,
    segments: Vec<Arc<Namespace>>,
    ports: usize,
    hooks: Hooks,
    switch_ns: Arc<Namespace>,
    scratch: Arc<Scratch>,
    name: String,
}

impl Lab {
    /// A lab around the switch that `VSWITCH_LAB_RIVAL` names: `vswitch` (default) or `bridge`.
    ///
    /// # Panics
    /// When it cannot be built; then the message says what is missing.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self::with(title, Rival::from_environment(), Hooks::Auto)
    }

    /// A lab around a switch of choice, whose ports get their hooks from `hooks`.
    ///
    /// # Panics
    /// As [`Lab::new`].
    #[must_use]
    pub fn with(title: &str, rival: Rival, hooks: Hooks) -> Self {
        let name = unique_name();
        let scratch = Arc::new(Scratch::create(&name));
        let switch_ns = Arc::new(Namespace::create(&format!("{name}-switch")));
        // As on a container host: only then does "the host stack forwarded nothing" say anything.
        switch_ns.sysctl("ipv4/ip_forward", "1");
        eprintln!("lab {title}: {name}, {rival:?}, hooks {hooks:?}");
        let subject = Subject::start(rival, &switch_ns, &scratch);
        let (daemons, hosts, segments) = (Vec::new(), Vec::new(), Vec::new());
        Self { subject, daemons, hosts, segments, ports: 0, hooks, switch_ns, scratch, name }
    }

    /// The switch's namespace.
    #[must_use]
    pub fn switch_ns(&self) -> &Arc<Namespace> {
        &self.switch_ns
    }

    /// Which hooks its ports get.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        self.hooks
    }

    /// The switch under test.
    pub fn subject(&mut self) -> &mut Subject {
        &mut self.subject
    }

    /// The vswitch under test.
    ///
    /// # Panics
    /// When the lab is around a rival: the test should have asked for a vswitch.
    #[must_use]
    #[track_caller]
    pub fn switch(&self) -> &Switch {
        match &self.subject {
            Subject::Vswitch(switch) => switch,
            other => panic!("this test needs a vswitch, not {}", other.name()),
        }
    }

    /// As [`Lab::switch`], to stop and start it.
    ///
    /// # Panics
    /// As [`Lab::switch`].
    #[track_caller]
    pub fn switch_mut(&mut self) -> &mut Switch {
        match &mut self.subject {
            Subject::Vswitch(switch) => switch,
            other => panic!("this test needs a vswitch, not {}", other.name()),
        }
    }

    /// A host with IPv4 10.77.0.n, IPv6 fd77::n and a MAC that ends in n.
    pub fn host(&mut self, name: &str) -> Host {
        self.host_with(name, HostOptions::default())
    }

    /// A host that is set up as `options` say.
    ///
    /// # Panics
    /// With more than 250 hosts, or two of a name.
    #[track_caller]
    pub fn host_with(&mut self, name: &str, options: HostOptions) -> Host {
        assert!(self.hosts.iter().all(|host| host.name() != name), "there is a host {name} already");
        let number = u8::try_from(self.hosts.len() + 1).expect("a lab has at most 250 hosts");
        let host = Host::create(name, &format!("{}-{name}", self.name), number, options);
        self.hosts.push(host.clone());
        host
    }

    /// Several hosts named `PREFIX1`…, each with `options`.
    pub fn hosts(&mut self, prefix: &str, count: usize, options: &HostOptions) -> Vec<Host> {
        (1..=count).map(|n| self.host_with(&format!("{prefix}{n}"), options.clone())).collect()
    }

    /// Wires a host to the switch's namespace and makes the near end a port.
    ///
    /// Called a second time for a host, it gives the host a second link.
    #[track_caller]
    pub fn connect(&mut self, host: &Host, options: PortOptions) -> Wire {
        let wire = self.wire(host);
        self.add_port(&wire.port, options);
        wire
    }

    /// Only the veth pair: the near end is down and no port yet, the far end is up and has the host's addresses.
    pub fn wire(&mut self, host: &Host) -> Wire {
        let number = host.count_link();
        let wire = Wire { port: format!("{}{number}", host.name()), link: format!("eth{number}") };
        self.wire_as(host, &wire);
        wire
    }

    /// A host's second link, to a port of its own; without addresses.
    #[track_caller]
    pub fn second_link(&mut self, host: &Host, options: PortOptions) -> Wire {
        assert!(host.links() > 0, "connect {} first", host.name());
        self.connect(host, options)
    }

    /// Makes the veth pair again after it was deleted, under the same names.
    pub fn wire_as(&mut self, host: &Host, wire: &Wire) {
        let (near, far, there) = (&wire.port, &wire.link, host.namespace().name());
        self.switch_ns.ip(&[format!("link add name {near} type veth peer name {far} netns {there}")]);
        host.set_up(far);
    }

    /// Makes a link of the switch's namespace a port, with the hook that is due where `options` name none.
    #[track_caller]
    pub fn add_port(&mut self, link: &str, options: PortOptions) {
        self.try_add_port(link, options).unwrap_or_else(|said| panic!("port {link}: {said}"));
    }

    /// As [`Lab::add_port`].
    ///
    /// # Errors
    /// What the switch says that it cannot do.
    #[track_caller]
    pub fn try_add_port(&mut self, link: &str, mut options: PortOptions) -> Result<(), String> {
        options.hook = options.hook.or_else(|| self.hooks.of_port(self.ports));
        self.ports += 1;
        self.subject.try_add_port(link, &options)
    }

    /// A tap device as a port; the test is what is behind it.
    #[track_caller]
    pub fn tap(&mut self, name: &str, options: PortOptions) -> Tap {
        let tap = Tap::open(&self.switch_ns, name);
        self.add_port(name, options);
        tap
    }

    /// The lab's temporary folder.
    #[must_use]
    pub fn scratch(&self) -> &Arc<Scratch> {
        &self.scratch
    }

    /// Path of the log of a daemon or client called `name`.
    #[must_use]
    pub fn log_path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path(&format!("{name}.log"))
    }

    /// Starts a daemon in a host; it ends with the lab.
    pub fn daemon(&mut self, host: &Host, name: &str, arguments: &[&str]) -> &mut Process {
        let log = self.log_path(&format!("{}-{name}", host.name()));
        let process = Process::start(host.command(name).args(arguments), Path::new(&log));
        self.daemons.push(process);
        self.daemons.last_mut().expect("one was just pushed")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.subject.explain();
            for daemon in &self.daemons {
                eprintln!("--- a daemon said:\n{}", daemon.output());
            }
        }
    }
}
