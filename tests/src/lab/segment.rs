//! A network outside the switch, behind one of its ports: what an uplink looks like from the switch.

use std::sync::Arc;

use crate::lab::{Host, Lab, PortOptions};
use crate::namespace::Namespace;

/// A Linux bridge in a namespace of its own, with hosts at it and one link to the switch.
#[derive(Debug)]
pub struct Segment {
    /// Name of the switch's port to it.
    pub port: String,
    namespace: Arc<Namespace>,
}

impl Lab {
    /// Puts hosts at an outer segment and makes the link to it a port of the switch.
    ///
    /// # Panics
    /// When a host already has a link.
    #[track_caller]
    pub fn segment(&mut self, name: &str, hosts: &[&Host], options: PortOptions) -> Segment {
        let namespace = Arc::new(Namespace::create(&format!("{}-{name}", self.name)));
        namespace.ip(&["link add name br0 type bridge stp_state 0 mcast_snooping 0"]);
        namespace.sysctl("ipv6/conf/all/disable_ipv6", "1");
        namespace.sysctl("ipv6/conf/default/disable_ipv6", "1");
        namespace.ip(&["link set dev br0 up"]);
        for host in hosts {
            assert_eq!(host.count_link(), 0, "{} is connected already", host.name());
            let (near, there) = (host.name(), host.namespace().name());
            namespace.ip(&[
                format!("link add name p-{near} type veth peer name eth0 netns {there}"),
                format!("link set dev p-{near} master br0 up"),
            ]);
            host.set_up("eth0");
        }
        let (port, there) = (format!("{name}0"), self.switch_ns.name());
        namespace.ip(&[
            format!("link add name uplink type veth peer name {port} netns {there}"),
            "link set dev uplink master br0 up".to_owned(),
        ]);
        self.add_port(&port, options);
        self.segments.push(namespace.clone());
        Segment { port, namespace }
    }
}

impl Segment {
    /// The namespace of its bridge.
    #[must_use]
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }
}
