use super::*;
use crate::netlink::scratch::{Scratch, index};
use crate::netlink::{channels, offload, peer};

#[test]
fn a_veth_is_a_redirect_target_only_while_its_peer_polls() {
    let (Some(here), Some(there)) = (Scratch::new(), Scratch::new()) else {
        return;
    };
    here.ip(&format!("link add ha type veth peer name hb netns {}", there.name));
    here.ip("link set ha up");
    there.ip("link set hb up");
    here.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let Some(before) = get(&netlink, ha).await.unwrap() else {
            eprintln!("skipped: this kernel does not tell XDP features");
            return;
        };
        assert!(before.is_native() && !before.is_redirect_target());
        // GRO on our own end is for frames to the peer, not for those to us.
        offload::set(&netlink, ha, &[(offload::GRO, true)]).await.unwrap();
        assert!(!get(&netlink, ha).await.unwrap().unwrap().is_redirect_target());

        let preparation = peer::prepare_for_xdp(&netlink, ha).await.unwrap();
        let prepared = get(&netlink, ha).await.unwrap().unwrap();
        assert!(prepared.is_redirect_target() && prepared.is_frags_redirect_target(), "{prepared:?}");
        peer::undo(&netlink, &preparation).await.unwrap();
        assert_eq!(get(&netlink, ha).await.unwrap(), Some(before));
    });
}

#[test]
fn a_missing_link_has_no_xdp_features() {
    let Some(ns) = Scratch::new() else { return };
    ns.block_on(async |netlink| {
        assert!(get(&netlink, LinkIndex(4711)).await.unwrap_err().is_no_such_link());
    });
}

#[test]
fn rx_queues_are_set_and_the_old_count_is_told() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha numrxqueues 4 numtxqueues 4 type veth peer name hb numrxqueues 4 numtxqueues 4");
    ns.block_on(async |netlink| {
        let ha = index(&netlink, "ha").await;
        let before = channels::get(&netlink, ha).await.unwrap();
        assert_eq!((before.max_rx, before.max_tx), (4, 4));
        assert_eq!(channels::set_rx(&netlink, ha, 3).await.unwrap(), before.rx);
        assert_eq!(channels::get(&netlink, ha).await.unwrap(), channels::Channels { rx: 3, ..before });
        let error = channels::set_rx(&netlink, ha, 5).await.unwrap_err();
        assert!(matches!(error, NetlinkError::Link { .. }), "{error}");
        assert_eq!(channels::set_rx(&netlink, ha, before.rx).await.unwrap(), 3);
        assert_eq!(channels::get(&netlink, ha).await.unwrap(), before);
    });
}
