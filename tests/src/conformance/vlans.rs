//! Rows about VLANs.

use vswitch_common::mac::MacAddr;

use super::forwarding::{NOBODY, STATION};
use super::trial::Case;
use super::{Answer, Row, Trial};
use crate::frame;
use crate::lab::PortOptions;

pub(super) const ROWS: &[Row] = &[
    Row {
        behaviour: "Ports of a VLAN reach each other and no port of another VLAN",
        source: "802.1Q 8.6.2, 8.6.4",
        run: apart,
    },
    Row {
        behaviour: "Towards a trunk a tag is pushed, towards an access port popped, by unicast and by flood",
        source: "802.1Q 6.9.2, 9.6",
        run: push_and_pop,
    },
    Row {
        behaviour: "A trunk's native VLAN is untagged both ways",
        source: "802.1Q 6.9.1, 8.8.2",
        run: native,
    },
    Row {
        behaviour: "A priority tag (VID 0) is of the port's own VLAN",
        source: "802.1Q 6.9.1, table 9-2",
        run: priority_tag,
    },
    Row { behaviour: "VID 4095 is dropped", source: "802.1Q table 9-2", run: vid_4095 },
    Row { behaviour: "VIDs 1 and 4094 are carried", source: "802.1Q table 9-2", run: first_and_last },
    Row {
        behaviour: "A trunk takes and gives the VLANs of its list alone",
        source: "802.1Q 8.6.2, 8.6.4",
        run: trunk_list,
    },
    Row {
        behaviour: "A trunk without a native VLAN takes no untagged frames",
        source: "802.1Q 6.9.1 (acceptable frame types)",
        run: tagged_only,
    },
    Row {
        behaviour: "An access port takes no frame that is tagged for another VLAN",
        source: "802.1Q 8.6.2",
        run: foreign_tag,
    },
    Row {
        behaviour: "An access port takes frames that are tagged for its own VLAN",
        source: "802.1Q 6.9.1",
        run: own_tag,
    },
    Row {
        behaviour: "One address in two VLANs is two stations",
        source: "802.1Q 8.8.8 (independent learning)",
        run: independent_learning,
    },
    Row { behaviour: "The priority outlives the journey", source: "802.1Q 6.9.3", run: priority },
    Row {
        behaviour: "Only the outer tag classifies; what is behind it is payload",
        source: "802.1Q 8.6, 9.5",
        run: outer_tag,
    },
    Row {
        behaviour: "A trunk carries 802.1ad service tags as the VLANs they name",
        source: "802.1ad, 802.1Q 15",
        run: service_tag,
    },
    Row {
        behaviour: "A tag that the sender's stack keeps beside the frame counts like one in it",
        source: "Linux (`skb->vlan_tci`)",
        run: metadata,
    },
    Row {
        behaviour: "A network that knows no VLANs carries any tag, or two, untouched",
        source: "802.1D 7.7, 802.1Q 5.14",
        run: unaware,
    },
];

fn c(frame: &[u8], vid: u16) -> Vec<u8> {
    frame::tagged(frame, vid, 0)
}

fn access(vid: u16) -> PortOptions {
    PortOptions::access(vid)
}

fn trunk(vids: &str) -> PortOptions {
    PortOptions::trunk(vids)
}

fn native_trunk(vids: &str, vid: u16) -> PortOptions {
    trunk(vids).with(&["--native", &vid.to_string()])
}

fn apart(t: &mut Trial) -> Answer {
    t.vlans(vec![access(10), access(10), access(20), access(20)])?;
    let (flood, back, other, strange) =
        (t.broadcast(0), t.frame(1, t.mac(0)), t.broadcast(2), t.frame(3, t.mac(0)));
    t.check(&[
        Case::unchanged("a broadcast", 0, &flood, &[1]),
        Case::unchanged("a frame to a known station", 1, &back, &[0]),
        Case::unchanged("a broadcast in the other VLAN", 2, &other, &[3]),
        Case::unchanged("a frame to a station of the other VLAN", 3, &strange, &[2]),
    ])
}

