//! Where the way out of the host is, and how answers to `::1` find it.

use std::io;
use std::net::Ipv6Addr;

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};

use super::{LinkIndex, Netlink, NetlinkError};

/// `RT_TABLE_LOCAL` of `linux/rtnetlink.h`.
const TABLE_LOCAL: u8 = 255;

/// The metric of routes to `::1` by a link is this and the link's index: none counts before the loopback's own, 0.
const LOOPBACK_METRIC: u32 = 1_024;

/// A default route of the main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRoute {
    /// The link out.
    pub link: LinkIndex,
    /// For IPv6; else for IPv4.
    pub is_ipv6: bool,
    /// Learned from a router advertisement.
    pub is_advertised: bool,
    /// Its metric: the lowest counts.
    pub metric: u32,
}

impl Netlink {
    /// The default routes of the main table: IPv4 before IPv6, and of each those first that count.
    ///
    /// # Errors
    /// [`NetlinkError::List`].
    pub async fn default_routes(&self) -> Result<Vec<DefaultRoute>, NetlinkError> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut question = RouteMessage::default();
            question.header.address_family = family;
            let answers = self
                .ask_dump(RouteNetlinkMessage::GetRoute(question))
                .await
                .map_err(|source| NetlinkError::List { source })?;
            let mut found: Vec<_> = answers.iter().filter_map(default_route).collect();
            found.sort_by_key(|route| route.metric);
            routes.extend(found);
        }
        Ok(routes)
    }

    /// Has what comes in by a link for `::1` delivered to the host, which the kernel else does for the loopback alone
    /// (`rt6_need_strict` of net/ipv6/route.c). That can only be an answer whose address conntrack put back: a packet that
    /// arrives with `::1` is dropped before (`ip6_rcv_core`). A link that has the route is fine.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
    pub async fn deliver_to_loopback6(&self, index: LinkIndex) -> Result<(), NetlinkError> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet6;
        message.header.destination_prefix_length = 128;
        message.header.table = TABLE_LOCAL;
        message.header.protocol = RouteProtocol::Static;
        message.header.kind = RouteType::Local;
        message.attributes = vec![
            RouteAttribute::Destination(RouteAddress::Inet6(Ipv6Addr::LOCALHOST)),
            RouteAttribute::Oif(index.0),
            RouteAttribute::Priority(LOOPBACK_METRIC.saturating_add(index.0)),
        ];
        match self.ask_ack_with(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL).await {
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done.map_err(|source| NetlinkError::of_link("route ::1 to", index, source)),
        }
    }
}

fn default_route(answer: &RouteNetlinkMessage) -> Option<DefaultRoute> {
    let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
    let RouteHeader { destination_prefix_length, table, protocol, kind, address_family, .. } = message.header;
    if destination_prefix_length != 0 || table != RouteHeader::RT_TABLE_MAIN || kind != RouteType::Unicast {
        return None;
    }
    let (mut link, mut metric) = (None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => link = Some(LinkIndex(*index)),
            RouteAttribute::Priority(priority) => metric = *priority,
            // Of several ways at once, the first stands for all.
            RouteAttribute::MultiPath(hops) => {
                link = hops.first().map(|hop| LinkIndex(hop.interface_index));
            }
            _ => {}
        }
    }
    Some(DefaultRoute {
        link: link?,
        is_ipv6: address_family == AddressFamily::Inet6,
        is_advertised: protocol == RouteProtocol::Ra,
        metric,
    })
}

#[cfg(test)]
mod tests {
    use crate::netlink::scratch::{Scratch, index};

    #[test]
    fn answers_to_loopback_are_delivered_by_each_link_and_others_by_the_loopback() {
        let Some(ns) = Scratch::new() else { return };
        ns.ip("link set dev lo up");
        for link in ["ha", "hb"] {
            ns.ip(&format!("link add {link} type veth peer name {link}-far"));
            ns.ip(&format!("link set dev {link}-far up"));
            ns.ip(&format!("link set dev {link} up"));
        }
        ns.block_on(async |netlink| {
            for link in ["ha", "hb", "ha"] {
                netlink.deliver_to_loopback6(index(&netlink, link).await).await.unwrap();
            }
        });
        let routes = ns.ip("-6 route show table local to ::1");
        for link in ["lo", "ha", "hb"] {
            assert_eq!(routes.matches(&format!("local ::1 dev {link} ")).count(), 1, "{routes}");
        }
        assert!(ns.ip("-6 route get ::1").contains("dev lo "));
    }

    #[test]
    fn the_default_route_that_counts_comes_first() {
        let Some(ns) = Scratch::new() else { return };
        for (number, link) in [(1, "ha"), (2, "hb")] {
            ns.ip(&format!("link add {link} type veth peer name {link}-far"));
            ns.ip(&format!("link set dev {link}-far up"));
            ns.ip(&format!("link set dev {link} up"));
            ns.ip(&format!("addr add 10.{number}.0.2/24 dev {link}"));
        }
        ns.block_on(async |netlink| assert_eq!(netlink.default_routes().await.unwrap(), []));
        ns.ip("route add default via 10.1.0.1 metric 200");
        ns.ip("route add default via 10.2.0.1 metric 100");
        ns.ip("-6 route add default dev ha proto ra");
        ns.block_on(async |netlink| {
            let (ha, hb) = (index(&netlink, "ha").await, index(&netlink, "hb").await);
            let routes = netlink.default_routes().await.unwrap();
            assert_eq!(routes.iter().map(|route| route.link).collect::<Vec<_>>(), [hb, ha, ha]);
            assert_eq!(routes.iter().map(|r| r.is_advertised).collect::<Vec<_>>(), [false, false, true]);
        });
    }
}
