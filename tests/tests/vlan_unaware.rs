//! Networks that know nothing of VLANs: a tag is payload, whatever it says, and so is what is behind it.

use std::net::Ipv4Addr;

use vswitch_tests::prelude::*;

/// An individual address that nobody has.
const NOBODY: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0xde, 0xad]);

/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(500);

each_hook!(tags_pass_untouched, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(); 3]);
    for (tpid, tci) in [
        (frame::DOT1Q, 10),
        (frame::DOT1Q, 0x6000),
        (frame::DOT1Q, 0xffff),
        (frame::DOT1AD, 20),
        (frame::DOT1AD, 0xe000 | 4094),
    ] {
        let tagged = |frame: &[u8]| frame::insert_tag(frame, tpid, tci);
        s.expect_unchanged(0, &tagged(&s.broadcast(0)), &[1, 2]);
        s.expect_unchanged(1, &tagged(&s.frame(1, NOBODY)), &[0, 2]);
        s.expect_unchanged(0, &tagged(&s.frame(0, s.mac(1))), &[1]);
        s.expect_unchanged(1, &tagged(&s.frame(1, s.mac(0))), &[0]);
        let double = frame::insert_tag(&frame::tagged(&s.frame(1, s.mac(0)), 30, 2), tpid, tci);
        s.expect_unchanged(1, &double, &[0]);
        let double = frame::insert_tag(&frame::tagged(&s.broadcast(0), 30, 2), tpid, tci);
        s.expect_unchanged(0, &double, &[1, 2]);
    }
});

each_hook!(vswitch a_tag_in_metadata_passes_untouched, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(); 3]);
    let sending = vswitch_tests::bpf::tag_in_metadata(s.host(0), frame::DOT1Q, 0xa000 | 77);
    let frame = s.broadcast(0);
    let tagged = frame::tagged(&frame, 77, 5);
    s.expect(0, &frame, &[(1, tagged.clone()), (2, tagged)]);
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
    let known = s.frame(0, s.mac(1));
    s.expect(0, &known, &[(1, frame::tagged(&known, 77, 5))]);
    drop(sending);
});

each_hook!(long_frames_with_one_tag_or_two_pass, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(); 3]);
    // An MTU counts neither header nor tag.
    for (mark, to, reached) in [(9001, MacAddr::BROADCAST, &[1, 2][..]), (9002, s.mac(0), &[0])] {
        let from = usize::from(to != MacAddr::BROADCAST);
        let full = frame::marked_as(to, s.mac(from), frame::EXPERIMENTAL, mark, 1514);
        s.expect_unchanged(from, &frame::tagged(&full, 10, 0), reached);
    }
    let shorter = frame::marked_as(s.mac(0), s.mac(1), frame::EXPERIMENTAL, 9003, 1510);
    s.expect_unchanged(1, &frame::tagged(&frame::tagged(&shorter, 10, 0), 20, 0), &[0]);
});

each_hook!(vswitch arp_behind_a_tag_is_neither_answered_nor_learned, |lab| {
    let known = Ipv4Addr::new(10, 77, 0, 77);
    let owner = MacAddr::from_octets([2, 0x77, 0, 0, 0, 2]);
    let configured = PortOptions::default().with(&["--ip", "10.77.0.77", "--mac", &owner.to_string()]);
    let s = Stations::connect(&mut lab, vec![PortOptions::default(), configured, PortOptions::default()]);
    let asker = (s.mac(0), Ipv4Addr::new(10, 77, 0, 1));
    let is_arp = |frame: &[u8]| frame::arp_of(frame).is_some();
    // Without a tag the switch knows and answers.
    s.host(0).inject(&frame::arp_request(asker, known));
    s.heard(0).expect_exactly(1, is_arp, SOON);
    s.heard(2).expect_none(is_arp, Duration::ZERO);
    s.heard(0).clear();
    for tpid in [frame::DOT1Q, frame::DOT1AD] {
        for target in [known, Ipv4Addr::new(10, 77, 0, 200)] {
            let request = frame::insert_tag(&frame::arp_request(asker, target), tpid, 10);
            s.host(0).inject(&request);
            for other in [1, 2] {
                let seen = s.heard(other).expect_exactly(1, is_arp, SOON);
                assert_eq!(seen[0].frame, request);
                s.heard(other).clear();
            }
        }
    }
    s.heard(0).expect_none(is_arp, QUIET);
    // Somebody who says behind a tag that he has an address has not said so here.
    let speaker = (s.mac(2), Ipv4Addr::new(10, 77, 0, 33));
    let announcement = frame::tagged(&frame::gratuitous_arp(speaker), 10, 0);
    s.host(2).inject(&announcement);
    s.heard(0).expect_exactly(1, is_arp, SOON);
    let request = frame::arp_request(asker, speaker.1);
    s.heard(1).clear();
    s.host(0).inject(&request);
    let seen = s.heard(1).expect_exactly(1, is_arp, SOON);
    assert_eq!(seen[0].frame, request);
    assert_eq!(lab.switch().counters(s.port(0)).answered, 1);
});
