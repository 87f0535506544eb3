//! `vswitch trace`: says what then happens, and makes none of it happen.

use std::process::Output;

use serde_json::{Value, json};
use vswitch_tests::prelude::*;

/// Everything that a frame could change: ports with their counters, and who is known where.
fn state(lab: &Lab) -> (Value, Vec<(MacAddr, String)>) {
    let entries = lab.switch().fdb_show(&[]).into_iter();
    (lab.switch().json(&["port", "show"]), entries.map(|entry| (entry.mac, entry.port)).collect())
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn trace(lab: &Lab, link: &str, frame: &[u8]) -> Value {
    lab.switch().json(&["trace", link, &hex(frame)])
}

/// Names of the ports that a trace says the frame leaves by.
fn deliveries(trace: &Value) -> Vec<&str> {
    let ports = trace["deliveries"].as_array().expect("an array").iter();
    ports.map(|delivery| delivery["port"].as_str().expect("a name")).collect()
}

/// A switch with silent hosts a, b, c behind ports a0, b0, c0.
fn three(lab: &mut Lab) -> [Host; 3] {
    ["a", "b", "c"].map(|name| {
        let host = lab.host_with(name, HostOptions::bare());
        lab.connect(&host, PortOptions::default());
        host
    })
}

each_hook!(vswitch a_trace_says_what_happens_then_and_changes_nothing, |lab| {
    let [a, b, c] = three(&mut lab);
    let (at_a, at_b, at_c) = (a.sniff(), b.sniff(), c.sniff());
    let before = state(&lab);
    let to_all = frame::marked(MacAddr::BROADCAST, a.mac(), 1);
    let flood = trace(&lab, "a0", &to_all);
    assert_eq!((&flood["verdict"], &flood["learning"]), (&json!("flood"), &json!("insert")), "{flood}");
    assert_eq!(deliveries(&flood), ["b0", "c0"]);
    assert_eq!(state(&lab), before, "a trace learned or counted");

    a.inject(&to_all);
    at_b.expect_exactly(1, frame::has_mark(1), SOON);
    at_c.expect_exactly(1, frame::has_mark(1), SOON);
    b.inject(&frame::marked(a.mac(), b.mac(), 2));
    at_a.expect_exactly(1, frame::has_mark(2), SOON);

    let known = state(&lab);
    let to_b = trace(&lab, "a0", &frame::marked(b.mac(), a.mac(), 3));
    assert_eq!((&to_b["verdict"], deliveries(&to_b)), (&json!("forward"), vec!["b0"]), "{to_b}");
    let moved = trace(&lab, "c0", &frame::marked(b.mac(), a.mac(), 4));
    assert_eq!(moved["learning"], "move", "{moved}");
    let back = trace(&lab, "a0", &frame::marked(a.mac(), a.mac(), 5));
    assert_eq!((&back["verdict"], &back["reason"]), (&json!("drop"), &json!("same-port")), "{back}");
    let spanning = trace(&lab, "a0", &frame::marked(MacAddr::from_octets([1, 0x80, 0xc2, 0, 0, 0]), a.mac(), 6));
    assert_eq!((&spanning["reason"], &spanning["learning"]), (&json!("link-constrained"), &json!("refused")));
    assert_eq!(state(&lab), known, "a trace learned, moved or counted");
    for sniffer in [&at_a, &at_b, &at_c] {
        assert!((3..7).all(|mark| sniffer.received(frame::has_mark(mark)).is_empty()), "a trace was sent");
    }
});

#[test]
fn an_xdp_port_shows_both_hooks_and_which_one_ends_the_frame() {
    let Some(mut lab) = Hooks::Xdp.vswitch_lab("trace") else { return };
    let [a, b, _c] = three(&mut lab);
    let at_a = a.sniff();
    b.inject(&frame::marked(MacAddr::BROADCAST, b.mac(), 1));
    at_a.expect_exactly(1, frame::has_mark(1), SOON);
    let hooks = |trace: &Value| -> Vec<String> {
        let hooks = trace["hooks"].as_array().expect("an array").iter();
        hooks.map(|hook| hook["hook"].as_str().expect("a name").to_owned()).collect()
    };
    let unicast = trace(&lab, "a0", &frame::marked(b.mac(), a.mac(), 2));
    assert_eq!((hooks(&unicast), deliveries(&unicast)), (vec!["xdp".to_owned()], vec!["b0"]), "{unicast}");
    let flood = trace(&lab, "a0", &frame::marked(MacAddr::BROADCAST, a.mac(), 3));
    assert_eq!(hooks(&flood), ["xdp", "tc"], "{flood}");
    assert_eq!(flood["hooks"][0]["stages"][1]["answer"], "pass up to tc, untouched and uncounted");
}

/// A VLAN-aware network with a guarded access port and a trunk, at either hook: the tag is where that hook sees it.
#[test]
fn a_tagged_frame_is_seen_as_the_hook_will_see_it() {
    for hooks in [Hooks::Tc, Hooks::Xdp] {
        let Some(mut lab) = hooks.vswitch_lab("trace-vlan") else { return };
        lab.switch().ok(&["network", "create", "aware", "--vlan-aware"]);
        let [a, b, c] = ["a", "b", "c"].map(|name| lab.host_with(name, HostOptions::bare()));
        let options = |more: &[&str]| PortOptions::network("aware").with(more);
        lab.connect(&a, options(&["--trunk", "10,20"]));
        lab.connect(&b, options(&["--access", "10", "--isolated"]));
        lab.connect(&c, options(&["--access", "20"]));
        let before = state(&lab);
        let tagged =
            |vid: u16| frame::insert_tag(&frame::marked(MacAddr::BROADCAST, a.mac(), 1), 0x8100, vid);
        let ten = trace(&lab, "a0", &tagged(10));
        assert_eq!((&ten["vlan"], deliveries(&ten)), (&json!(10), vec!["b0"]), "{ten}");
        assert_eq!(ten["deliveries"][0]["tag"], "untagged");
        assert_eq!(ten["withheld"], json!([{"port": "c0", "reason": "vlan-not-allowed"}]));
        let foreign = trace(&lab, "a0", &tagged(30));
        assert_eq!(foreign["reason"], "vlan-not-allowed", "{foreign}");
        let back = trace(&lab, "b0", &frame::marked(MacAddr::BROADCAST, b.mac(), 2));
        assert_eq!(back["deliveries"], json!([{"port": "a0", "tag": "10"}]), "{back}");
        assert_eq!(state(&lab), before);
    }
}

#[test]
fn limits_and_guards_are_asked_and_not_spent() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("trace-limits") else { return };
    let (a, b) = (lab.host_with("a", HostOptions::bare()), lab.host_with("b", HostOptions::bare()));
    lab.connect(&a, PortOptions::default().with(&["--mac-limit", "1", "--storm", "broadcast=1"]));
    lab.connect(&b, PortOptions::default().with(&["--mac", &b.mac().to_string()]));
    let at_b = b.sniff();
    let broadcast = |mark| frame::marked(MacAddr::BROADCAST, a.mac(), mark);
    for _ in 0..50 {
        assert_eq!(trace(&lab, "a0", &broadcast(1))["verdict"], "flood", "a trace spent the port's burst");
    }
    a.inject(&broadcast(2));
    at_b.expect_exactly(1, frame::has_mark(2), SOON);
    let stranger = MacAddr::from_octets([2, 0, 0, 0, 0x77, 1]);
    assert_eq!(trace(&lab, "a0", &frame::marked(b.mac(), stranger, 3))["learning"], "no_room");
    let spoofed = trace(&lab, "b0", &frame::marked(a.mac(), stranger, 4));
    assert_eq!(spoofed["reason"], "spoofed-mac", "{spoofed}");
    let last = spoofed["hooks"][0]["stages"].as_array().expect("an array").last().expect("a stage");
    assert_eq!(last["stage"], "guard");
    // Longer than a test run of the kernel takes at once, and than the port.
    let long = [frame::marked(b.mac(), a.mac(), 5), vec![0; 8_000]].concat();
    let long = trace(&lab, "a0", &long);
    assert_eq!((&long["verdict"], &long["reason"]), (&json!("drop"), &json!("too-big")), "{long}");
}

