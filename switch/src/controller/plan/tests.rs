use vswitch_common::port::flag;

use super::*;
use crate::datapath::faulty::{Faulty, Held};

const PORT: PortId = PortId(1);

fn target() -> Target {
    Target { name: "veth1".to_owned(), ifindex: 7 }
}

fn config(flags: u32) -> PortConfig {
    PortConfig { ifindex: 7, flags, epoch: 3, network: 1, domain: 1, mtu: 1500, ..PortConfig::FREE }
}

fn tc_port() -> Setup {
    Setup {
        config: Some(config(flag::FORWARDING)),
        tc: Some(TcMode::Tcx),
        place: Some(Place { network: 1, index: 0, with: 1, without: 0 }),
        ..Setup::default()
    }
}

fn xdp_port() -> Setup {
    Setup {
        config: Some(config(flag::FORWARDING | flag::XDP_TARGET)),
        xdp: Some(XdpMode::Native),
        is_target: true,
        ..tc_port()
    }
}

fn run(datapath: &mut Faulty, from: &Setup, to: &Setup) -> Result<(), DatapathError> {
    execute(datapath, PORT, &target(), &plan(from, to)).map(drop)
}

#[test]
fn nothing_to_change_is_no_steps() {
    for setup in [Setup::default(), tc_port(), xdp_port()] {
        assert_eq!(plan(&setup, &setup), []);
    }
}

#[test]
fn a_port_is_configured_before_its_programs_run_and_joins_last() {
    let steps = plan(&Setup::default(), &xdp_port());
    let at = |wanted: &Step| steps.iter().position(|step| step == wanted).expect("a step");
    let written = steps.iter().position(|step| matches!(step, Step::Write { .. })).expect("a step");
    assert!(at(&Step::Aim) < written && written < at(&Step::MapLink), "{steps:?}");
    assert!(
        at(&Step::MapLink) < at(&Step::AttachTc)
            && at(&Step::AttachTc) < at(&Step::AttachXdp(XdpMode::Native))
    );
    assert!(matches!(steps.last(), Some(Step::Join(_))));
    let back = plan(&xdp_port(), &tc_port());
    let at = |wanted: fn(&Step) -> bool| back.iter().position(wanted).expect("a step");
    assert!(at(|step| matches!(step, Step::Write { .. })) < at(|step| *step == Step::Unaim), "{back:?}");
}

#[test]
fn what_is_added_and_deleted_leaves_nothing() {
    let mut datapath = Faulty::default();
    run(&mut datapath, &Setup::default(), &xdp_port()).expect("added");
    run(&mut datapath, &xdp_port(), &Setup::default()).expect("deleted");
    assert_eq!(datapath.held, Held::default());
}

#[test]
fn a_hook_changes_while_the_tc_program_stays() {
    for steps in [plan(&tc_port(), &xdp_port()), plan(&xdp_port(), &tc_port())] {
        assert!(!steps.iter().any(|step| matches!(step, Step::AttachTc | Step::DetachTc(_))), "{steps:?}");
    }
}

/// Every pair of setups, failing on every call: what is held afterwards is what was held before.
#[test]
fn a_failure_at_any_call_leaves_what_was_before() {
    let setups = [Setup::default(), tc_port(), xdp_port()];
    for from in &setups {
        for to in &setups {
            for n in 0.. {
                let mut datapath = Faulty::default();
                run(&mut datapath, &Setup::default(), from).expect("no failure yet");
                let before = datapath.held.clone();
                datapath.fail_at = Some(datapath.calls + n);
                if run(&mut datapath, from, to).is_ok() {
                    break;
                }
                assert_eq!(datapath.held, before, "call {n} of {:?}", plan(from, to));
            }
        }
    }
}
