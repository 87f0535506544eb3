//! The engine of the lab itself, with Docker's own driver: two of them side by side, killed, and after a power failure.

use vswitch_tests::docker::Engine;
use vswitch_tests::prelude::*;

#[test]
fn two_engines_run_side_by_side_and_come_back_after_a_kill_and_a_power_failure() {
    let labs = ["one", "other"].map(|title| Lab::with(title, Rival::LinuxBridge, Hooks::Auto));
    let mut engines = labs.each_ref().map(|lab| Engine::start(lab.switch_ns(), lab.scratch(), &[]));
    for engine in &engines {
        engine.ok(&["network", "create", "--driver", "bridge", "--subnet", "10.77.3.0/24", "net"]);
        for (name, ip) in [("c1", "10.77.3.2"), ("c2", "10.77.3.3")] {
            engine.run(name, &["--network", "net", "--ip", ip, "--restart", "always"]);
        }
        assert_eq!(engine.exec_ok("c1", &["hostname", "-i"]), "10.77.3.2");
        let [c1, c2] = ["c1", "c2"].map(|name| engine.host(name, "net"));
        ping(&c1, &c2, 56, 2);
        engine.exec_ok("c2", &["ping", "-c", "1", "-W", "5", "c1"]);
    }
    let [first, second] = &mut engines;
    first.kill9();
    second.power_off();
    for engine in [first, second] {
        engine.start_again();
        engine.until_ok(&["exec", "c2", "ping", "-c", "1", "-W", "5", "c1"], SOON * 3);
    }
}
