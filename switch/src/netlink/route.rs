//! Where the way out of the host is.

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType};

use super::{LinkIndex, Netlink, NetlinkError};

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
