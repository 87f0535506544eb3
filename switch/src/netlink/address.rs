//! The addresses of a link: for telling who is behind it and whether somebody uses it, and for giving it one of ours.

use std::io;
use std::net::IpAddr;

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

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
    /// [`NetlinkError::List`]; a link that does not exist has no addresses.
    pub async fn addresses(&self, index: LinkIndex) -> Result<Vec<LinkAddress>, NetlinkError> {
        let strict = Self { handle: self.strict.clone(), ..self.clone() };
        let all = match strict.addresses_where(index).await {
            Err(NetlinkError::List { source }) if source.raw_os_error() == Some(libc::ENODEV) => Vec::new(),
            all => all?,
        };
        // An older kernel has listed those of every link.
        Ok(all.into_iter().filter(|(link, _)| *link == index).map(|(_, address)| address).collect())
    }

    /// The same of all links.
    ///
    /// # Errors
    /// [`NetlinkError::List`].
    pub async fn all_addresses(&self) -> Result<Vec<(LinkIndex, LinkAddress)>, NetlinkError> {
        self.addresses_where(LinkIndex(0)).await
    }

    async fn addresses_where(&self, index: LinkIndex) -> Result<Vec<(LinkIndex, LinkAddress)>, NetlinkError> {
        let mut wanted = AddressMessage::default();
        wanted.header.index = index.0;
        let answers = self
            .ask_dump(RouteNetlinkMessage::GetAddress(wanted))
            .await
            .map_err(|source| NetlinkError::List { source })?;
        let of_link = |answer: &RouteNetlinkMessage| match answer {
            RouteNetlinkMessage::NewAddress(message) => {
                given(message).map(|address| (LinkIndex(message.header.index), address))
            }
            _ => None,
        };
        Ok(answers.iter().filter_map(of_link).collect())
    }

    /// Gives a link an address, usable at once: nobody is asked whether they have it already. One that it has is fine.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
    pub async fn add_address(&self, index: LinkIndex, address: LinkAddress) -> Result<(), NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.index = index.0;
        message.header.prefix_len = address.prefix_len;
        message.attributes.push(AddressAttribute::Address(address.address));
        message.attributes.push(AddressAttribute::Local(address.address));
        match address.address {
            IpAddr::V4(_) => message.header.family = AddressFamily::Inet,
            IpAddr::V6(_) => {
                message.header.family = AddressFamily::Inet6;
                message.header.flags = AddressHeaderFlags::Nodad;
            }
        }
        match self.ask_ack_with(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL).await {
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done.map_err(|source| NetlinkError::of_link("give an address to", index, source)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::scratch::{Scratch, index};

    #[test]
    fn an_address_is_given_once_and_usable_at_once() {
        let Some(ns) = Scratch::new() else { return };
        ns.ip("link add ha type veth peer name hb");
        ns.ip("link set dev hb up");
        ns.ip("link set dev ha up");
        ns.block_on(async |netlink| {
            let link = index(&netlink, "ha").await;
            let v4 = LinkAddress { address: [10, 1, 0, 1].into(), prefix_len: 24 };
            let v6 = LinkAddress { address: "fd00:1::1".parse().unwrap(), prefix_len: 64 };
            for address in [v4, v6, v4, v6] {
                netlink.add_address(link, address).await.unwrap();
            }
            assert_eq!(netlink.addresses(link).await.unwrap(), [v4, v6]);
        });
        assert!(!ns.ip("addr show dev ha").contains("fd00:1::1/64 scope global tentative"));
    }
}
