//! docker0 as dockerd leaves it: a real dockerd in the switch's namespace, and stations that are real containers.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use vswitch_tests::bpf::Sink;
use vswitch_tests::docker::Engine as Dockerd;
use vswitch_tests::namespace::Namespace;
use vswitch_tests::scratch::Scratch;

use super::{Built, Engine, GATEWAY, PUBLISHED};
use crate::station::{LINK, Station};

/// dockerd's own network, which is docker0.
const NETWORK: &str = "bridge";

/// A running dockerd.
pub(super) struct Docker(Dockerd);

/// Starts it with four containers.
pub(super) fn start(switch_ns: &Arc<Namespace>, scratch: &Arc<Scratch>) -> Result<Built> {
    let installed = std::process::Command::new("dockerd").arg("--version").output();
    installed.context("dockerd is not installed: `cargo xtask setup`")?;
    let bip = format!("--bip={GATEWAY}/24");
    let docker = Docker(Dockerd::start(switch_ns, scratch, &[&bip]));
    let filtering = switch_ns.read("/proc/sys/net/bridge/bridge-nf-call-iptables");
    ensure!(filtering.trim() == "1", "bridge netfilter is off, so this is not docker0 as users have it");
    let published = format!("--publish={PUBLISHED}:{PUBLISHED}");
    let stations = ["a", "b", "x", "s"].map(|name| {
        let options: &[&str] = if name == "b" { &[&published] } else { &[] };
        docker.station(name, options, switch_ns)
    });
    let sink = Sink::open(&stations[3].namespace, LINK)?;
    Ok((stations, sink, Engine::Docker { _engine: docker }))
}

impl Docker {
    /// A container, and what the bench needs to know of it.
    fn station(&self, name: &str, options: &[&str], switch_ns: &Namespace) -> Station {
        // Docker wants two letters at least.
        let name = &format!("station-{name}");
        self.0.run(name, options);
        let namespace = Arc::new(self.0.container_namespace(name));
        let endpoint = self.0.endpoint(name, NETWORK);
        let mac = endpoint["MacAddress"].as_str().expect("docker inspect shows a MAC address");
        let link = namespace.ip_json(&["link", "show", "dev", LINK]);
        let index = link[0]["link_index"].as_u64().expect("the end of a veth pair names the other");
        let links = switch_ns.ip_json(&["link", "show"]);
        let port = links.as_array().into_iter().flatten().find(|link| link["ifindex"] == index);
        let port = port.and_then(|link| link["ifname"].as_str()).expect("docker0's end is in its namespace");
        Station {
            ip: self.0.ipv4(name, NETWORK),
            mac: mac.parse().expect("docker prints MAC addresses"),
            port: port.to_owned(),
            namespace,
        }
    }
}
