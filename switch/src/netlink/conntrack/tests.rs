use std::net::{Ipv4Addr, UdpSocket};

use super::*;
use crate::netlink::scratch::Scratch;

fn tuple_of(source: [u8; 4], destination: [u8; 4], source_port: u16, destination_port: u16) -> Tuple {
    let (source, destination) = (source.into(), destination.into());
    Tuple { source, destination, protocol: 17, source_port, destination_port }
}

#[test]
fn connections_are_told_apart_by_who_answers() {
    let (client, host, target) = ([192, 0, 2, 2], [192, 0, 2, 1], [10, 1, 0, 2]);
    let original = tuple_of(client, host, 40_000, 8080);
    let reply = tuple_of(target, client, 80, 40_000);
    let to = |ip: [u8; 4], protocol, ports| Forget::To { ip: ip.into(), protocol, ports };
    assert!(Forget::Of(target.into()).is_meant(&original, &reply));
    assert!(!Forget::Of(host.into()).is_meant(&original, &reply));
    assert!(to(target, 17, 80..=81).is_meant(&original, &reply));
    assert!(!to(target, 6, 80..=81).is_meant(&original, &reply));
    assert!(!to(target, 17, 81..=82).is_meant(&original, &reply));
    assert!(Forget::Towards { protocol: 17, ports: 8080..=8080 }.is_meant(&original, &reply));
    // Straight to the target, without translation: nothing of a published port.
    let straight = tuple_of(client, target, 40_000, 80);
    assert!(!to(target, 17, 80..=80).is_meant(&straight, &reply));
}

#[test]
fn an_entry_cut_anywhere_is_no_entry() {
    let mut entry = Vec::new();
    for kind in [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY] {
        let ips = [nested(CTA_IP_V4_SRC, &[10, 1, 0, 2]), nested(CTA_IP_V4_DST, &[10, 1, 0, 3])].concat();
        let parts =
            [nested(CTA_TUPLE_IP, &ips), nested(CTA_TUPLE_PROTO, &nested(CTA_PROTO_NUM, &[17]))].concat();
        entry.extend(nested(kind, &parts));
    }
    let which = [Forget::Of([10, 1, 0, 2].into())];
    assert!(request_to_delete(&entry, &which).is_some());
    for length in 0..entry.len() {
        assert!(request_to_delete(&entry[..length], &which).is_none(), "cut at {length}");
    }
}

fn nested(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).expect("a short value");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn the_kernels_entries_are_found_and_deleted_once() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link set dev lo up");
    // Only where a rule asks for it are connections tracked.
    ns.exec("nft add table ip t");
    ns.exec("nft add chain ip t c { type filter hook output priority 0 ; }");
    ns.exec("nft add rule ip t c ct state new accept");
    ns.block_on(async |netlink| {
        let send = |port: u16| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
            socket.send_to(b"?", (Ipv4Addr::LOCALHOST, port)).expect("sent");
        };
        [9001, 9002].into_iter().for_each(send);
        let which = vec![Forget::Towards { protocol: 17, ports: 9001..=9001 }];
        assert_eq!(netlink.forget_connections(which.clone()).await.unwrap(), 1);
        assert_eq!(netlink.forget_connections(which).await.unwrap(), 0);
        let rest = vec![Forget::Of(Ipv4Addr::LOCALHOST.into())];
        assert_eq!(netlink.forget_connections(rest).await.unwrap(), 1);
    });
}
