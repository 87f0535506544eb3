use super::*;
use crate::netlink::scratch::{Scratch, index};
use crate::netlink::{offload, xdp_features};

/// Two namespaces, a veth between them: `ha` here, `hb` there.
fn pair() -> Option<(Scratch, Scratch)> {
    let (here, there) = (Scratch::new()?, Scratch::new()?);
    here.ip(&format!("link add ha type veth peer name hb netns {}", there.name));
    Some((here, there))
}

#[test]
fn facts_of_a_peer_elsewhere_are_its_own() {
    let Some((here, there)) = pair() else { return };
    there.ip("link set hb name eth0 address 02:00:00:00:00:0b mtu 1300 up");
    here.block_on(async |netlink| {
        let facts = facts(&netlink, index(&netlink, "ha").await).await.unwrap();
        assert_eq!((facts.name.as_str(), facts.mtu, facts.is_up), ("eth0", 1300, true));
        assert_eq!(facts.mac, "02:00:00:00:00:0b".parse().unwrap());
        assert!(!facts.is_in_same_namespace());
    });
}

#[test]
fn preparing_and_undoing_leaves_the_peer_as_it_was() {
    let Some((here, there)) = pair() else { return };
    there.exec("ethtool -K hb tx-udp-segmentation off");
    let before = (here.portrait("ha"), there.portrait("hb"));
    here.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        assert!(!is_prepared(&netlink, ha, None).await.unwrap());
        let preparation = prepare_for_xdp(&netlink, ha).await.unwrap();
        assert_eq!((preparation.namespace_inode, preparation.tx_queues), (there.inode(), 1));
        assert!(is_prepared(&netlink, ha, Some(there.inode())).await.unwrap());
        let prepared = there.exec("ethtool -k hb");
        for line in [
            "tx-checksumming: off",
            "tcp-segmentation-offload: off",
            "generic-segmentation-offload: off",
            "tx-udp-segmentation: off",
            "tx-vlan-offload: off",
            "generic-receive-offload: on",
        ] {
            assert!(prepared.lines().any(|l| l.trim() == line), "{line} in\n{prepared}");
        }
        assert!(!prepared.lines().any(|l| l.contains("[requested")), "{prepared}");
        assert_eq!(here.portrait("ha"), before.0, "our own end is left alone");

        let written = serde_json::to_string(&preparation).unwrap();
        let preparation: PeerPreparation = serde_json::from_str(&written).unwrap();
        assert_eq!(undo(&netlink, &preparation).await.unwrap(), Undone::Restored);
        assert_eq!(undo(&netlink, &preparation).await.unwrap(), Undone::Restored, "twice is no harm");
    });
    assert_eq!((here.portrait("ha"), there.portrait("hb")), before);
}

#[test]
fn a_peer_that_comes_up_last_is_noticed_when_prepared_again() {
    let Some((here, there)) = pair() else { return };
    here.ip("link set ha up");
    here.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let xdp = async || xdp_features::get(&netlink, ha).await.unwrap();
        if xdp().await.is_none() {
            return eprintln!("skipped: this kernel does not tell XDP features");
        }
        prepare_for_xdp(&netlink, ha).await.unwrap();
        there.ip("link set hb up");
        assert!(!is_prepared(&netlink, ha, None).await.unwrap());
        let again = prepare_for_xdp(&netlink, ha).await.unwrap();
        assert_eq!(again.changes, []);
        assert!(is_prepared(&netlink, ha, None).await.unwrap());
        assert!(xdp().await.is_some_and(|xdp| xdp.is_redirect_target()));
    });
}

#[test]
fn a_peer_beside_us_is_prepared_too() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha type veth peer name hb");
    let before = ns.portrait("hb");
    ns.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let preparation = prepare_for_xdp(&netlink, ha).await.unwrap();
        assert!(preparation.facts.is_in_same_namespace());
        assert_eq!(preparation.namespace_inode, ns.inode());
        assert!(is_prepared(&netlink, ha, None).await.unwrap());
        assert_ne!(ns.portrait("hb"), before);
        assert_eq!(undo(&netlink, &preparation).await.unwrap(), Undone::Restored);
    });
    assert_eq!(ns.portrait("hb"), before);
}

