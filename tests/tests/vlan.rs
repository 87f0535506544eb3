//! VLANs (802.1Q): who is in one, who gets a frame with a tag and who without, and that all else in the frame stays as it was.

use vswitch_tests::prelude::*;

/// An individual address that nobody has.
const NOBODY: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0xde, 0xad]);

/// Stations at ports of a VLAN-aware network.
fn campus(lab: &mut Lab, ports: &[PortOptions]) -> Stations {
    lab.switch().ok(&["network", "create", "campus", "--vlan-aware"]);
    let on_campus =
        |options: &PortOptions| PortOptions { network: Some("campus".to_owned()), ..options.clone() };
    Stations::connect(lab, ports.iter().map(on_campus).collect())
}

fn access(vid: u16) -> PortOptions {
    PortOptions::access(vid)
}

fn trunk(vids: &str) -> PortOptions {
    PortOptions::trunk(vids)
}

fn native(vids: &str, vid: u16) -> PortOptions {
    PortOptions::trunk(vids).with(&["--native", &vid.to_string()])
}

/// A frame with a customer tag.
fn c_tagged(frame: &[u8], vid: u16) -> Vec<u8> {
    frame::tagged(frame, vid, 0)
}

/// A frame with a service tag.
fn s_tagged(frame: &[u8], vid: u16) -> Vec<u8> {
    frame::insert_tag(frame, frame::DOT1AD, vid)
}

/// Waits until a port has dropped `count` frames for `reason`.
fn expect_drops(lab: &Lab, port: &str, reason: &str, count: u64) {
    let drops = || lab.switch().counters(port).drops.get(reason).copied().unwrap_or(0);
    until(&format!("{count} × {reason} at {port}"), SOON, || (drops() == count).then_some(()));
}

each_hook!(vswitch access_ports_reach_their_own_vlan_alone, |lab| {
    let s = campus(&mut lab, &[access(10), access(10), access(20), access(20)]);
    s.expect_unchanged(0, &s.broadcast(0), &[1]);
    s.expect_unchanged(0, &s.frame(0, NOBODY), &[1]);
    s.expect_unchanged(2, &s.broadcast(2), &[3]);
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
    // Known in VLAN 10, unknown in VLAN 20.
    s.expect_unchanged(3, &s.frame(3, s.mac(0)), &[2]);
});

each_hook!(vswitch tags_are_pushed_towards_a_trunk_and_popped_towards_an_access_port, |lab| {
    let s = campus(&mut lab, &[access(10), trunk("10,20"), access(20)]);
    let (a, c) = (s.broadcast(0), s.broadcast(2));
    s.expect(0, &a, &[(1, c_tagged(&a, 10))]);
    s.expect(2, &c, &[(1, c_tagged(&c, 20))]);
    let flooded = s.frame(1, NOBODY);
    s.expect(1, &c_tagged(&flooded, 10), &[(0, flooded)]);
    let known = s.frame(1, s.mac(0));
    s.expect(1, &c_tagged(&known, 10), &[(0, known)]);
    let back = s.frame(0, s.mac(1));
    s.expect(0, &back, &[(1, c_tagged(&back, 10))]);
    // The host of VLAN 10 is nobody in VLAN 20.
    let strange = s.frame(1, s.mac(0));
    s.expect(1, &c_tagged(&strange, 20), &[(2, strange)]);
});

each_hook!(vswitch a_long_frame_is_tagged_and_untagged_without_a_scratch, |lab| {
    let s = campus(&mut lab, &[access(10), trunk("all")]);
    let frame = frame::marked_as(MacAddr::BROADCAST, s.mac(0), frame::EXPERIMENTAL, 1000, 1514);
    s.expect(0, &frame, &[(1, c_tagged(&frame, 10))]);
    let back = frame::marked_as(s.mac(0), s.mac(1), frame::EXPERIMENTAL, 1001, 1514);
    s.expect(1, &c_tagged(&back, 10), &[(0, back)]);
    let known = frame::marked_as(s.mac(1), s.mac(0), frame::EXPERIMENTAL, 1002, 1514);
    s.expect(0, &known, &[(1, c_tagged(&known, 10))]);
});

each_hook!(vswitch the_priority_of_a_frame_outlives_its_journey, |lab| {
    let s = campus(&mut lab, &[trunk("10"), trunk("10"), native("20", 10), access(10)]);
    let frame = s.broadcast(0);
    let tagged = frame::tagged(&frame, 10, 5);
    s.expect(0, &tagged, &[(1, tagged.clone()), (2, frame.clone()), (3, frame)]);
    let known = frame::tagged(&s.frame(1, s.mac(0)), 10, 7);
    s.expect_unchanged(1, &known, &[0]);
    // Of a priority tag the priority is left, too.
    let frame = s.broadcast(3);
    s.expect(3, &frame::tagged(&frame, 0, 6), &[
        (0, frame::tagged(&frame, 10, 6)),
        (1, frame::tagged(&frame, 10, 6)),
        (2, frame),
    ]);
});

