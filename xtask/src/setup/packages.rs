//! What tests and demo run beside the switch, as Debian packages.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::machine::is_in_path;
use crate::process::{read, run};

/// A Debian package, a program of it (how other distributions' users find theirs) and what it is for.
#[derive(Debug, PartialEq)]
pub(crate) struct Package {
    pub name: &'static str,
    pub program: &'static str,
    pub purpose: &'static str,
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.purpose)
    }
}

const fn package(name: &'static str, program: &'static str, purpose: &'static str) -> Package {
    Package { name, program, purpose }
}

/// Debian's Docker engine.
const ENGINE: &str = "docker.io";

/// Open vSwitch's daemons.
const OVS: &str = "openvswitch-switch";

/// Firewalls: installed, and nothing more.
const UFW: &str = "ufw";
const FIREWALLD: &str = "firewalld";

pub(crate) const PACKAGES: [Package; 21] = [
    package("bpftool", "bpftool", "look at loaded programs and maps"),
    package("iproute2", "ip", "namespaces, links, addresses"),
    package("ethtool", "ethtool", "offloads of links"),
    package("iperf3", "iperf3", "traffic"),
    package("sockperf", "sockperf", "latency, for the bench"),
    package("tcpdump", "tcpdump", "captures"),
    package("nftables", "nft", "NAT and filter rules"),
    package("iputils-ping", "ping", "reachability"),
    package("radvd", "radvd", "router advertisements as a client meets them"),
    package("dnsmasq-base", "dnsmasq", "a DHCP and DNS server to talk to"),
    package("bind9-dnsutils", "dig", "names asked for by UDP, TCP and EDNS"),
    package("isc-dhcp-client", "dhclient", "a DHCP client"),
    package("busybox-static", "busybox", "the content of container images"),
    package(ENGINE, "dockerd", "a Docker engine to serve and to take over from"),
    package(OVS, "ovs-vswitchd", "a switch to compare with"),
    package("netcat-openbsd", "nc", "TCP and UDP by hand"),
    package("libc-bin", "getent", "name look-ups as programs do them"),
    package(UFW, "ufw", "a firewall to get along with"),
    package(FIREWALLD, "firewalld", "another"),
    package("systemd", "systemctl", "a service manager to start and watch the switch"),
    package("gcc", "gcc", "clients in C, and the linker of Rust"),
];

/// What this machine lacks; one call of dpkg, or a look along the path where there is no dpkg.
pub(crate) fn missing() -> Result<Vec<&'static Package>> {
    if !is_in_path("dpkg-query") {
        return Ok(PACKAGES.iter().filter(|package| !is_in_path(package.program)).collect());
    }
    // dpkg-query fails when it knows one of them not at all, and lists the others.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"])
        .args(PACKAGES.iter().map(|package| package.name))
        .output()
        .context("cannot start dpkg-query")?;
    let mut missing = missing_in(&String::from_utf8_lossy(&output.stdout));
    // Docker's own packages bring it too, and conflict with Debian's.
    missing.retain(|package| package.name != ENGINE || !is_in_path(package.program));
    Ok(missing)
}

/// The packages that are not in a list of lines `NAME STATUS`, as installed.
fn missing_in(list: &str) -> Vec<&'static Package> {
    let installed =
        |package: &&Package| list.lines().any(|line| line == format!("{} installed", package.name));
    PACKAGES.iter().filter(|package| !installed(package)).collect()
}

pub(crate) fn install(packages: &[&'static Package]) -> Result<()> {
    let names: Vec<_> = packages.iter().map(|package| package.name).collect();
    apt_install(&names)?;
    // Tests start their own; the host must not begin to advertise routes, or to run a Docker, at its next start.
    for (package, units) in SERVICES {
        if names.contains(&package) && is_in_path("systemctl") {
            read(Command::new("systemctl").arg("disable").args(units)).with_context(|| {
                format!(
                    "{package} is installed but still enabled; run `systemctl disable {}`",
                    units.join(" ")
                )
            })?;
        }
    }
    Ok(())
}

/// Packages that come with services, and these.
const SERVICES: [(&str, &[&str]); 5] = [
    (UFW, &["ufw.service"]),
    (FIREWALLD, &["firewalld.service"]),
    ("radvd", &["radvd.service"]),
    (ENGINE, &["docker.service", "docker.socket", "containerd.service"]),
    (OVS, &["openvswitch-switch.service"]),
];

/// Installs without starting any service, without removing any package; fetches apt's lists only when the ones there
/// are too old or absent.
pub(crate) fn apt_install(names: &[&str]) -> Result<()> {
    let _quiet = NoServices::begin()?;
    if let Err(first) = run(&mut apt_get("install", names)) {
        println!("setup: {first:#}; fetching apt's lists and trying once more");
        run(&mut apt_get("update", &[])).context("is the Debian archive reachable?")?;
        run(&mut apt_get("install", names))
            .with_context(|| format!("install by hand what else provides {}", names.join(", ")))?;
    }
    Ok(())
}

/// What somebody who is root types to the same end.
pub(crate) fn apt_line(names: &[&str]) -> String {
    format!("sudo apt-get update && sudo apt-get install -y --no-install-recommends {}", names.join(" "))
}

fn apt_get(verb: &str, names: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-y", "-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0", verb]).args(names);
    if verb == "install" {
        command.args(["--no-install-recommends", "--no-remove"]);
    }
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
    command
}

const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_TEXT: &str = "#!/bin/sh\n# Put here by `cargo xtask setup` for as long as it runs.\nexit 101\n";

/// Debian's way to say that packages must not start their services. A policy that was there stays as it is; one of
/// ours that a killed setup left is taken over and then removed.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        let before = fs::read_to_string(POLICY).ok();
        let ours = !Path::new(POLICY).exists() || before.as_deref() == Some(POLICY_TEXT);
        if ours {
            fs::write(POLICY, POLICY_TEXT).with_context(|| format!("cannot write {POLICY}"))?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("cannot make {POLICY} executable"))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!(
                "setup: cannot remove {POLICY}: {error}; remove it by hand, it keeps services from starting"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_that_is_removed_but_not_purged_is_missing() {
        let list: String = PACKAGES
            .iter()
            .map(|package| match package.name {
                "radvd" => "radvd config-files\n".to_owned(),
                "gcc" => String::new(),
                name => format!("{name} installed\n"),
            })
            .collect();
        let names: Vec<_> = missing_in(&list).iter().map(|package| package.name).collect();
        assert_eq!(names, ["radvd", "gcc"]);
    }

    #[test]
    fn installing_never_removes_a_package() {
        assert!(apt_get("install", &["gcc"]).get_args().any(|word| word == "--no-remove"));
    }
}
