use super::*;

const PORT: PortConfig =
    PortConfig { flags: flag::GUARDED | flag::GUARDED_IP, guard_mac: 0x0200_0000_0001, ..PortConfig::FREE };
const TRUSTED: PortConfig = PortConfig { flags: PORT.flags | flag::TRUSTED, ..PORT };

fn v4(source: [u8; 4]) -> [u8; IPV4_BYTES] {
    let mut header = [0u8; IPV4_BYTES];
    header[12..16].copy_from_slice(&source);
    header
}

fn v6(source: u8, next: u8) -> [u8; IPV6_BYTES] {
    let mut header = [0u8; IPV6_BYTES];
    header[8] = source;
    header[9] = 0x80;
    header[23] = u8::from(source != 0);
    if source == 0 {
        header[9] = 0;
    }
    header[6] = next;
    header
}

#[test]
fn only_the_given_mac_is_taken() {
    assert_eq!(check_mac(&PORT, MacAddr::from_bits(0x0200_0000_0001)), Ok(()));
    assert_eq!(check_mac(&PORT, MacAddr::from_bits(0x0200_0000_0002)), Err(DropReason::SpoofedMac));
    let any = PortConfig { guard_mac: 0, ..PORT };
    assert_eq!(check_mac(&any, MacAddr::from_bits(7)), Ok(()));
}

#[test]
fn an_ipv4_source_is_asked_about() {
    assert_eq!(check_v4(&PORT, &v4([10, 0, 0, 1]), 0, 0), Ok(Ask::V4([10, 0, 0, 1])));
    let mac_only = PortConfig { flags: flag::GUARDED, ..PORT };
    assert_eq!(check_v4(&mac_only, &v4([10, 0, 0, 1]), 0, 0), Ok(Ask::Nothing));
}

#[test]
fn a_host_without_an_address_may_ask_dhcp_and_join_groups_and_nothing_else() {
    assert_eq!(check_v4(&PORT, &v4([0; 4]), 68, 67), Ok(Ask::Nothing));
    assert_eq!(check_v4(&PORT, &v4([0; 4]), 68, 53), Err(DropReason::SpoofedIp));
    let mut igmp = v4([0; 4]);
    igmp[9] = IGMP;
    assert_eq!(check_v4(&PORT, &igmp, 0, 0), Ok(Ask::Nothing));
}

#[test]
fn a_dhcp_server_or_router_must_be_trusted() {
    assert_eq!(check_v4(&PORT, &v4([10, 0, 0, 1]), 67, 68), Err(DropReason::RogueServer));
    assert_eq!(check_v4(&TRUSTED, &v4([10, 0, 0, 1]), 67, 68), Ok(Ask::V4([10, 0, 0, 1])));
    for (icmp, source_port) in [(kind::ROUTER_ADVERTISEMENT, 0), (kind::REDIRECT, 0), (0, 547)] {
        let header = v6(0xfe, ICMPV6);
        assert_eq!(check_v6(&PORT, &header, icmp, &[0; 16], source_port), Err(DropReason::RogueServer));
        assert!(matches!(check_v6(&TRUSTED, &header, icmp, &[0; 16], source_port), Ok(Ask::LinkLocal(_))));
    }
}

#[test]
fn link_local_and_duplicate_address_detection_pass_and_other_ipv6_is_asked_about() {
    assert!(matches!(check_v6(&PORT, &v6(0xfe, UDP), 0, &[0; 16], 0), Ok(Ask::LinkLocal(_))));
    assert_eq!(check_v6(&PORT, &v6(0, ICMPV6), kind::SOLICITATION, &[0; 16], 0), Ok(Ask::Nothing));
    assert_eq!(check_v6(&PORT, &v6(0, UDP), 0, &[0; 16], 0), Err(DropReason::SpoofedIp));
    assert!(matches!(check_v6(&PORT, &v6(0xfd, UDP), 0, &[0; 16], 0), Ok(Ask::V6(ip)) if ip[0] == 0xfd));
}

#[test]
fn an_advertisement_is_asked_about_its_target() {
    let mut target = [0u8; 16];
    (target[0], target[15]) = (0xfd, 9);
    let header = v6(0xfe, ICMPV6);
    assert_eq!(check_v6(&PORT, &header, kind::ADVERTISEMENT, &target, 0), Ok(Ask::V6(target)));
}

#[test]
fn neighbour_discovery_speaks_for_the_given_mac_alone() {
    let own = Message { kind: kind::ADVERTISEMENT, mac: MacAddr::from_bits(PORT.guard_mac), ..Message::NONE };
    let other = Message { mac: MacAddr::from_bits(7), ..own };
    assert_eq!(check_nd(&PORT, &own), Ok(()));
    assert_eq!(check_nd(&PORT, &other), Err(DropReason::SpoofedMac));
    assert_eq!(check_nd(&PORT, &Message::NONE), Ok(()));
}
