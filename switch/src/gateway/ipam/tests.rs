use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn pool(subnet: &str) -> Pool {
    Pool::new(parse_subnet(subnet).expect("a subnet"), None).expect("a gateway")
}

#[test]
fn addresses_are_given_in_order_and_a_released_one_last() {
    let mut pool = pool("10.1.0.0/29");
    let mut taken = BTreeSet::new();
    for n in 2..=4 {
        let given = pool.give(|ip| taken.contains(&ip)).expect("free");
        assert_eq!(given, ip(&format!("10.1.0.{n}")));
        taken.insert(given);
    }
    taken.remove(&ip("10.1.0.2"));
    assert_eq!(pool.give(|ip| taken.contains(&ip)), Some(ip("10.1.0.5")));
    assert_eq!(pool.give(|ip| taken.contains(&ip)), Some(ip("10.1.0.6")));
    assert_eq!(pool.give(|ip| taken.contains(&ip)), Some(ip("10.1.0.2")), "wrapped");
}

#[test]
fn a_full_subnet_gives_nothing() {
    let mut pool = pool("10.1.0.0/30");
    assert_eq!(pool.give(|_| false), Some(ip("10.1.0.2")));
    assert_eq!(pool.give(|taken| taken == ip("10.1.0.2")), None);
    pool.reserved.insert(ip("10.1.0.2"));
    assert_eq!(pool.give(|_| false), None);
}

#[test]
fn a_large_ipv6_subnet_gives_addresses_by_offset() {
    let mut pool = pool("fd00:1::/64");
    assert_eq!(pool.gateway, ip("fd00:1::1"));
    assert_eq!(pool.give(|_| false), Some(ip("fd00:1::2")));
    pool.last = ip("fd00:1::ffff:ffff:ffff:ffff");
    assert_eq!(pool.give(|_| false), Some(ip("fd00:1::2")), "wrapped");
}

#[test]
fn network_broadcast_and_foreign_addresses_are_no_hosts() {
    let v4 = pool("10.1.0.0/24");
    for no_host in ["10.1.0.0", "10.1.0.255", "10.1.1.1", "fd00::1"] {
        assert!(!v4.has_host(ip(no_host)), "{no_host}");
    }
    assert!(v4.has_host(ip("10.1.0.254")));
    let v6 = pool("fd00:1::/64");
    assert!(!v6.has_host(ip("fd00:1::")) && v6.has_host(ip("fd00:1::ffff:ffff:ffff:ffff")));
}

#[test]
fn a_pool_reads_back_as_it_was_written() {
    let mut pool = pool("fd00:1::/64");
    let given = pool.give(|_| false).expect("free");
    pool.reserved.insert(given);
    let value = serde_json::to_value(&pool).expect("plain data");
    assert_eq!(serde_json::from_value::<Pool>(value).expect("what we wrote"), pool);
}

#[test]
fn what_is_no_subnet_for_hosts_is_refused() {
    for text in ["", "10.1.0.0", "10.1.0.0/33", "10.1.0/24", "fd00::/129", "x"] {
        assert!(matches!(parse_subnet(text), Err(GatewayError::NotSubnet { .. })), "{text}");
    }
    let refused = parse_subnet("10.1.0.5/24").expect_err("a host").to_string();
    assert!(refused.contains("10.1.0.0/24"), "{refused}");
    for text in ["127.0.0.0/8", "224.0.0.0/8", "169.254.0.0/16", "10.1.0.0/31", "0.0.0.0/8", "fe80::/64"] {
        assert!(matches!(parse_subnet(text), Err(GatewayError::Unsuitable { .. })), "{text}");
    }
}

#[test]
fn gateways_belong_to_one_subnet_each() {
    let both = ["10.1.0.0/24".to_owned(), "fd00:1::/64".to_owned()];
    let chosen = pools(&both, &[ip("fd00:1::9"), ip("10.1.0.254")]).expect("one each");
    assert_eq!(chosen.iter().map(|p| p.gateway).collect::<Vec<_>>(), [ip("10.1.0.254"), ip("fd00:1::9")]);
    assert!(matches!(pools(&both, &[ip("10.2.0.1")]), Err(GatewayError::NotHost { .. })));
    assert!(matches!(pools(&both, &[ip("10.1.0.255")]), Err(GatewayError::NotHost { .. })));
    assert!(matches!(pools(&[], &[ip("10.1.0.1")]), Err(GatewayError::NotHost { .. })));
    let two = [ip("10.1.0.1"), ip("10.1.0.2")];
    assert!(matches!(pools(&both, &two), Err(GatewayError::TwoGateways { .. })));
    let overlapping = ["10.0.0.0/8".to_owned(), "10.1.0.0/24".to_owned()];
    assert!(matches!(pools(&overlapping, &[]), Err(GatewayError::Overlap { .. })));
}
