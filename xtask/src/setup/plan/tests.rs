//! Machines that setup may meet.

use super::*;

fn toolchain(rustup_name: Option<&str>, llvm_major: u32, has_core_source: bool) -> Toolchain {
    Toolchain {
        rustup_name: rustup_name.map(str::to_owned),
        rustc: "/rustc".into(),
        cargo: "/cargo".into(),
        version: "rustc 1".to_owned(),
        llvm_major: Some(llvm_major),
        llvm_library: (llvm_major == linker::LLVM_MAJOR).then(|| "/libLLVM.so.22".into()),
        has_core_source,
    }
}

/// Nothing but a Debian with the pinned toolchain, as root.
fn fresh() -> Machine {
    Machine {
        root: true,
        apt: true,
        components_missing: Vec::new(),
        linker: false,
        record_holds: false,
        toolchains: Vec::new(),
        packages_missing: packages::PACKAGES.iter().collect(),
    }
}

#[test]
fn complete_machine_needs_nothing() {
    let machine = Machine { linker: true, record_holds: true, packages_missing: Vec::new(), ..fresh() };
    assert_eq!(actions(&machine), []);
}

#[test]
fn fresh_debian_gets_linker_then_toolchain_then_packages() {
    let all = packages::PACKAGES.iter().collect();
    let expected = [
        Action::BuildLinker,
        Action::ChooseToolchain(vec![Way::InstallDebian]),
        Action::InstallPackages(all),
    ];
    assert_eq!(actions(&fresh()), expected);
}

#[test]
fn toolchain_that_is_ready_is_tried_before_anything_is_fetched() {
    let bare_nightly = toolchain(Some("nightly"), 22, false);
    let debian = toolchain(None, 22, true);
    let machine = Machine { toolchains: vec![bare_nightly.clone(), debian.clone()], ..fresh() };
    assert_eq!(ways(&machine), [Way::Use(debian), Way::AddCoreSource(bare_nightly)]);
}

#[test]
fn nightly_of_another_llvm_is_never_used() {
    let machine = Machine { toolchains: vec![toolchain(Some("nightly"), 23, true)], ..fresh() };
    assert_eq!(ways(&machine), [Way::InstallDebian]);
}

#[test]
fn ordinary_user_is_told_the_exact_commands() {
    let machine = Machine {
        root: false,
        linker: true,
        toolchains: vec![toolchain(Some("nightly"), 23, true)],
        packages_missing: packages::PACKAGES.iter().filter(|package| package.name == "radvd").collect(),
        ..fresh()
    };
    let [Action::Refuse { what, remedy }, Action::Refuse { remedy: packages, .. }] = &actions(&machine)[..]
    else {
        panic!("two refusals expected");
    };
    assert!(what.contains("has LLVM 23"), "{what}");
    assert!(remedy.starts_with("sudo apt-get update && sudo apt-get install"), "{remedy}");
    assert!(remedy.ends_with("rustc-web cargo-web rust-web-src"), "{remedy}");
    assert!(packages.ends_with(" radvd"), "{packages}");
}

#[test]
fn ordinary_user_with_rustup_needs_no_root_for_the_toolchain() {
    let pinned = toolchain(Some("1.95.0"), 22, false);
    let machine =
        Machine { root: false, packages_missing: Vec::new(), toolchains: vec![pinned.clone()], ..fresh() };
    let expected = [Action::BuildLinker, Action::ChooseToolchain(vec![Way::AddCoreSource(pinned)])];
    assert_eq!(actions(&machine), expected);
}

#[test]
fn other_distribution_is_told_what_to_look_for() {
    let machine = Machine { apt: false, linker: true, ..fresh() };
    let [Action::Refuse { remedy, .. }, Action::Refuse { remedy: packages, .. }] = &actions(&machine)[..]
    else {
        panic!("two refusals expected");
    };
    assert!(remedy.starts_with("rustup toolchain install 1.95.0"), "{remedy}");
    assert!(packages.contains("what Debian calls bpftool iproute2"), "{packages}");
}

#[test]
fn missing_component_of_the_pinned_toolchain_is_named_with_its_command() {
    let machine = Machine {
        components_missing: vec!["rustfmt", "clippy"],
        linker: true,
        record_holds: true,
        packages_missing: Vec::new(),
        ..fresh()
    };
    let [Action::Refuse { remedy, .. }] = &actions(&machine)[..] else { panic!("one refusal expected") };
    assert_eq!(remedy, "rustup component add --toolchain 1.95.0 rustfmt clippy");
}
