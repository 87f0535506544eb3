//! The addresses of a link, for telling who is behind it and whether somebody uses it.

use std::net::IpAddr;

use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};

use super::{LinkIndex, Netlink, NetlinkError};

/// An address of a link with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkAddress {
    /// The address of the host itself.
    pub address: IpAddr,
    /// Bits of the network part, 0 to 32 or 128.
    pub prefix_len: u8,
}

impl Netlink {
    /// The IPv4 and IPv6 addresses of a link that somebody gave it: all but IPv6 link-local ones (RFC 4291 section
    /// 2.5.6), which every link makes for itself.
    ///
    /// # Errors
    /// [`NetlinkError::Link`]; a link that does not exist has no addresses.
    pub async fn addresses(&self, index: LinkIndex) -> Result<Vec<LinkAddress>, NetlinkError> {
        let answers = self
            .ask_dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))
            .await
            .map_err(|source| NetlinkError::of_link("list the addresses of", index, source))?;
        Ok(answers
            .iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewAddress(message) if message.header.index == index.0 => given(message),
                _ => None,
            })
            .collect())
    }
}

fn given(message: &AddressMessage) -> Option<LinkAddress> {
    // On point-to-point links IFA_ADDRESS is the far end; IFA_LOCAL, where there is one, is always ours.
    let mut own = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => own = Some(*address),
            AddressAttribute::Address(address) => own = own.or(Some(*address)),
            _ => {}
        }
    }
    let address = own?;
    let is_link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    (!is_link_local).then_some(LinkAddress { address, prefix_len: message.header.prefix_len })
}
