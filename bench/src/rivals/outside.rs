//! What lies beyond the gateway: a host in another subnet, to which the switch's namespace has a link of its own.

use std::net::Ipv4Addr;
use std::sync::Arc;

use vswitch_tests::namespace::Namespace;

use crate::station::{LINK, Station};

/// The switch's namespace as seen from outside, where ports are published.
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The host outside.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// A host outside.
pub(crate) struct Outside {
    /// Its namespace and address.
    pub(crate) station: Station,
    /// Its address.
    pub(crate) ip: Ipv4Addr,
    /// Where it finds published ports.
    pub(crate) published_at: Ipv4Addr,
}

impl Outside {
    /// Connected to the switch's namespace, which routes.
    pub(super) fn create(lab: &str, switch_ns: &Arc<Namespace>) -> Self {
        let mut station = Station::create(lab, "o", 250);
        station.ip = OUTSIDE;
        station.connect(switch_ns, "uplink");
        switch_ns.sysctl("ipv4/ip_forward", "1");
        switch_ns.ip(&[
            format!("addr add {HOST}/24 dev uplink"),
            "link set dev uplink up".to_owned(),
            format!("route add default via {OUTSIDE}"),
        ]);
        debug_assert!(station.namespace.has_link(LINK), "it was just made");
        Self { station, ip: OUTSIDE, published_at: HOST }
    }
}