each_hook!(vswitch a_native_vlan_is_untagged_both_ways, |lab| {
    let s = campus(&mut lab, &[native("20", 10), access(10), access(20), trunk("10,20")]);
    let untagged = s.broadcast(0);
    s.expect(0, &untagged, &[(1, untagged.clone()), (3, c_tagged(&untagged, 10))]);
    let tagged = s.broadcast(0);
    s.expect(0, &c_tagged(&tagged, 20), &[(2, tagged.clone()), (3, c_tagged(&tagged, 20))]);
    let back = s.frame(1, s.mac(0));
    s.expect_unchanged(1, &back, &[0]);
    let back = s.frame(2, s.mac(0));
    s.expect(2, &back, &[(0, c_tagged(&back, 20))]);
    let back = s.frame(3, s.mac(0));
    s.expect(3, &c_tagged(&back, 10), &[(0, back)]);
});

each_hook!(vswitch a_trunk_without_a_native_vlan_takes_no_untagged_frames, |lab| {
    let s = campus(&mut lab, &[trunk("10"), trunk("10")]);
    s.expect(0, &s.broadcast(0), &[]);
    s.expect(0, &frame::tagged(&s.broadcast(0), 0, 3), &[]);
    expect_drops(&lab, s.port(0), "invalid-vlan", 2);
    assert!(lab.switch().fdb_show(&[]).is_empty());
});

each_hook!(vswitch a_priority_tag_is_of_the_ports_own_vlan, |lab| {
    let s = campus(&mut lab, &[access(10), access(10), native("20", 10), trunk("10,20")]);
    let frame = s.broadcast(0);
    let arrives = [(1, frame.clone()), (2, frame.clone()), (3, c_tagged(&frame, 10))];
    s.expect(0, &c_tagged(&frame, 0), &arrives);
    let frame = s.frame(2, s.mac(0));
    s.expect(2, &c_tagged(&frame, 0), &[(0, frame)]);
});

each_hook!(vswitch vid_4095_is_dropped, |lab| {
    let s = campus(&mut lab, &[trunk("all"), trunk("all"), access(10), access(10)]);
    s.expect(0, &c_tagged(&s.broadcast(0), 4095), &[]);
    s.expect(0, &c_tagged(&s.frame(0, s.mac(1)), 4095), &[]);
    s.expect(2, &c_tagged(&s.broadcast(2), 4095), &[]);
    expect_drops(&lab, s.port(0), "invalid-vlan", 2);
    expect_drops(&lab, s.port(2), "invalid-vlan", 1);
    assert!(lab.switch().fdb_show(&[]).is_empty());
});

each_hook!(vswitch an_access_port_takes_its_own_tag_and_no_other, |lab| {
    let s = campus(&mut lab, &[access(10), access(10), access(20), trunk("all")]);
    let frame = s.broadcast(0);
    s.expect(0, &c_tagged(&frame, 10), &[(1, frame.clone()), (3, c_tagged(&frame, 10))]);
    let known = s.frame(1, s.mac(0));
    s.expect(1, &c_tagged(&known, 10), &[(0, known)]);
    s.expect(2, &c_tagged(&s.broadcast(2), 10), &[]);
    s.expect(2, &c_tagged(&s.frame(2, s.mac(0)), 10), &[]);
    expect_drops(&lab, s.port(2), "vlan-not-allowed", 2);
    assert!(lab.switch().fdb_show(&[]).iter().all(|entry| entry.mac != s.mac(2)));
});

each_hook!(vswitch a_trunk_carries_just_the_vlans_of_its_list, |lab| {
    let s = campus(&mut lab, &[trunk("10,20,100-200"), trunk("all")]);
    for vid in [10, 20, 100, 101, 163, 164, 199, 200] {
        s.expect_unchanged(0, &c_tagged(&s.broadcast(0), vid), &[1]);
        s.expect_unchanged(1, &c_tagged(&s.broadcast(1), vid), &[0]);
        s.expect_unchanged(0, &c_tagged(&s.frame(0, s.mac(1)), vid), &[1]);
    }
    let refused = [1, 9, 11, 21, 99, 201, 4094];
    for vid in refused {
        s.expect(0, &c_tagged(&s.broadcast(0), vid), &[]);
        s.expect(1, &c_tagged(&s.broadcast(1), vid), &[]);
    }
    expect_drops(&lab, s.port(0), "vlan-not-allowed", refused.len() as u64);
});

each_hook!(vswitch every_vlan_from_1_to_4094_is_carried_and_learned, |lab| {
    let s = campus(&mut lab, &[trunk("all"), trunk("all")]);
    let vids: Vec<u16> = (1..=4094).collect();
    for (from, to, address) in [(0, 1, MacAddr::BROADCAST), (1, 0, s.mac(0)), (0, 1, s.mac(1))] {
        for batch in vids.chunks(64) {
            s.heard(to).clear();
            let frames: Vec<_> = batch.iter().map(|vid| c_tagged(&s.frame(from, address), *vid)).collect();
            s.host(from).inject_all(&frames);
            let arrived = || s.heard(to).received(|frame| frame::mark_of(frame).is_some());
            vswitch_tests::wait::poll(SOON, || (arrived().len() >= frames.len()).then_some(()));
            let mut seen: Vec<_> = arrived().into_iter().map(|captured| captured.frame).collect();
            seen.sort();
            let mut sent = frames;
            sent.sort();
            assert!(seen == sent, "VLANs {batch:?}, to {address}: {} of {} arrived", seen.len(), sent.len());
        }
    }
    // Each VLAN has learned both stations for itself.
    assert_eq!(lab.switch().fdb_show(&["--network", "campus"]).len(), 2 * vids.len());
});

