//! The veth pairs behind the ports, and what arrives at their far ends.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use nix::net::if_::if_nametoindex;
use nix::unistd::write;
use vswitch_common::port::PortId;

use super::fixture::Fixture;
use crate::frame::insert_tag;
use crate::sys;
use crate::wait::{SOON, until};

/// MTU of the links: larger than any that a test gives a port, so that only the port's own limits.
pub const LINK_MTU: u32 = 9000;

/// A veth pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Index of the end that is a port's link.
    pub ifindex: u32,
    /// Index of the far end.
    pub peer: u32,
}

/// Makes so many in the calling thread's network namespace, up.
pub(super) fn make_links(count: u16) -> Vec<Link> {
    // Else the far ends would send frames of their own. A kernel without IPv6 has no such file.
    let _absent = fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    let _absent = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    let lines = (1..=count).map(|number| {
        format!(
            "link add p{number} mtu {LINK_MTU} up type veth peer name far{number} mtu {LINK_MTU}\n\
             link set far{number} up\n"
        )
    });
    ip(&lines.collect::<String>());
    until("carrier on all links", SOON, || all_carry().then_some(()));
    let index = |name: String| if_nametoindex(name.as_str()).expect("the link was just made");
    let link = |number| Link { ifindex: index(format!("p{number}")), peer: index(format!("far{number}")) };
    (1..=count).map(link).collect()
}

/// Runs iproute2 commands, one a line, in the calling thread's network namespace.
///
/// # Panics
/// When one fails.
pub(super) fn ip(lines: &str) {
    let mut batch = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("iproute2 is installed");
    batch.stdin.take().expect("stdin is piped").write_all(lines.as_bytes()).expect("ip reads its batch");
    assert!(batch.wait().expect("the child can be waited for").success(), "ip failed on\n{lines}");
}

/// Sends a frame from the far end of a link.
pub(super) fn inject(link: Link, frame: &[u8]) {
    let socket = sys::packet_socket(link.peer).expect("root has packet sockets");
    let sent = write(&socket, frame).expect("the far end is up");
    assert_eq!(sent, frame.len(), "the frame was cut");
}

/// Whether the kernel is done bringing the links up, which it does in the background: till then it drops what they are
/// given.
fn all_carry() -> bool {
    let shown = Command::new("ip").args(["-j", "link", "show", "type", "veth"]).output();
    let shown = shown.expect("iproute2 is installed");
    let links: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("ip -j prints JSON");
    let is_ready = |link: &serde_json::Value| link["operstate"] == "UP" && link["qdisc"] != "noop";
    links.as_array().expect("ip -j prints an array").iter().all(is_ready)
}

/// Hears what arrives at the far ends.
pub struct Listener {
    sockets: BTreeMap<PortId, OwnedFd>,
}

impl Listener {
    /// From now on, behind every port.
    ///
    /// # Panics
    /// Without packet sockets.
    #[must_use]
    pub fn start(fixture: &Fixture) -> Self {
        let socket = |port| sys::packet_socket(fixture.link(port).peer).expect("root has packet sockets");
        Self { sockets: fixture.ports().map(|port| (port, socket(port))).collect() }
    }

    /// The ports it listens behind.
    pub fn ports(&self) -> impl Iterator<Item = PortId> + use<'_> {
        self.sockets.keys().copied()
    }

    /// How often a frame arrived behind each port since the last call.
    #[must_use]
    pub fn count(&self, frame: &[u8]) -> BTreeMap<PortId, usize> {
        let count = |port: &PortId| self.heard(*port).iter().filter(|heard| *heard == frame).count();
        let counts = self.sockets.keys().map(|port| (*port, count(port)));
        counts.filter(|(_, count)| *count != 0).collect()
    }

    /// What arrived behind a port since the last call.
    ///
    /// # Panics
    /// When the fixture had no such port.
    #[must_use]
    pub fn heard(&self, port: PortId) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; LINK_MTU as usize + 64];
        let mut next = || {
            let received = sys::receive(&self.sockets[&port], &mut buffer).expect("the link is there")?;
            Some((received.outgoing, received.tag, buffer[..received.length].to_vec()))
        };
        let arrived = std::iter::from_fn(&mut next).filter(|(outgoing, ..)| !outgoing);
        arrived
            .map(|(_, tag, frame)| match tag {
                Some((tpid, tci)) => insert_tag(&frame, tpid, tci),
                None => frame,
            })
            .collect()
    }
}
