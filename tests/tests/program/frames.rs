//! Frames of every size and kind: tags pass untouched, the MTU counts neither header nor tag, GSO frames count as many.

use vswitch_tests::frame::{self, DOT1AD, EXPERIMENTAL, marked_as};
use vswitch_tests::program::*;
use vswitch_tests::wait::{SOON, until};

use crate::both::Case;

/// Behind B.
const KNOWN: MacAddr = station(2);
/// The sender, at A.
const SENDER: MacAddr = station(1);

fn know(fixture: &mut Fixture) {
    fixture.tc(B, &plain(KNOWN, KNOWN));
}

/// A frame from A to the station behind B, forwarded by either hook.
fn forwarded<'a>(name: &'a str, prepare: &'a dyn Fn(&mut Fixture), frame: Vec<u8>) -> Case<'a> {
    let counted = Tally::new().rx(A, frame.len()).tx(B, frame.len());
    Case { name, prepare, ingress: A, frame, xdp: End::Redirected, tc: End::Redirected, counted }
}

#[test]
fn a_frame_of_any_length_is_forwarded_as_it_is() {
    Fixture::run(2, |fixture| {
        let whole = plain(KNOWN, SENDER);
        for length in 14..=60 {
            let frame = whole[..length].to_vec();
            forwarded(&format!("{length} octets"), &know, frame.clone()).check(fixture);
            assert_eq!(fixture.tc(A, &frame).frame, frame);
        }
    });
}

#[test]
fn the_kernel_runs_no_program_over_a_frame_without_a_header() {
    Fixture::run(2, |fixture| {
        for hook in [Hook::Tc, Hook::Xdp] {
            let link = fixture.link(A).ifindex;
            assert!(fixture.try_run_at(hook, link, &plain(KNOWN, SENDER)[..13]).is_err(), "{hook:?}");
        }
        assert_eq!(fixture.tally(), Tally::new());
    });
}

#[test]
fn the_mtu_counts_neither_header_nor_tag() {
    Fixture::run(3, |fixture| {
        for mtu in [68, 1500, 3000] {
            let prepare = |fixture: &mut Fixture| {
                know(fixture);
                fixture.set(B, |config| config.mtu = mtu);
            };
            let largest = mtu as usize + 18;
            let frame = |length| marked_as(KNOWN, SENDER, EXPERIMENTAL, 1, length);
            forwarded(&format!("fits {mtu}"), &prepare, frame(largest)).check(fixture);
            let counted = Tally::new().rx(A, largest + 1).dropped(A, DropReason::TooBig);
            let case = forwarded("one octet too many", &prepare, frame(largest + 1));
            Case { xdp: End::Shot, tc: End::Shot, counted, ..case }.check(fixture);
        }
    });
}

#[test]
fn a_copy_that_is_too_big_is_dropped_at_its_port_and_the_others_go_out() {
    Fixture::run(3, |fixture| {
        let prepare = |fixture: &mut Fixture| fixture.set(B, |config| config.mtu = 1000);
        for (length, fits) in [(1018, true), (1019, false)] {
            let frame = marked_as(MacAddr::BROADCAST, SENDER, EXPERIMENTAL, 1, length);
            let counted = Tally::new().rx(A, length).tx(C, length);
            let counted = if fits { counted.tx(B, length) } else { counted.dropped(B, DropReason::TooBig) };
            let case = forwarded("flood", &prepare, frame);
            Case { xdp: End::Passed, tc: End::Shot, counted, ..case }.check(fixture);
        }
    });
}

#[test]
fn tags_pass_untouched() {
    Fixture::run(3, |fixture| {
        let listener = Listener::start(fixture);
        let untagged = |to| marked_as(to, SENDER, EXPERIMENTAL, 3, 60);
        let double = |to| frame::insert_tag(&frame::tagged(&untagged(to), 10, 5), DOT1AD, 20);
        let priority = |to| frame::tagged(&untagged(to), 0, 7);
        for (name, tagged) in [
            ("802.1Q", &(|to| frame::tagged(&untagged(to), 10, 5)) as &dyn Fn(MacAddr) -> Vec<u8>),
            ("802.1ad over 802.1Q", &double),
            ("priority tag", &priority),
        ] {
            forwarded(name, &know, tagged(KNOWN)).check(fixture);
            assert_eq!(fixture.tc(A, &tagged(KNOWN)).frame, tagged(KNOWN), "{name}");
            let broadcast = tagged(MacAddr::BROADCAST);
            fixture.tc(A, &broadcast);
            for port in [B, C] {
                until("the copy, tag and all", SOON, || {
                    listener.heard(port).contains(&broadcast).then_some(())
                });
            }
        }
    });
}

#[test]
fn xdp_takes_frames_of_several_buffers() {
    Fixture::run(2, |fixture| {
        know(fixture);
        fixture.set(B, |config| config.mtu = LINK_MTU);
        fixture.tally();
        // At tc, a run takes no more than a page.
        let frame = marked_as(KNOWN, SENDER, EXPERIMENTAL, 1, LINK_MTU as usize + 18);
        assert_eq!(fixture.xdp(A, &frame), Run { end: End::Redirected, frame: frame.clone() });
        assert_eq!(fixture.tally(), Tally::new().rx(A, frame.len()).by_xdp().tx(B, frame.len()));
    });
}

#[test]
fn a_gso_frame_counts_as_its_segments() {
    Fixture::run(2, |fixture| {
        know(fixture);
        fixture.tally();
        let frame = marked_as(KNOWN, SENDER, EXPERIMENTAL, 1, 3000);
        let gso = Gso { segments: 4, size: 700 };
        assert_eq!(
            fixture.tc_gso(A, &frame, gso).end,
            End::Redirected,
            "it is larger than the MTU, its segments not"
        );
        let counted = fixture.tally();
        assert_eq!((counted.of(A).rx_packets, counted.of(A).rx_bytes), (4, 3000));
        assert_eq!((counted.of(B).tx_packets, counted.of(B).tx_bytes), (4, 3000));
    });
}

#[test]
fn a_gso_frame_whose_segments_cannot_be_shown_to_fit_is_dropped() {
    Fixture::run(2, |fixture| {
        know(fixture);
        fixture.tally();
        // Too near the MTU to be sure, and no link that could be asked.
        fixture.set(B, |config| (config.mtu, config.ifindex) = (800, 0x7fff_0000));
        let frame = marked_as(KNOWN, SENDER, EXPERIMENTAL, 1, 3000);
        assert_eq!(fixture.tc_gso(A, &frame, Gso { segments: 4, size: 700 }).end, End::Shot);
        assert_eq!(fixture.tally().of(A).drops[DropReason::TooBig as usize], 4);
    });
}
