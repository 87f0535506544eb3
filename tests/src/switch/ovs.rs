//! Open vSwitch as a rival: its userspace data path (`datapath_type=netdev`), one bridge per network, in the switch's
//! namespace with a database, sockets, logs and pid files of its own. Debian's packages; nothing of the machine's own Open
//! vSwitch, if there is one, is read or written.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use vswitch::api::types::{DEFAULT_NETWORK, FdbEntry, FdbKind};
use vswitch_common::mac::MacAddr;
use vswitch_common::vlan::VlanId;

use super::NetworkOptions;
use crate::lab::PortOptions;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::{SOON, until};

/// Where Debian's package has the schema of its database.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// What an unlimited trunk says.
const ALL: &str = "all";

/// The daemons of one Open vSwitch; they end with it.
pub struct Ovs {
    namespace: Arc<Namespace>,
    folder: PathBuf,
    networks: BTreeSet<String>,
    // In this order: the switch leaves before its database.
    daemon: Process,
    database: Process,
}

impl Ovs {
    /// Whether it is installed; if not, what to do.
    ///
    /// # Errors
    /// The missing program.
    pub fn installed() -> Result<(), String> {
        for program in ["ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-appctl", "ovs-ofctl"]
        {
            if Command::new(program).arg("--version").output().is_err() {
                return Err(format!("there is no {program}: run `cargo xtask setup`"));
            }
        }
        Ok(())
    }