#[test]
fn an_arp_request_is_traced_to_its_answer_and_asked_of_nobody() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("trace-arp") else { return };
    let (a, b) = (lab.host_with("a", HostOptions::bare()), lab.host_with("b", HostOptions::bare()));
    lab.connect(&a, PortOptions::default());
    lab.connect(&b, PortOptions::default().with(&["--mac", &b.mac().to_string(), "--ip", "10.0.0.2"]));
    let before = state(&lab);
    let ask = |target: [u8; 4]| frame::arp_request((a.mac(), [10, 0, 0, 1].into()), target.into());
    let known = trace(&lab, "a0", &ask([10, 0, 0, 2]));
    assert_eq!((&known["verdict"], deliveries(&known)), (&json!("answer"), vec!["a0"]), "{known}");
    let unknown = trace(&lab, "a0", &ask([10, 0, 0, 9]));
    assert_eq!(unknown["verdict"], "punt", "{unknown}");
    assert_eq!(state(&lab), before, "a traced question was answered or punted");
}

#[test]
fn people_read_a_line_a_stage() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("trace-text") else { return };
    let [a, ..] = three(&mut lab);
    let said = lab.switch().ok(&["trace", "a0", &hex(&frame::marked(MacAddr::BROADCAST, a.mac(), 1))]);
    let stages: Vec<&str> = said.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(stages, ["parse", "port", "vlan", "guard", "learn", "respond", "lookup", "act"], "{said}");
    assert!(said.starts_with("a0 at tc\n") && said.contains("copies to b0, c0"), "{said}");
}