#[test]
fn a_peer_that_moved_is_found_again() {
    let (Some((here, there)), Some(further)) = (pair(), Scratch::new()) else {
        return;
    };
    let features = there.exec("ethtool -k hb");
    here.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let preparation = prepare_for_xdp(&netlink, ha).await.unwrap();
        // So that its index is taken where it goes.
        let taken = preparation.facts.index;
        further.ip(&format!("link add hc index {taken} type veth peer name hd index 77"));
        there.ip(&format!("link set hb name moved netns {}", further.name));
        let facts = facts(&netlink, ha).await.unwrap();
        assert_eq!((facts.name.as_str(), facts.mac), ("moved", preparation.facts.mac));
        assert_ne!(facts.index, taken);
        assert!(is_prepared(&netlink, ha, Some(preparation.namespace_inode)).await.unwrap());
        assert_eq!(undo(&netlink, &preparation).await.unwrap(), Undone::Restored);
    });
    further.ip("link set moved name hb");
    assert_eq!(further.exec("ethtool -k hb"), features);
}

#[test]
fn a_peer_that_changed_its_mac_is_still_the_peer() {
    let Some((here, there)) = pair() else { return };
    let features = there.exec("ethtool -k hb");
    here.block_on(async |netlink| {
        let preparation = prepare_for_xdp(&netlink, index(&netlink, "ha").await).await.unwrap();
        there.ip("link set hb address 02:00:00:00:00:99");
        assert_eq!(undo(&netlink, &preparation).await.unwrap(), Undone::Restored);
    });
    assert_eq!(there.exec("ethtool -k hb"), features);
}

#[test]
fn a_gone_peer_is_a_clear_error_and_nothing_to_undo() {
    let Some((here, there)) = pair() else { return };
    here.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let preparation = prepare_for_xdp(&netlink, ha).await.unwrap();
        there.ip("link del hb");
        assert_eq!(undo(&netlink, &preparation).await.unwrap(), Undone::Gone);
        assert!(facts(&netlink, ha).await.unwrap_err().is_no_such_link());
        assert!(prepare_for_xdp(&netlink, ha).await.unwrap_err().is_no_such_link());

        // Another pair that got the same index is not ours to change.
        here.ip(&format!("link add hx index {ha} type veth peer name hy"));
        let before = here.portrait("hy");
        assert_eq!(undo(&netlink, &preparation).await.unwrap(), Undone::Gone);
        assert_eq!(here.portrait("hy"), before);
    });
}

#[test]
fn a_link_without_a_peer_is_refused_by_name() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("tuntap add tap0 mode tap");
    ns.block_on(async |netlink| {
        let error = prepare_for_xdp(&netlink, index(&netlink, "tap0").await).await.unwrap_err();
        assert!(
            matches!(error, NetlinkError::NoPeer { .. }) && error.to_string().contains("tap0"),
            "{error}"
        );
    });
}

#[test]
fn a_peer_undone_from_inside_is_prepared_again_and_undone_once() {
    let Some((here, there)) = pair() else { return };
    let before = there.portrait("hb");
    here.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let first = prepare_for_xdp(&netlink, ha).await.unwrap();
        there.exec("ethtool -K hb tx on gro off");
        assert!(!is_prepared(&netlink, ha, None).await.unwrap());
        let mut second = prepare_for_xdp(&netlink, ha).await.unwrap();
        assert!(!second.changes.is_empty() && second.changes.len() < first.changes.len());
        assert!(is_prepared(&netlink, ha, None).await.unwrap());
        second.include(&first);
        assert_eq!(undo(&netlink, &second).await.unwrap(), Undone::Restored);
    });
    assert_eq!(there.portrait("hb"), before);
}

#[test]
fn looking_at_a_peer_changes_nothing() {
    let Some((here, there)) = pair() else { return };
    let before = (here.portrait("ha"), there.portrait("hb"));
    here.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let survey = survey(&netlink, ha, None).await.unwrap();
        assert!(survey.changes.iter().any(|change| change.name == offload::GRO && !change.was));
        assert!(!xdp_features::get(&netlink, ha).await.unwrap().is_some_and(|xdp| xdp.is_redirect_target()));
    });
    assert_eq!((here.portrait("ha"), there.portrait("hb")), before);
}
