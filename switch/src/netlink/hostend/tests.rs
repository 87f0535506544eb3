use super::*;
use crate::netlink::scratch::{Scratch, index};

/// A veth with a dot in its name, in the state that the commands leave it in; and what can be seen of it.
fn link(commands: &[&str]) -> Option<(Scratch, String)> {
    let ns = Scratch::new()?;
    ns.ip("link add ha.1 type veth peer name hb");
    ns.ip("link set hb up");
    // A link keeps the queueing that it gets when it first comes up.
    ns.ip("link set ha.1 up");
    ns.ip("link set ha.1 down");
    for command in commands {
        ns.ip(command);
    }
    settle(&ns);
    let before = ns.portrait("ha.1");
    Some((ns, before))
}

#[test]
fn a_silenced_link_is_up_without_ipv6_and_put_back_down() {
    let Some((ns, before)) = link(&[]) else { return };
    ns.block_on(async |netlink| {
        let ha = index(&netlink, "ha.1").await;
        let was = silence(&netlink, ha).await.unwrap();
        let text = serde_json::to_string(&was).unwrap();
        let was: SilencedLink = serde_json::from_str(&text).unwrap();
        assert_eq!((was.was_up, was.was_promiscuous, was.was_ipv6_disabled), (false, None, Some(false)));
        assert!(netlink.by_index(ha).await.unwrap().has_carrier);
        let now = ns.portrait("ha.1");
        assert!(!now.contains("inet6") && now.contains("generic-receive-offload: on"), "{now}");
        assert_eq!(restore(&netlink, &was).await.unwrap(), Undone::Restored);
        assert_eq!(restore(&netlink, &was).await.unwrap(), Undone::Restored, "twice is no harm");
    });
    assert_eq!(ns.portrait("ha.1"), before);
}

#[test]
fn a_link_that_was_up_stays_up_and_gets_its_address_back() {
    let Some((ns, before)) = link(&["link set ha.1 up", "addr add 10.0.0.1/24 dev ha.1"]) else {
        return;
    };
    assert!(before.contains("inet6 fe80"), "{before}");
    ns.block_on(async |netlink| {
        let was = silence(&netlink, index(&netlink, "ha.1").await).await.unwrap();
        let now = ns.portrait("ha.1");
        assert!(!now.contains("inet6") && now.contains("10.0.0.1/24"), "{now}");
        assert_eq!(restore(&netlink, &was).await.unwrap(), Undone::Restored);
    });
    settle(&ns);
    assert_eq!(ns.portrait("ha.1"), before);
}

#[test]
fn a_link_with_ipv6_addresses_of_its_own_keeps_them() {
    let Some((ns, before)) = link(&["link set ha.1 up", "addr add fd00::1/64 dev ha.1"]) else {
        return;
    };
    ns.block_on(async |netlink| {
        let was = silence(&netlink, index(&netlink, "ha.1").await).await.unwrap();
        assert_eq!(was.was_ipv6_disabled, None);
        assert!(ns.portrait("ha.1").contains("fd00::1/64"));
        restore(&netlink, &was).await.unwrap();
    });
    assert_eq!(ns.portrait("ha.1"), before);
}

#[test]
fn what_was_already_silent_stays_so() {
    let Some((ns, _)) = link(&[]) else { return };
    ns.exec("sysctl -q net/ipv6/conf/ha.1/disable_ipv6=1");
    ns.exec("ethtool -K ha.1 gro on");
    ns.ip("link set ha.1 up");
    let before = ns.portrait("ha.1");
    ns.block_on(async |netlink| {
        let was = silence(&netlink, index(&netlink, "ha.1").await).await.unwrap();
        assert_eq!(
            (was.was_up, was.was_ipv6_disabled, was.features.as_slice()),
            (true, Some(true), [].as_slice())
        );
        assert_eq!(ns.portrait("ha.1"), before);
        restore(&netlink, &was).await.unwrap();
    });
    assert_eq!(ns.portrait("ha.1"), before);
}

#[test]
fn a_tap_becomes_promiscuous_until_it_is_put_back() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("tuntap add tap0 mode tap");
    ns.ip("link set tap0 up");
    ns.ip("link set tap0 down");
    let before = ns.portrait("tap0");
    ns.block_on(async |netlink| {
        let tap = index(&netlink, "tap0").await;
        let was = silence(&netlink, tap).await.unwrap();
        assert!(netlink.by_index(tap).await.unwrap().is_promiscuous);
        restore(&netlink, &was).await.unwrap();
    });
    assert_eq!(ns.portrait("tap0"), before);
}

#[test]
fn a_renamed_link_is_put_back_and_a_gone_one_is_no_error() {
    let Some((ns, before)) = link(&[]) else { return };
    ns.block_on(async |netlink| {
        let ha = index(&netlink, "ha.1").await;
        let was = silence(&netlink, ha).await.unwrap();
        ns.ip("link set ha.1 name other");
        assert_eq!(restore(&netlink, &was).await.unwrap(), Undone::Restored);
        ns.ip("link set other name ha.1");
        assert_eq!(ns.portrait("ha.1"), before);

        ns.ip("link del ha.1");
        assert_eq!(restore(&netlink, &was).await.unwrap(), Undone::Gone);
        assert!(silence(&netlink, ha).await.unwrap_err().is_no_such_link());
        ns.ip(&format!("link add hx index {ha} type veth peer name hy"));
        let other = ns.portrait("hx");
        assert_eq!(restore(&netlink, &was).await.unwrap(), Undone::Gone);
        assert_eq!(ns.portrait("hx"), other, "another link with the same index is left alone");
    });
}

#[test]
fn a_link_too_narrow_for_ipv6_is_silenced_without() {
    let Some((ns, _)) = link(&["link set ha.1 mtu 1000"]) else {
        return;
    };
    ns.block_on(async |netlink| {
        let was = silence(&netlink, index(&netlink, "ha.1").await).await.unwrap();
        assert_eq!(was.was_ipv6_disabled, None);
        assert_eq!(restore(&netlink, &was).await.unwrap(), Undone::Restored);
    });
}

/// Waits until no address is tentative any more.
fn settle(ns: &Scratch) {
    for _ in 0..500 {
        if !ns.ip("-6 addr show").contains("tentative") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