#[test]
fn frames_of_a_capture_are_traced_one_by_one() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("trace-pcap") else { return };
    let [a, b, _c] = three(&mut lab);
    let frames =
        [frame::marked(MacAddr::BROADCAST, a.mac(), 1), vec![0; 9], frame::marked(b.mac(), a.mac(), 2)];
    let mut file = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for frame in &frames {
        let length = frame.len() as u32;
        file.extend([0, 0, length, length].map(u32::to_le_bytes).concat());
        file.extend(frame);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("some.pcap");
    std::fs::write(&path, &file).expect("a writable folder");
    let path = path.to_str().expect("a plain path");
    let before = state(&lab);
    let traced: Value = lab.switch().json(&["trace", "a0", "--pcap", path]);
    let verdicts: Vec<&Value> = traced.as_array().expect("an array").iter().map(|t| &t["verdict"]).collect();
    assert_eq!(verdicts, [&json!("flood"), &Value::Null, &json!("flood")], "{traced}");
    assert_eq!((&traced[1]["frame"], &traced[1]["error"]["code"]), (&json!(2), &json!("invalid-frame")));
    let first: Vec<Value> = lab.switch().json(&["trace", "a0", "--pcap", path, "--count", "1"]);
    assert_eq!(first.len(), 1);
    assert_eq!(state(&lab), before);
    std::fs::write(path, b"no capture").expect("a writable folder");
    refuses(&lab, &["trace", "a0", "--pcap", path], "invalid-capture");
    refuses(&lab, &["trace", "a0", "--pcap", "/nonexistent"], "invalid-capture");
}

#[test]
fn what_cannot_be_traced_is_refused_by_a_code() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("trace-bad") else { return };
    let [a, ..] = three(&mut lab);
    let fine = "02".repeat(60);
    refuses(&lab, &["trace", "nothing0", &fine], "no-such-port");
    for frame in
        ["0", "02:4", "zz".repeat(20).as_str(), "02".repeat(13).as_str(), "02".repeat(9_217).as_str()]
    {
        refuses(&lab, &["trace", "a0", frame], "invalid-frame");
    }
    let output = lab.switch().cli(&["trace", "a0"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = lab.switch().cli(&["trace", "a0", &fine, "--pcap", "x"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    // The longest and the shortest that there are.
    for length in [14, 2_048, 2_049, 4_000, 9_216] {
        let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &vec![0; length - 12]].concat();
        assert_eq!(trace(&lab, "a0", &frame)["bytes"], length);
    }
    // Of which the kernel runs no program over the like.
    for (ethertype, length) in [(0x0800u16, 14), (0x0800, 33), (0x86dd, 14), (0x86dd, 53)] {
        let frame = frame::raw(MacAddr::BROADCAST, a.mac(), ethertype, &vec![0; length - 14]);
        assert_eq!(trace(&lab, "a0", &frame)["verdict"], "flood");
    }
}

#[track_caller]
fn refuses(lab: &Lab, arguments: &[&str], code: &str) {
    let output: Output = lab.switch().cli(&[&["--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["error"]["code"], code, "{said}");
}
