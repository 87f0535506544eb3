//! Rows about the sizes of frames.

use super::trial::Case;
use super::{Answer, Row, Trial};
use crate::frame;
use crate::lab::PortOptions;
use crate::switch::NetworkOptions;

pub(super) const ROWS: &[Row] = &[
    Row {
        behaviour: "A full frame passes with a tag on top of its 1500 octets",
        source: "802.3 3.2.7",
        run: tag_on_top,
    },
    Row { behaviour: "So does one with two tags", source: "802.1ad, 802.3 3.2.7", run: two_tags_on_top },
    Row {
        behaviour: "Frames of 9,000 octets pass between links that take them",
        source: "802.1Q 6.5.8",
        run: jumbo,
    },
    Row {
        behaviour: "A frame that is too big for its port's link is dropped whole, and others get it",
        source: "802.1Q 6.5.8, 802.1D 6.3.8",
        run: too_big,
    },
];

fn tag_on_top(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let flood = frame::tagged(&t.long(0, vswitch_common::mac::MacAddr::BROADCAST, 1500), 10, 0);
    let known = frame::tagged(&t.long(1, t.mac(0), 1500), 10, 0);
    t.check(&[Case::unchanged("a flood", 0, &flood, &[1, 2]), Case::unchanged("unicast", 1, &known, &[0])])
}

fn two_tags_on_top(t: &mut Trial) -> Answer {
    // The first link could not even send it.
    t.resize(0, 1600);
    t.plain(2)?;
    let said = t.broadcast(1);
    let full = t.long(0, t.mac(1), 1500);
    let double = frame::insert_tag(&frame::tagged(&full, 20, 0), frame::DOT1AD, 10);
    t.check(&[Case::unchanged("a broadcast", 1, &said, &[0]), Case::unchanged("unicast", 0, &double, &[1])])
}

fn jumbo(t: &mut Trial) -> Answer {
    t.resize(0, 9000);
    t.resize(1, 9000);
    t.plain(2)?;
    let flood = t.long(0, vswitch_common::mac::MacAddr::BROADCAST, 9000);
    let known = t.long(1, t.mac(0), 9000);
    t.check(&[Case::unchanged("a flood", 0, &flood, &[1]), Case::unchanged("unicast", 1, &known, &[0])])
}

fn too_big(t: &mut Trial) -> Answer {
    t.resize(0, 9000);
    t.resize(2, 9000);
    t.connect(&NetworkOptions::default(), vec![PortOptions::default(); 3])?;
    let said = t.broadcast(1);
    let (known, flood) =
        (t.long(0, t.mac(1), 2000), t.long(0, vswitch_common::mac::MacAddr::BROADCAST, 2000));
    t.check(&[
        Case::unchanged("a broadcast", 1, &said, &[0, 2]),
        Case::unchanged("unicast", 0, &known, &[]),
        Case::unchanged("a flood", 0, &flood, &[2]),
    ])
}
