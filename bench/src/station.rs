//! A host of the bench: a namespace, one veth to the switch, IPv4 only so that nobody speaks unasked.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;

use vswitch_common::mac::MacAddr;
use vswitch_tests::namespace::Namespace;
use vswitch_tests::wait::{SOON, until};

/// The link inside.
pub(crate) const LINK: &str = "eth0";

/// A host.
pub(crate) struct Station {
    /// Its namespace.
    pub(crate) namespace: Arc<Namespace>,
    /// Name of its link's other end, in the switch's namespace.
    pub(crate) port: String,
    /// Its address, 10.77.0.n.
    pub(crate) ip: Ipv4Addr,
    /// Its link's address.
    pub(crate) mac: MacAddr,
}

impl Station {
    /// In a namespace of its own, not connected yet.
    pub(crate) fn create(lab: &str, name: &str, number: u8) -> Self {
        let namespace = Arc::new(Namespace::create(&format!("{lab}-{name}")));
        namespace.sysctl("ipv6/conf/all/disable_ipv6", "1");
        namespace.sysctl("ipv6/conf/default/disable_ipv6", "1");
        Self {
            namespace,
            port: name.to_owned(),
            ip: Ipv4Addr::new(10, 77, 0, number),
            mac: MacAddr::from_octets([2, 0x77, 0, 0, 0, number]),
        }
    }

    /// A veth pair, as a container engine makes it, to a link of another namespace. Its own end is up.
    pub(crate) fn connect(&self, there: &Namespace, link: &str) {
        let here = self.namespace.name();
        there.ip(&[format!("link add name {link} type veth peer name {LINK} netns {here}")]);
        self.set_up();
    }

    /// Address and state of its own end.
    pub(crate) fn set_up(&self) {
        let Self { ip, mac, .. } = self;
        self.namespace.ip(&[
            format!("link set dev {LINK} address {mac} up"),
            format!("addr add {ip}/24 brd + dev {LINK}"),
        ]);
    }

    /// A command that runs inside, on one CPU.
    pub(crate) fn command_on(&self, cpu: usize, program: &str) -> Command {
        let mut command = self.namespace.command("taskset");
        command.args(["--cpu-list", &cpu.to_string(), program]);
        command
    }

    /// Waits until another one answers: then both are learned and resolved.
    ///
    /// # Panics
    /// When it does not.
    pub(crate) fn wait_for(&self, other: Ipv4Addr) {
        until(&format!("an answer of {other} to {}", self.ip), SOON * 3, || {
            let mut ping = self.namespace.command("ping");
            ping.args(["-n", "-q", "-c", "1", "-W", "1", &other.to_string()]);
            let answered = ping.output().is_ok_and(|output| output.status.success());
            answered.then_some(())
        });
    }
}
