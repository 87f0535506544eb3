use std::io;
use std::net::IpAddr;

use super::*;
use crate::netlink::scratch::{Scratch, index};

#[test]
fn a_link_is_described_as_it_is() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha index 41 mtu 1400 address 02:00:00:00:00:41 numrxqueues 3 type veth peer name hb index 42");
    ns.block_on(async |netlink| {
        let link = netlink.by_name("ha").await.unwrap();
        assert_eq!(netlink.by_index(link.index).await.unwrap(), link);
        assert_eq!((link.index, link.kind.clone(), link.mtu), (LinkIndex(41), LinkKind::Veth, 1400));
        assert_eq!(link.mac, "02:00:00:00:00:41".parse().unwrap());
        assert_eq!(link.peer, Some(PeerRef { index: LinkIndex(42), nsid: None }));
        assert_eq!(link.num_rx_queues, 3);
        assert!(!link.is_up && !link.has_carrier && !link.is_promiscuous && link.master.is_none());
    });
}

#[test]
fn carrier_takes_both_ends_of_a_pair() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha type veth peer name hb");
    ns.block_on(async |netlink| {
        netlink.set_up(index(&netlink, "ha").await).await.unwrap();
        let link = netlink.by_name("ha").await.unwrap();
        assert!(link.is_up && !link.has_carrier);
        netlink.set_up(index(&netlink, "hb").await).await.unwrap();
        assert!(netlink.by_name("ha").await.unwrap().has_carrier);
        netlink.set_down(link.index).await.unwrap();
        assert!(!netlink.by_name("hb").await.unwrap().has_carrier);
    });
}

#[test]
fn each_kind_of_link_is_told_apart() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add br0 type bridge");
    ns.ip("tuntap add tap0 mode tap");
    ns.ip("link add mv0 link br0 type macvlan");
    ns.block_on(async |netlink| {
        let links = netlink.list().await.unwrap();
        let kind = |name: &str| links.iter().find(|link| link.name == name).map(|link| link.kind.clone());
        assert_eq!(kind("br0"), Some(LinkKind::Bridge));
        assert_eq!(kind("tap0"), Some(LinkKind::Tun));
        assert_eq!(kind("mv0"), Some(LinkKind::Other("macvlan".to_owned())));
        assert_eq!(kind("lo"), Some(LinkKind::Other("loopback".to_owned())));
        assert_eq!(netlink.by_name("mv0").await.unwrap().peer, None, "what it stands on is no peer");
    });
}

#[test]
fn a_link_is_changed_as_asked() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add br0 type bridge");
    ns.ip("tuntap add tap0 mode tap");
    ns.block_on(async |netlink| {
        let (bridge, tap) = (index(&netlink, "br0").await, index(&netlink, "tap0").await);
        netlink.set_mtu(tap, 9000).await.unwrap();
        netlink.set_promiscuous(tap, true).await.unwrap();
        netlink.set_master(tap, Some(bridge)).await.unwrap();
        let link = netlink.by_index(tap).await.unwrap();
        assert_eq!((link.mtu, link.is_promiscuous, link.master), (9000, true, Some(bridge)));
        netlink.set_master(tap, None).await.unwrap();
        netlink.set_promiscuous(tap, false).await.unwrap();
        let link = netlink.by_index(tap).await.unwrap();
        assert_eq!((link.is_promiscuous, link.master), (false, None));
    });
}

#[test]
fn a_missing_link_is_an_error_of_its_own() {
    let Some(ns) = Scratch::new() else { return };
    ns.block_on(async |netlink| {
        for name in ["nope", "", "a-name-that-is-too-long"] {
            let error = netlink.by_name(name).await.unwrap_err();
            assert!(error.is_no_such_link() && error.to_string().contains(&format!("{name:?}")), "{error}");
        }
        assert!(netlink.by_index(LinkIndex(77)).await.unwrap_err().is_no_such_link());
        assert!(netlink.set_up(LinkIndex(77)).await.unwrap_err().is_no_such_link());
    });
}

#[test]
fn a_refused_change_names_the_link_and_keeps_the_reason() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha type veth peer name hb");
    ns.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let error = netlink.set_mtu(ha, 10_000_000).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot set the MTU of the link with index {ha}"));
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.and_then(io::Error::raw_os_error), Some(libc::EINVAL));
    });
}

#[test]
fn addresses_are_those_that_somebody_gave() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha type veth peer name hb");
    ns.ip("link set hb up");
    ns.ip("link set ha up");
    ns.ip("addr add 10.1.2.3/24 dev ha");
    ns.ip("addr add fd00::3/64 dev ha nodad");
    ns.ip("addr add 10.9.9.9/24 dev hb");
    ns.block_on(async |netlink| {
        let addresses = netlink.addresses(index(&netlink, "ha").await).await.unwrap();
        let wanted: [(IpAddr, u8); 2] = [("10.1.2.3".parse().unwrap(), 24), ("fd00::3".parse().unwrap(), 64)];
        let found: Vec<_> = addresses.iter().map(|given| (given.address, given.prefix_len)).collect();
        assert_eq!(found, wanted);
    });
}

#[test]
fn more_links_than_fit_in_a_message_are_all_listed() {
    let Some(ns) = Scratch::new() else { return };
    let batch: String = (0..100).map(|n| format!("link add a{n} type veth peer name b{n}\n")).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), batch).unwrap();
    ns.ip(&format!("-batch {}", file.path().display()));
    ns.block_on(async |netlink| {
        let links = netlink.list().await.unwrap();
        assert_eq!(links.iter().filter(|link| link.kind == LinkKind::Veth).count(), 200);
    });
}