    /// With the network `default`, as vswitch has it.
    ///
    /// # Panics
    /// When the daemons cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(namespace: &Arc<Namespace>, scratch: &Arc<Scratch>) -> Self {
        Self::installed().unwrap_or_else(|missing| panic!("{missing}"));
        let folder = scratch.path("ovs");
        std::fs::create_dir_all(&folder).expect("the lab's folder is writable");
        let path = |name: &str| folder.join(name).display().to_string();
        let in_folder = |program: &str| {
            let mut command = namespace.command(program);
            for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
                command.env(variable, &folder);
            }
            command
        };
        let made = in_folder("ovsdb-tool").args(["create", &path("conf.db"), SCHEMA]).output();
        assert!(made.is_ok_and(|made| made.status.success()), "no database could be made of {SCHEMA}");
        let daemon = |program: &str, arguments: &[String]| {
            let mut command = in_folder(program);
            command.args(arguments).args([
                format!("--unixctl={}", path(&format!("{program}.ctl"))),
                format!("--pidfile={}", path(&format!("{program}.pid"))),
                format!("--log-file={}", path(&format!("{program}.log"))),
                "--verbose=console:off".to_owned(),
            ]);
            let process = Process::start(&mut command, &folder.join(format!("{program}.out")));
            until(&format!("{program} to listen"), SOON, || {
                folder.join(format!("{program}.ctl")).exists().then_some(())
            });
            process
        };
        let database =
            daemon("ovsdb-server", &[path("conf.db"), format!("--remote=punix:{}", path("db.sock"))]);
        let mut init = Command::new("ovs-vsctl");
        init.args([format!("--db=unix:{}", path("db.sock")), "--no-wait".to_owned(), "init".to_owned()]);
        assert!(init.status().is_ok_and(|status| status.success()), "the database does not answer");
        let daemon = daemon("ovs-vswitchd", &[format!("unix:{}", path("db.sock"))]);
        let (namespace, networks) = (namespace.clone(), BTreeSet::new());
        let mut ovs = Self { namespace, folder, networks, daemon, database };
        ovs.create_network(DEFAULT_NETWORK, &NetworkOptions::default());
        ovs
    }

    /// Adds a bridge. Whether it knows VLANs is up to its ports.
    ///
    /// # Panics
    /// When there is one of that name.
    #[track_caller]
    pub fn create_network(&mut self, name: &str, options: &NetworkOptions) {
        assert!(self.networks.insert(name.to_owned()), "there is a network {name} already");
        let link = link_of(name);
        self.vsctl(&["add-br", &link, "--", "set", "bridge", &link, "datapath_type=netdev"]);
        // Its own port is the host's: no station.
        self.namespace.sysctl(&format!("ipv6/conf/{link}/disable_ipv6"), "1");
        if let Some(age) = options.ageing {
            self.set_ageing(name, age);
        }
    }

    /// Removes a bridge.
    #[track_caller]
    pub fn delete_network(&mut self, name: &str) {
        self.networks.remove(name);
        self.vsctl(&["del-br", &link_of(name)]);
    }

    /// Adds a link to a bridge.
    ///
    /// # Errors
    /// What such a port cannot do.
    ///
    /// # Panics
    /// When the network is unknown.
    #[track_caller]
    pub fn add_port(&mut self, link: &str, options: &PortOptions) -> Result<(), String> {
        let (vlans, left) = options.membership();
        let lacks = [
            (options.hairpin, "no hairpin"),
            (options.no_learning, "learning cannot be switched off at a port"),
        ];
        if let Some((_, lack)) = lacks.iter().find(|(is_wanted, _)| *is_wanted) {
            return Err((*lack).to_owned());
        }
        if let Some(option) = left.first() {
            return Err(format!("no such option of a port: {}", option.trim_start_matches('-')));
        }
        let network = options.network.as_deref().unwrap_or(DEFAULT_NETWORK);
        assert!(self.networks.contains(network), "there is no network {network}");
        self.namespace.sysctl(&format!("ipv6/conf/{link}/disable_ipv6"), "1");
        self.namespace.ip(&[format!("link set dev {link} up")]);
        let bridge = link_of(network);
        let mut words = vec!["add-port".to_owned(), bridge.clone(), link.to_owned()];
        if let Some(vid) = vlans.access {
            words.push(format!("tag={vid}"));
        }
        if let Some(list) = vlans.trunk.as_deref().filter(|list| *list != ALL) {
            words.push(format!("trunks={}", each(list).join(",")));
        }
        if vlans.trunk.is_some() {
            match vlans.native {
                Some(vid) => words.extend([format!("tag={vid}"), "vlan_mode=native-untagged".to_owned()]),
                None => words.push("vlan_mode=trunk".to_owned()),
            }
        }
        words.extend(
            ["--", "set", "port", link, &format!("protected={}", options.isolated)].map(str::to_owned),
        );
        self.vsctl(&words.iter().map(String::as_str).collect::<Vec<_>>());
        if options.no_flood {
            self.tool("ovs-ofctl", &["mod-port", &bridge, link, "no-flood"]);
        }
        Ok(())
    }

    /// Frees a link.
    #[track_caller]
    pub fn delete_port(&mut self, link: &str) {
        self.vsctl(&["del-port", link]);
    }

    /// Forgets what was learned after `age` of silence. It takes 15 s for the least.
    #[track_caller]
    pub fn set_ageing(&mut self, network: &str, age: Duration) {
        let age = format!("other-config:mac-aging-time={}", age.as_secs());
        self.vsctl(&["set", "bridge", &link_of(network), &age]);
    }

    /// Turns snooping of a network on, and the flooding of groups that nobody joined off.
    #[track_caller]
    pub fn snoop(&mut self, network: &str) {
        let bridge = link_of(network);
        let to_routers_alone = "other-config:mcast-snooping-disable-flood-unregistered=true";
        self.vsctl(&["set", "bridge", &bridge, "mcast_snooping_enable=true", to_routers_alone]);
    }

    /// Adds a static entry, which is sticky; without VLANs it is VLAN 0's.
    #[track_caller]
    pub fn add_entry(&mut self, mac: MacAddr, port: &str) {
        let bridge = self.vsctl(&["port-to-br", port]);
        self.appctl(&["fdb/add", bridge.trim(), port, "0", &mac.to_string()]);
    }

    /// Learned and configured entries, without the bridges' own.
    #[must_use]
    #[track_caller]
    pub fn fdb(&self) -> Vec<FdbEntry> {
        self.networks.iter().flat_map(|network| self.fdb_of(network)).collect()
    }

    #[track_caller]
    fn fdb_of(&self, network: &str) -> Vec<FdbEntry> {
        let bridge = link_of(network);
        let names = self.tool("ovs-ofctl", &["show", &bridge]);
        let text = self.appctl(&["fdb/show", &bridge]);
        let read = |line: &str| {
            let [port, vlan, mac, age] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
            let is_port = |line: &&str| line.trim_start().starts_with(&format!("{port}("));
            let name = names.lines().find(is_port)?.split(['(', ')']).nth(1)?;
            Some(FdbEntry {
                mac: mac.parse().ok()?,
                port: name.to_owned(),
                network: network.to_owned(),
                vlan: vlan.parse().ok().and_then(VlanId::new),
                kind: if age == "static" { FdbKind::Sticky } else { FdbKind::Dynamic },
                age_seconds: age.parse().unwrap_or(0.0),
            })
        };
        text.lines().skip(1).filter_map(read).collect()
    }

    #[track_caller]
    fn vsctl(&self, arguments: &[&str]) -> String {
        let database = format!("--db=unix:{}", self.folder.join("db.sock").display());
        self.tool("ovs-vsctl", &[&["--timeout=20", &database], arguments].concat())
    }

    #[track_caller]
    fn appctl(&self, arguments: &[&str]) -> String {
        let target = self.folder.join("ovs-vswitchd.ctl").display().to_string();
        self.tool("ovs-appctl", &[&["--target", &target], arguments].concat())
    }

    #[track_caller]
    fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).env("OVS_RUNDIR", &self.folder).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(
            output.status.success(),
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Prints what the daemons logged, for a test that failed.
    pub fn explain(&self) {
        for name in ["ovsdb-server.log", "ovs-vswitchd.log"] {
            let text = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
            eprintln!("--- {name}:\n{text}");
        }
    }
}

impl Drop for Ovs {
    fn drop(&mut self) {
        // Each takes its own leave, which removes sockets and the bridges' taps; who does not is killed with its handle.
        for process in [&mut self.daemon, &mut self.database] {
            process.signal(Signal::SIGTERM);
            process.wait(SOON);
        }
    }
}

/// Name of the bridge of a network.
fn link_of(name: &str) -> String {
    format!("br-{name}")
}

/// Each VLAN of a list like `10,20,100-102`.
fn each(list: &str) -> Vec<String> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<u16>().expect("a VLAN ID");
        number(first)..=number(last)
    };
    list.split(',').flat_map(range).map(|vid| vid.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_vlans_is_said_one_by_one() {
        assert_eq!(each("10,20,100-102"), ["10", "20", "100", "101", "102"]);
    }
}
