use std::time::Duration;

use super::*;
use crate::netlink::scratch::{Scratch, index};

/// The next event that the closure makes something of; events come in bursts, of which each test wants one.
async fn hear<T>(monitor: &mut Monitor, wanted: impl Fn(&LinkEvent) -> Option<T>) -> T {
    let search = async {
        loop {
            let event = monitor.next().await.expect("it listens");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), search).await.expect("it is heard of within seconds")
}

fn changed(wanted: impl Fn(&Link) -> bool) -> impl Fn(&LinkEvent) -> Option<()> {
    move |event| matches!(event, LinkEvent::Changed(link) if wanted(link)).then_some(())
}

fn removed(wanted: &str) -> impl Fn(&LinkEvent) -> Option<LinkIndex> {
    move |event| match event {
        LinkEvent::Removed { index, name } if name == wanted => Some(*index),
        _ => None,
    }
}

#[test]
fn every_change_of_a_link_is_heard_of() {
    let Some(ns) = Scratch::new() else { return };
    ns.block_on(async |netlink| {
        let mut monitor = Monitor::open(&netlink).await.unwrap();
        ns.ip("link add ha type veth peer name hb");
        hear(&mut monitor, changed(|link| link.name == "ha" && link.peer.is_some())).await;
        ns.ip("link set ha up");
        hear(&mut monitor, changed(|link| link.name == "ha" && link.is_up && !link.has_carrier)).await;
        ns.ip("link set hb up");
        hear(&mut monitor, changed(|link| link.name == "ha" && link.has_carrier)).await;
        ns.ip("link set ha mtu 1234");
        hear(&mut monitor, changed(|link| link.name == "ha" && link.mtu == 1234)).await;
        ns.ip("link set ha down");
        hear(&mut monitor, changed(|link| link.name == "ha" && !link.is_up)).await;
        let ha = index(&netlink, "ha").await;
        ns.ip("link set ha name hx");
        hear(&mut monitor, changed(|link| link.name == "hx" && link.index == ha)).await;
        ns.ip("link del hx");
        assert_eq!(hear(&mut monitor, removed("hx")).await, ha);
    });
}

#[test]
fn a_link_that_leaves_the_namespace_is_removed() {
    let (Some(here), Some(there)) = (Scratch::new(), Scratch::new()) else {
        return;
    };
    here.ip("link add ha type veth peer name hb");
    here.block_on(async |netlink| {
        let mut monitor = Monitor::open(&netlink).await.unwrap();
        here.ip(&format!("link set hb netns {}", there.name));
        hear(&mut monitor, removed("hb")).await;
    });
}

#[test]
fn a_link_that_leaves_a_bridge_is_not_removed() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add br0 type bridge");
    ns.ip("link add ha master br0 type veth peer name hb");
    ns.block_on(async |netlink| {
        let mut monitor = Monitor::open(&netlink).await.unwrap();
        ns.ip("link set ha nomaster");
        ns.ip("link add end type bridge");
        // The bridge tells of its former port by a message that says "deleted".
        let is_over = |event: &LinkEvent| match event {
            LinkEvent::Removed { name, .. } => Some(Err(name.clone())),
            LinkEvent::Changed(link) if link.name == "end" => Some(Ok(())),
            _ => None,
        };
        assert_eq!(hear(&mut monitor, is_over).await, Ok(()));
        assert_eq!(netlink.by_name("ha").await.unwrap().master, None);
    });
}

#[test]
fn lost_events_are_an_overrun_and_what_follows_is_new() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha type veth peer name hb");
    ns.block_on(async |netlink| {
        let mut monitor = Monitor::with_limits(&netlink, 1, 4096).await.unwrap();
        let ha = index(&netlink, "ha").await;
        for mtu in 1300..1400 {
            netlink.set_mtu(ha, mtu).await.unwrap();
        }
        hear(&mut monitor, |event| (*event == LinkEvent::Overrun).then_some(())).await;
        ns.ip("link set ha mtu 1499");
        let first = |event: &LinkEvent| match event {
            LinkEvent::Changed(link) => Some(link.mtu),
            _ => None,
        };
        assert_eq!(hear(&mut monitor, first).await, 1499);
    });
}

#[test]
fn only_the_own_namespace_is_heard_of() {
    let (Some(here), Some(there)) = (Scratch::new(), Scratch::new()) else {
        return;
    };
    here.block_on(async |netlink| {
        let mut monitor = Monitor::open(&netlink).await.unwrap();
        there.ip("link add foreign type bridge");
        here.ip("link add own type bridge");
        let name = |event: &LinkEvent| match event {
            LinkEvent::Changed(link) => Some(link.name.clone()),
            _ => None,
        };
        assert_eq!(hear(&mut monitor, name).await, "own");
    });
}

#[test]
fn a_message_cut_short_makes_no_sense() {
    assert_eq!(events_of(&[]), Some(vec![]));
    assert_eq!(events_of(&[20, 0, 0, 0, 16, 0]), None);
    assert_eq!(events_of(&[40, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
}
