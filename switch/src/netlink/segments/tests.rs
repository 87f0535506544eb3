use super::*;
use crate::netlink::peer;
use crate::netlink::scratch::{Scratch, index};

const LEGACY: SegmentSizes =
    SegmentSizes { gso: Some(65_536), gro: Some(65_536), gso_ipv4: Some(65_536), gro_ipv4: Some(65_536) };

/// The sizes of our end and of the other one.
async fn sizes(netlink: &Netlink, link: LinkIndex) -> (SegmentSizes, SegmentSizes) {
    let near = netlink.by_index(link).await.expect("our end").segments;
    (near, peer::facts(netlink, link).await.expect("the other end").segments)
}

#[test]
fn both_ends_are_enlarged_and_put_back_across_namespaces() {
    let (Some(ns), Some(other)) = (Scratch::new(), Scratch::new()) else { return };
    ns.ip(&format!("link add near type veth peer name far netns {}", other.name));
    ns.block_on(async |netlink| {
        let near = index(&netlink, "near").await;
        let was = survey(&netlink, near).await.expect("a survey");
        assert_eq!((was.near, was.far), (LEGACY, LEGACY));
        let text = serde_json::to_string(&was).expect("JSON");
        let was: EnlargedPair = serde_json::from_str(&text).expect("the same");
        apply(&netlink, &was).await.expect("enlarged");
        assert_eq!(sizes(&netlink, near).await, (LEGACY.enlarged(), LEGACY.enlarged()));
        assert!(is_applied(&netlink.by_index(near).await.expect("near"), sizes(&netlink, near).await.1));
        assert_eq!(undo(&netlink, &was).await.expect("undone"), Undone::Restored);
        assert_eq!(undo(&netlink, &was).await.expect("twice is no harm"), Undone::Restored);
        assert_eq!(sizes(&netlink, near).await, (LEGACY, LEGACY));
    });
}

#[test]
fn sizes_of_the_users_own_come_back_and_larger_ones_stay() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add near type veth peer name far");
    ns.block_on(async |netlink| {
        let (near, far) = (index(&netlink, "near").await, index(&netlink, "far").await);
        let own = SegmentSizes {
            gso: Some(400_000),
            gro: Some(30_000),
            gso_ipv4: Some(20_000),
            gro_ipv4: Some(65_536),
        };
        netlink.set_segments(far, own).await.expect("set");
        let was = survey(&netlink, near).await.expect("a survey");
        apply(&netlink, &was).await.expect("enlarged");
        let now = sizes(&netlink, near).await.1;
        assert_eq!((now.gso, now.gso_ipv4), (Some(400_000), Some(LARGE_BYTES)));
        undo(&netlink, &was).await.expect("undone");
        assert_eq!(sizes(&netlink, near).await, (LEGACY, own));
    });
}

#[test]
fn a_pair_whose_end_here_got_another_address_is_put_back_all_the_same() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add near type veth peer name far");
    ns.block_on(async |netlink| {
        let near = index(&netlink, "near").await;
        let was = survey(&netlink, near).await.expect("a survey");
        apply(&netlink, &was).await.expect("enlarged");
        ns.ip("link set near address 02:00:00:00:00:77");
        assert_eq!(undo(&netlink, &was).await.expect("undone"), Undone::Restored);
        assert_eq!(sizes(&netlink, near).await, (LEGACY, LEGACY));
    });
}

#[test]
fn what_has_gone_is_no_error_and_another_link_is_left_alone() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add near type veth peer name far");
    ns.block_on(async |netlink| {
        let near = index(&netlink, "near").await;
        let was = survey(&netlink, near).await.expect("a survey");
        ns.ip("link del near");
        assert_eq!(undo(&netlink, &was).await.expect("gone"), Undone::Gone);
        ns.ip(&format!("link add near index {near} type veth peer name far"));
        netlink.set_segments(near, LEGACY.enlarged()).await.expect("set");
        assert_eq!(undo(&netlink, &was).await.expect("another"), Undone::Gone);
        assert_eq!(sizes(&netlink, near).await.0, LEGACY.enlarged());
    });
}

#[test]
fn a_link_without_a_peer_is_refused() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add alone type bridge");
    ns.block_on(async |netlink| {
        let error = survey(&netlink, index(&netlink, "alone").await).await.expect_err("no pair");
        assert!(matches!(error, NetlinkError::NoPeer { .. }), "{error}");
    });
}
