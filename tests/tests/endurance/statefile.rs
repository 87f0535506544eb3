//! A state file that is cut, or from the future: the controller says so and what to do, and the ports go on meanwhile.

use vswitch::controller::state::STATE_VERSION;
use vswitch_tests::prelude::*;
use vswitch_tests::traffic::Probe;

use crate::docker0;
use crate::row::Row;

/// What the controller says when it does not start.
fn refusal(lab: &Lab) -> String {
    let switch = lab.switch();
    let paths = [switch.state_dir(), switch.bpffs()].map(|path| path.display().to_string());
    let output = switch.cli(&["run", "--state-dir", &paths[0], "--bpffs", &paths[1], "--no-docker-plugin"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_damaged_state_file_is_refused_with_a_remedy_and_costs_no_frame() {
    let Some(mut lab) = Hooks::Auto.vswitch_lab("state file") else { return };
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    hosts.iter().for_each(|host| drop(lab.connect(host, PortOptions::default())));
    let probe = Probe::start(&hosts[0], &hosts[1], 500);
    lab.switch_mut().kill9();
    let path = lab.switch().state_dir().join("state.json");
    let whole = std::fs::read(&path).expect("the state file");
    let cuts = [0, 1, whole.len() / 3, whole.len() / 2, whole.len() - 2];
    for cut in cuts {
        std::fs::write(&path, &whole[..cut]).expect("cut");
        let said = refusal(&lab);
        assert!(
            said.contains("state.json is damaged") && said.contains("move it away"),
            "cut at {cut}: {said}"
        );
    }
    let text = String::from_utf8(whole.clone()).expect("JSON is text");
    let version = format!("\"version\": {STATE_VERSION}");
    std::fs::write(&path, text.replacen(&version, "\"version\": 77", 1)).expect("written");
    let said = refusal(&lab);
    assert!(said.contains("of version 77") && said.contains("use the vswitch that wrote it"), "{said}");
    std::fs::write(&path, &whole).expect("restored");
    lab.switch_mut().start_again();
    assert!(lab.switch().status().adopted && lab.switch().ports().len() == 2);
    probe.cover(200);
    let report = probe.finish();
    report.assert_no_loss();
    Row {
        fault: "state file cut, or from the future",
        did: "the start is refused and says what to do; ports go on; the whole file is adopted again",
        lost: format!("0 of {} probes", report.sent),
        bridge: &docker0::state_cut(),
    }
    .say();
}
