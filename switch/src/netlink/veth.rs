//! Veth pairs that vswitch makes for itself, and their removal.
//!
//! Both ends begin in the namespace at hand, down and without IPv6: neither is a host on any network until its maker
//! says so, and a link that comes up with IPv6 speaks before anybody could stop it.

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};
use vswitch_common::mac::MacAddr;

use super::hostend::write_ipv6_disabled_here;
use super::{LinkIndex, Netlink, NetlinkError};

/// One end of a pair to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Its name.
    pub name: String,
    /// Its address; none is one of the kernel's choice.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes; none is 1500.
    pub mtu: Option<u32>,
}

impl End {
    fn describe<T>(&self, link: LinkMessageBuilder<T>) -> LinkMessageBuilder<T> {
        let link = link.name(self.name.clone());
        let link = match self.mac {
            Some(mac) => link.address(mac.octets().to_vec()),
            None => link,
        };
        match self.mtu {
            Some(mtu) => link.mtu(mtu),
            None => link,
        }
    }
}

/// Makes a pair and says the indices of `near` and `far`.
///
/// # Errors
/// [`NetlinkError::LinkExists`] when a name is taken, [`NetlinkError::Link`]; nothing is left of the pair then.
pub async fn create(
    netlink: &Netlink,
    near: &End,
    far: &End,
) -> Result<(LinkIndex, LinkIndex), NetlinkError> {
    let peer = far.describe(LinkMessageBuilder::<LinkUnspec>::new()).build();
    let mut message =
        near.describe(LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)).build();
    message.attributes.retain(|attribute| !matches!(attribute, LinkAttribute::LinkInfo(_)));
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    let id = super::LinkId::from(near.name.as_str());
    netlink.ask_ack_with(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL).await.map_err(
        |source| match source.raw_os_error() {
            Some(libc::EEXIST) => NetlinkError::LinkExists { links: format!("{}, {}", near.name, far.name) },
            _ => NetlinkError::of_link("make", id, source),
        },
    )?;
    match finish(netlink, near, far).await {
        Ok(indices) => Ok(indices),
        Err(error) => {
            if let Ok(link) = netlink.by_name(&near.name).await {
                let _gone = delete(netlink, link.index).await;
            }
            Err(error)
        }
    }
}

async fn finish(netlink: &Netlink, near: &End, far: &End) -> Result<(LinkIndex, LinkIndex), NetlinkError> {
    let names = [near.name.clone(), far.name.clone()];
    netlink
        .namespace()
        .run(move || names.iter().try_for_each(|name| write_ipv6_disabled_here(name, true)))
        .await??;
    Ok((netlink.by_name(&near.name).await?.index, netlink.by_name(&far.name).await?.index))
}

/// Deletes a link, and the other end of its pair with it; one that has gone is fine.
///
/// # Errors
/// [`NetlinkError::Link`].
pub async fn delete(netlink: &Netlink, index: LinkIndex) -> Result<(), NetlinkError> {
    let message = LinkUnspec::new_with_index(index.0).build();
    match netlink.ask_ack_with(RouteNetlinkMessage::DelLink(message), 0).await {
        Ok(()) => Ok(()),
        Err(source) => match NetlinkError::of_link("delete", index, source) {
            error if error.is_no_such_link() => Ok(()),
            error => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    fn end(name: &str) -> End {
        End { name: name.to_owned(), mac: None, mtu: Some(1400) }
    }

    #[test]
    fn a_pair_is_made_quiet_and_goes_whole() {
        let Some(scratch) = Scratch::new() else { return };
        let mac = MacAddr::from_octets([2, 0, 0, 0, 0, 9]);
        scratch.block_on(async move |netlink| {
            let near = End { mac: Some(mac), ..end("near") };
            let (a, b) = create(&netlink, &near, &end("far")).await.expect("made");
            let (a, b) = (netlink.by_index(a).await.expect("near"), netlink.by_index(b).await.expect("far"));
            assert_eq!((a.mac, a.mtu, b.mtu), (mac, 1400, 1400));
            assert_eq!(a.peer.map(|peer| peer.index), Some(b.index));
            netlink.set_up(a.index).await.expect("up");
            netlink.set_up(b.index).await.expect("up");
            assert!(!super::super::scratch::has_ipv6(&netlink, "near").await);
            let taken = create(&netlink, &end("far"), &end("other")).await.expect_err("the name is taken");
            assert!(taken.to_string().contains("far"), "{taken}");
            delete(&netlink, a.index).await.expect("deleted");
            delete(&netlink, a.index).await.expect("twice is fine");
            assert!(netlink.by_name("far").await.is_err_and(|e| e.is_no_such_link()));
        });
    }
}