fn push_and_pop(t: &mut Trial) -> Answer {
    t.vlans(vec![access(10), trunk("10,20"), access(20)])?;
    let (flood, down, known, back) =
        (t.broadcast(0), t.frame(1, NOBODY), t.frame(1, t.mac(0)), t.frame(0, t.mac(1)));
    t.check(&[
        Case::new("a flood to the trunk", 0, &flood, &[(1, &c(&flood, 10))]),
        Case::new("a flood from the trunk", 1, &c(&down, 10), &[(0, &down)]),
        Case::new("unicast from the trunk", 1, &c(&known, 10), &[(0, &known)]),
        Case::new("unicast to the trunk", 0, &back, &[(1, &c(&back, 10))]),
    ])
}

fn native(t: &mut Trial) -> Answer {
    t.vlans(vec![native_trunk("20", 10), access(10), access(20)])?;
    let (untagged, tagged, back) = (t.broadcast(0), t.broadcast(0), t.frame(1, t.mac(0)));
    let other = t.frame(2, t.mac(0));
    t.check(&[
        Case::unchanged("an untagged frame", 0, &untagged, &[1]),
        Case::new("a tagged frame", 0, &c(&tagged, 20), &[(2, &tagged)]),
        Case::unchanged("a frame of the native VLAN", 1, &back, &[0]),
        Case::new("a frame of another VLAN", 2, &other, &[(0, &c(&other, 20))]),
    ])
}

fn priority_tag(t: &mut Trial) -> Answer {
    t.vlans(vec![access(10), access(10), trunk("10,20")])?;
    let frame = t.broadcast(0);
    t.check(&[Case::new("a flood", 0, &c(&frame, 0), &[(1, &frame), (2, &c(&frame, 10))])])
}

fn vid_4095(t: &mut Trial) -> Answer {
    t.vlans(vec![trunk("all"), trunk("all"), access(10)])?;
    let (flood, other) = (t.broadcast(0), t.broadcast(2));
    t.check(&[
        Case::unchanged("at a trunk", 0, &c(&flood, 4095), &[]),
        Case::unchanged("at an access port", 2, &c(&other, 4095), &[]),
    ])
}

fn first_and_last(t: &mut Trial) -> Answer {
    t.vlans(vec![trunk("all"), trunk("1,4094"), access(4094)])?;
    let (first, last) = (t.broadcast(0), t.broadcast(0));
    t.check(&[
        Case::new("VID 1", 0, &c(&first, 1), &[(1, &c(&first, 1))]),
        Case::new("VID 4094", 0, &c(&last, 4094), &[(1, &c(&last, 4094)), (2, &last)]),
    ])
}

fn trunk_list(t: &mut Trial) -> Answer {
    t.vlans(vec![trunk("10,20-22"), trunk("all")])?;
    let mut cases = Vec::new();
    for (vid, is_member) in [(10, true), (20, true), (22, true), (9, false), (11, false), (23, false)] {
        let (out, back) = (c(&t.broadcast(0), vid), c(&t.broadcast(1), vid));
        cases.push(Case::unchanged("from it", 0, &out, if is_member { &[1] } else { &[] }));
        cases.push(Case::unchanged("to it", 1, &back, if is_member { &[0] } else { &[] }));
    }
    t.check(&cases)
}

fn tagged_only(t: &mut Trial) -> Answer {
    t.vlans(vec![trunk("all"), trunk("all")])?;
    let frame = t.broadcast(0);
    t.check(&[Case::unchanged("an untagged frame", 0, &frame, &[])])
}

fn foreign_tag(t: &mut Trial) -> Answer {
    t.vlans(vec![access(10), trunk("all"), access(20)])?;
    let frame = t.broadcast(0);
    t.check(&[Case::unchanged("a frame tagged 20 at a port of 10", 0, &c(&frame, 20), &[])])
}

fn own_tag(t: &mut Trial) -> Answer {
    t.vlans(vec![access(10), access(10), trunk("all")])?;
    let frame = t.broadcast(0);
    t.check(&[Case::new("a flood", 0, &c(&frame, 10), &[(1, &frame), (2, &c(&frame, 10))])])
}

