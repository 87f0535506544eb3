use super::*;
use crate::netlink::scratch::{Scratch, index};

#[test]
fn features_are_those_that_ethtool_shows() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha type veth peer name hb");
    let shown = ns.exec("ethtool -k ha");
    ns.block_on(async |netlink| {
        let features = features(&netlink, index(&netlink, "ha").await).await.unwrap();
        let mut compared = 0;
        for (name, value) in shown.lines().filter_map(|line| line.trim().split_once(": ")) {
            let Some(state) = features.get(name) else { continue };
            compared += 1;
            assert_eq!(state.active, value.starts_with("on"), "{name}: {value}");
            assert_eq!(state.is_changeable(), !value.contains("[fixed]"), "{name}: {value}");
        }
        assert!(compared > 40, "{compared} features in\n{shown}");
    });
}

#[test]
fn only_what_changed_is_told_and_put_back() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha type veth peer name hb");
    ns.exec("ethtool -K ha tx-udp-segmentation off");
    let before = ns.portrait("ha");
    ns.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let wishes = [("tx-udp-segmentation", false), ("tx-checksum-ip-generic", false), (GRO, true)];
        let changes = set(&netlink, ha, &wishes).await.unwrap();
        let named: Vec<_> = changes.iter().map(|change| (change.name.as_str(), change.was)).collect();
        assert_eq!(named, [("tx-checksum-ip-generic", true), (GRO, false)]);
        assert_eq!(set(&netlink, ha, &wishes).await.unwrap(), []);
        // TSO needs the checksum: it goes off with it, and comes back with it, without being asked for.
        let now = features(&netlink, ha).await.unwrap().get("tx-tcp-segmentation").unwrap();
        assert!(now.requested && !now.active);
        restore(&netlink, ha, &changes).await.unwrap();
    });
    assert_eq!(ns.portrait("ha"), before);
}

#[test]
fn a_fixed_or_unknown_feature_is_refused_by_name_and_nothing_changes() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha type veth peer name hb");
    let before = ns.portrait("ha");
    ns.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let error = set(&netlink, ha, &[(GRO, true), ("loopback", true)]).await.unwrap_err();
        assert!(
            matches!(&error, NetlinkError::FixedFeature { feature, .. } if feature == "loopback"),
            "{error}"
        );
        let error = set(&netlink, ha, &[(GRO, true), ("tx-magic", true)]).await.unwrap_err();
        assert!(
            matches!(&error, NetlinkError::NoSuchFeature { feature, .. } if feature == "tx-magic"),
            "{error}"
        );
        assert!(features(&netlink, LinkIndex(4711)).await.unwrap_err().is_no_such_link());
    });
    assert_eq!(ns.portrait("ha"), before);
}

#[test]
fn a_change_is_the_same_after_it_was_written_down() {
    let change = FeatureChange { name: GRO.to_owned(), was: false };
    let text = serde_json::to_string(&change).unwrap();
    assert_eq!(serde_json::from_str::<FeatureChange>(&text).unwrap(), change);
}