each_hook!(vswitch a_station_may_be_at_another_port_in_another_vlan, |lab| {
    let s = campus(&mut lab, &[access(10), access(20), trunk("10,20"), access(10), access(20)]);
    let twin = MacAddr::from_octets([2, 0, 0, 0, 0, 0x77]);
    for _ in 0..2 {
        for (port, vid, other) in [(0, 10, 3), (1, 20, 4)] {
            let frame = s.frame_of(twin, MacAddr::BROADCAST);
            s.expect(port, &frame, &[(2, c_tagged(&frame, vid)), (other, frame.clone())]);
        }
    }
    for (port, vid) in [(0, 10), (1, 20)] {
        let frame = s.frame(2, twin);
        s.expect(2, &c_tagged(&frame, vid), &[(port, frame)]);
        let shown = lab.switch().fdb_show(&["--vlan", &vid.to_string(), "--mac", &twin.to_string()]);
        let found: Vec<_> = shown.iter().map(|entry| (entry.port.as_str(), entry.vlan.map(|v| v.get()))).collect();
        assert_eq!(found, [(s.port(port), Some(vid))]);
    }
    let events = lab.switch().fdb_show(&["--mac", &twin.to_string()]);
    assert_eq!(events.len(), 2, "{events:?}");
});

each_hook!(vswitch a_flood_reaches_tagged_and_untagged_members_once, |lab| {
    let s = campus(&mut lab, &[
        access(10),
        access(10),
        trunk("10,20"),
        native("20", 10),
        trunk("20"),
        access(20),
        trunk("all"),
        native("all", 30),
    ]);
    for from in [0, 2, 3, 6] {
        for to in [MacAddr::BROADCAST, NOBODY, MacAddr::from_octets([1, 0, 0x5e, 1, 2, 3])] {
            let bare = s.frame(from, to);
            let tagged = c_tagged(&bare, 10);
            let sent = if [0, 3].contains(&from) { &bare } else { &tagged };
            let members = [(0, &bare), (1, &bare), (2, &tagged), (3, &bare), (6, &tagged), (7, &tagged)];
            let others = members.iter().filter(|(number, _)| *number != from);
            let expected: Vec<_> = others.map(|(number, frame)| (*number, (*frame).clone())).collect();
            s.expect(from, sent, &expected);
        }
    }
});

each_hook!(vswitch a_service_tag_is_classified_and_what_is_inside_is_payload, |lab| {
    let s = campus(&mut lab, &[trunk("10,20"), trunk("10"), access(10), access(20)]);
    let (bare, known) = (s.broadcast(0), s.frame(1, s.mac(0)));
    let inside = c_tagged(&bare, 20);
    let double = s_tagged(&inside, 10);
    // Trunks carry it as it is; an access port of the outer VLAN gets what is inside, one of the inner VLAN nothing.
    s.expect(0, &double, &[(1, double.clone()), (2, inside)]);
    let double = s_tagged(&c_tagged(&known, 20), 10);
    s.expect_unchanged(1, &double, &[0]);
    let single = s_tagged(&s.broadcast(0), 20);
    s.expect(0, &single, &[(3, bytes_behind_tag(&single))]);
    let back = s_tagged(&c_tagged(&s.frame(0, s.mac(1)), 3000), 10);
    s.expect_unchanged(0, &back, &[1]);
    let two = c_tagged(&c_tagged(&s.broadcast(0), 20), 10);
    s.expect(0, &two, &[(1, two.clone()), (2, bytes_behind_tag(&two))]);
});

/// The frame without its outer tag.
fn bytes_behind_tag(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &frame[16..]].concat()
}

each_hook!(vswitch a_tag_in_metadata_is_a_tag, |lab| {
    let s = campus(&mut lab, &[trunk("10,20"), trunk("10"), access(10), access(20)]);
    let sending = vswitch_tests::bpf::tag_in_metadata(s.host(0), frame::DOT1Q, 5 << 13 | 10);
    let bare = s.broadcast(0);
    let tagged = frame::tagged(&bare, 10, 5);
    s.expect(0, &bare, &[(1, tagged), (2, bare.clone())]);
    let back = s.frame(2, s.mac(0));
    s.expect(2, &back, &[(0, c_tagged(&back, 10))]);
    let known = s.frame(0, s.mac(2));
    s.expect(0, &known, &[(2, known.clone())]);
    drop(sending);
    let sending = vswitch_tests::bpf::tag_in_metadata(s.host(0), frame::DOT1AD, 20);
    let inside = c_tagged(&s.broadcast(0), 10);
    s.expect(0, &inside, &[(3, inside.clone())]);
    drop(sending);
});