fn independent_learning(t: &mut Trial) -> Answer {
    t.vlans(vec![access(10), access(20), trunk("10,20")])?;
    let (ten, twenty) = (t.frame_of(STATION, MacAddr::BROADCAST), t.frame_of(STATION, MacAddr::BROADCAST));
    let (to_ten, to_twenty) = (t.frame(2, STATION), t.frame(2, STATION));
    t.check(&[
        Case::new("it speaks in VLAN 10", 0, &ten, &[(2, &c(&ten, 10))]),
        Case::new("and in VLAN 20", 1, &twenty, &[(2, &c(&twenty, 20))]),
        Case::new("to it in VLAN 10", 2, &c(&to_ten, 10), &[(0, &to_ten)]),
        Case::new("to it in VLAN 20", 2, &c(&to_twenty, 20), &[(1, &to_twenty)]),
    ])
}

fn priority(t: &mut Trial) -> Answer {
    t.vlans(vec![trunk("10"), trunk("10"), access(10)])?;
    let (flood, known, low) = (t.broadcast(0), t.frame(1, t.mac(0)), t.broadcast(2));
    let (five, seven) = (frame::tagged(&flood, 10, 5), frame::tagged(&known, 10, 7));
    let six = frame::tagged(&low, 10, 6);
    t.check(&[
        Case::new("a flood", 0, &five, &[(1, &five), (2, &flood)]),
        Case::unchanged("unicast", 1, &seven, &[0]),
        Case::new("of a priority tag", 2, &frame::tagged(&low, 0, 6), &[(0, &six), (1, &six)]),
    ])
}

fn outer_tag(t: &mut Trial) -> Answer {
    t.vlans(vec![trunk("10,20"), trunk("10"), access(10), access(20)])?;
    let inside = c(&t.broadcast(0), 20);
    let two = c(&inside, 10);
    t.check(&[Case::new("two customer tags", 0, &two, &[(1, &two), (2, &inside)])])
}

fn service_tag(t: &mut Trial) -> Answer {
    t.vlans(vec![trunk("10,20"), trunk("10"), access(10), access(20)])?;
    let inside = c(&t.broadcast(0), 20);
    let double = frame::insert_tag(&inside, frame::DOT1AD, 10);
    let known = frame::insert_tag(&c(&t.frame(1, t.mac(0)), 3000), frame::DOT1AD, 10);
    t.check(&[
        Case::new("a flood", 0, &double, &[(1, &double), (2, &inside)]),
        Case::unchanged("unicast", 1, &known, &[0]),
    ])
}

fn metadata(t: &mut Trial) -> Answer {
    t.vlans(vec![trunk("10,20"), trunk("10"), access(10), access(20)])?;
    let sending = crate::bpf::tag_in_metadata(t.host(0), frame::DOT1Q, 5 << 13 | 10);
    let (flood, back, known) = (t.broadcast(0), t.frame(2, t.mac(0)), t.frame(0, t.mac(2)));
    let answer = t.check(&[
        Case::new("a flood", 0, &flood, &[(1, &frame::tagged(&flood, 10, 5)), (2, &flood)]),
        Case::new("the way back", 2, &back, &[(0, &c(&back, 10))]),
        Case::unchanged("unicast", 0, &known, &[2]),
    ]);
    drop(sending);
    answer
}

fn unaware(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let mut cases = Vec::new();
    for (tpid, tci) in [(frame::DOT1Q, 10), (frame::DOT1Q, 0x6fff), (frame::DOT1AD, 0xe000 | 20)] {
        let tag = |frame: &[u8]| frame::insert_tag(frame, tpid, tci);
        let (flood, known) = (tag(&t.broadcast(0)), tag(&t.frame(1, t.mac(0))));
        let double = tag(&c(&t.frame(1, t.mac(0)), 30));
        cases.push(Case::unchanged("a flood", 0, &flood, &[1, 2]));
        cases.push(Case::unchanged("unicast", 1, &known, &[0]));
        cases.push(Case::unchanged("two tags", 1, &double, &[0]));
    }
    t.check(&cases)
}
