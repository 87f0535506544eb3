//! Real clients and servers of address configuration: dnsmasq, udhcpc, dhclient, radvd.
//!
//! They find bugs that our own frames do not: each reads and writes packet sockets and checksums in its own way.
//! The clients run with scripts of the lab's own: Debian's would rewrite the machine's resolv.conf.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use crate::lab::{Host, Lab};
use crate::process::Process;
use crate::wait::until;

/// Longest wait for a lease or a router advertisement on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A dnsmasq that only serves DHCP; it runs until the lab ends.
pub struct DhcpServer {
    leases: PathBuf,
}

impl DhcpServer {
    /// Serves 10.77.x.100 to .199 of the host's subnet.
    ///
    /// # Panics
    /// When dnsmasq does not come up.
    #[must_use]
    #[track_caller]
    pub fn start(lab: &mut Lab, host: &Host) -> Self {
        let [a, b, c, _] = host.ipv4().octets();
        let leases = lab.scratch().path(&format!("{}.leases", host.name()));
        let (file, range) = (
            format!("--dhcp-leasefile={}", leases.display()),
            format!("--dhcp-range={a}.{b}.{c}.100,{a}.{b}.{c}.199,10m"),
        );
        let pid =
            format!("--pid-file={}", lab.scratch().path(&format!("{}-dnsmasq.pid", host.name())).display());
        let fixed = [
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--port=0",
            "--no-ping",
            "--dhcp-authoritative",
            "--log-dhcp",
            "--log-facility=-",
        ];
        let here = ["--interface=eth0", "--bind-interfaces", "--user=root", &file, &range, &pid];
        let dnsmasq = lab.daemon(host, "dnsmasq", &[&fixed[..], &here].concat());
        until("dnsmasq to be ready", PATIENCE, || {
            assert!(dnsmasq.status().is_none(), "dnsmasq ended:\n{}", dnsmasq.output());
            dnsmasq.output().contains("DHCP, IP range").then_some(())
        });
        Self { leases }
    }

    /// The lease file's text: a line a lease, with MAC and address.
    #[must_use]
    pub fn leases(&self) -> String {
        std::fs::read_to_string(&self.leases).unwrap_or_default()
    }
}

/// Has busybox's udhcpc configure `eth0` and returns the address it got.
///
/// # Panics
/// When it gets none.
#[track_caller]
pub fn udhcpc(lab: &Lab, host: &Host) -> Ipv4Addr {
    let script = lab.scratch().script(
        &format!("{}-udhcpc.sh", host.name()),
        "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nexec ip addr add \"$ip/$mask\" dev \"$interface\"\n",
    );
    let output = host
        .command("busybox")
        .args(["udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "20", "-T", "2", "-s"])
        .arg(script)
        .output()
        .expect("busybox-static is installed");
    assert!(
        output.status.success(),
        "udhcpc at {}:\n{}",
        host.name(),
        String::from_utf8_lossy(&output.stderr)
    );
    address_of(host).expect("udhcpc's script added the address")
}

/// Has ISC's dhclient configure `eth0` and returns the address it got.
///
/// # Panics
/// When it gets none.
#[track_caller]
pub fn dhclient(lab: &Lab, host: &Host) -> Ipv4Addr {
    let script = lab.scratch().script(
        &format!("{}-dhclient.sh", host.name()),
        "#!/bin/sh\n[ \"$reason\" = BOUND ] || exit 0\nexec ip addr add \"$new_ip_address/$new_subnet_mask\" dev \"$interface\"\n",
    );
    let file = |kind: &str| lab.scratch().path(&format!("{}-dhclient.{kind}", host.name()));
    let mut command = host.command("dhclient");
    command.args(["-4", "-d", "-v", "-cf", "/dev/null", "-sf"]).arg(script);
    command.arg("-lf").arg(file("leases")).arg("-pf").arg(file("pid")).arg("eth0");
    let mut client = Process::start(&mut command, &file("log"));
    until(&format!("dhclient at {} to get an address", host.name()), PATIENCE, || {
        let ended = client.status();
        assert!(ended.is_none(), "dhclient at {} ended with {ended:?}:\n{}", host.name(), client.output());
        address_of(host)
    })
}

fn address_of(host: &Host) -> Option<Ipv4Addr> {
    host.addresses("inet").first()?["local"].as_str()?.parse().ok()
}

/// A radvd that announces a prefix; it runs until the lab ends.
pub struct RouterDaemon;

impl RouterDaemon {
    /// Announces `prefix`, as `fd99::`, a /64, by the host's first link, which gets the prefix's address 1.
    ///
    /// # Panics
    /// When radvd does not stay.
    #[track_caller]
    pub fn start(lab: &mut Lab, host: &Host, prefix: &str) {
        host.namespace().sysctl("ipv6/conf/all/forwarding", "1");
        host.namespace().ip(&[format!("addr add {prefix}1/64 dev eth0")]);
        let config = lab.scratch().path(&format!("{}-radvd.conf", host.name()));
        let text = format!(
            "interface eth0 {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; prefix {prefix}/64 {{ AdvOnLink on; AdvAutonomous on; }}; }};\n"
        );
        std::fs::write(&config, text).expect("the lab's folder is writable");
        let pid = lab.scratch().path(&format!("{}-radvd.pid", host.name()));
        let (config, pid) = (config.display().to_string(), pid.display().to_string());
        let radvd = lab.daemon(host, "radvd", &["-n", "-d", "1", "-m", "stderr", "-C", &config, "-p", &pid]);
        until("radvd to be ready", PATIENCE, || {
            assert!(radvd.status().is_none(), "radvd ended:\n{}", radvd.output());
            std::path::Path::new(&pid).exists().then_some(())
        });
    }

    /// Waits until a host made itself an address of `prefix`, as `fd99::`, and found it unique.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for_address(host: &Host, prefix: &str) {
        let start = prefix.trim_end_matches(':').to_owned() + ":";
        until(&format!("{} to have an address of {prefix}/64", host.name()), PATIENCE, || {
            host.addresses("inet6")
                .iter()
                .any(|a| {
                    a["local"].as_str().is_some_and(|text| text.starts_with(&start)) && a["tentative"] != true
                })
                .then_some(())
        });
    }
}
