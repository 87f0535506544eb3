//! `vswitch port`: links that are ports of the switch.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use vswitch_common::mac::MacAddr;
use vswitch_common::vlan::VlanId;

use super::failure::Failure;
use super::session::{Session, only};
use super::show;
use crate::api::types::{
    HookChoice, PortFilter, PortSpec, PortVlan, Request, StormKind, VlanMode, vlan_ranges,
};

/// Links that are ports of the switch
#[derive(Debug, Subcommand)]
pub(super) enum PortCommand {
    /// Make a link a port, and bring it up
    #[command(after_help = "\
Examples:
  vswitch port add veth-web
  vswitch port add veth-db --network blue --name db --ip 10.1.0.2 --mac 02:42:0a:01:00:02
  vswitch port add veth-a --network campus --access 10
  vswitch port add eth1 --network campus --trunk 10,20,100-200 --native 5 --hook xdp
  vswitch port add veth-guest --isolated --mac-limit 4 --storm broadcast=100 --storm unknown=1000")]
    Add {
        /// Linux link in the controller's network namespace
        link: String,
        #[command(flatten)]
        options: PortOptions,
    },
    /// Change a port's options; those left out stay as they are
    #[command(after_help = "\
Examples:
  vswitch port set veth-web --hook tc
  vswitch port set veth-guest --no-isolated --learning --no-mac-limit
  vswitch port set veth-a --trunk all --native 10
  vswitch port set veth-a --storm broadcast=0
  vswitch port set veth-a --end-quarantine")]
    Set {
        /// Link name of the port
        link: String,
        #[command(flatten)]
        options: PortOptions,
        #[command(flatten)]
        undo: PortUndo,
    },
    /// Give the link back, with every setting as it was
    #[command(visible_aliases = ["delete", "remove", "rm"], after_help = "\
Examples:
  vswitch port del veth-web
  vswitch port rm veth-web")]
    Del {
        /// Link name of the port
        link: String,
    },
    /// List ports, or tell all about one
    #[command(visible_aliases = ["list", "ls"], after_help = "\
Examples:
  vswitch port show
  vswitch port show veth-web
  vswitch port ls --network blue --json")]
    Show {
        /// One port, in detail
        link: Option<String>,
        /// Ports of one network only
        #[arg(long, value_name = "NAME")]
        network: Option<String>,
    },
}

/// Options of `port add` and `port set`.
#[derive(Debug, Default, Args)]
pub(super) struct PortOptions {
    /// Network to join; a new port joins `default` unless told otherwise
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Where the port's program sits; auto picks what is faster for what is behind it, and is what a new port has
    #[arg(long, value_enum, hide_possible_values = true, value_name = "auto|xdp|tc")]
    hook: Option<HookChoice>,
    /// Untagged member of this VLAN
    #[arg(long, value_name = "VID", conflicts_with = "trunk")]
    access: Option<VlanId>,
    /// Tagged member of these VLANs: 10,20,100-200 or all
    #[arg(long, value_name = "VIDS", value_parser = vlan_list)]
    trunk: Option<String>,
    /// VLAN of a trunk's untagged frames
    #[arg(long, value_name = "VID", requires = "trunk")]
    native: Option<VlanId>,
    /// Reach only ports that are not isolated
    #[arg(long)]
    isolated: bool,
    /// Let frames leave by the port they came in by
    #[arg(long)]
    hairpin: bool,
    /// Learn no source addresses here
    #[arg(long)]
    no_learning: bool,
    /// Send no floods here
    #[arg(long)]
    no_flood: bool,
    /// Most dynamic FDB entries of this port; 0 is no limit
    #[arg(long, value_name = "N")]
    mac_limit: Option<u32>,
    /// Name of the host behind the port
    #[arg(long, value_name = "HOST")]
    name: Option<String>,
    /// Address of the host behind the port; repeat for more
    #[arg(long, value_name = "ADDRESS")]
    ip: Vec<IpAddr>,
    /// MAC of the host behind the port
    #[arg(long, value_name = "ADDRESS")]
    mac: Option<MacAddr>,
    /// Accept DHCP servers and router advertisements from here
    #[arg(long)]
    trusted: bool,
    /// Most frames a second of broadcast, multicast or unknown unicast, and how many at once; 0 is no limit; repeat for more
    #[arg(long, value_name = "broadcast|multicast|unknown=RATE[:BURST]", value_parser = storm_limit)]
    storm: Vec<(StormKind, u32, Option<u32>)>,
}

/// What turns the options of `port set` back.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Turning options back")]
pub(super) struct PortUndo {
    /// Neither access port nor trunk
    #[arg(long, conflicts_with_all = ["access", "trunk"])]
    no_vlan: bool,
    /// Reach every port
    #[arg(long, conflicts_with = "isolated")]
    no_isolated: bool,
    /// Send nothing back by the port it came in by
    #[arg(long, conflicts_with = "hairpin")]
    no_hairpin: bool,
    /// Learn source addresses
    #[arg(long, conflicts_with = "no_learning")]
    learning: bool,
    /// Send floods
    #[arg(long, conflicts_with = "no_flood")]
    flood: bool,
    /// As many dynamic FDB entries as the FDB holds
    #[arg(long, conflicts_with = "mac_limit")]
    no_mac_limit: bool,
    /// Forget the host's name
    #[arg(long, conflicts_with = "name")]
    no_name: bool,
    /// Forget the host's addresses
    #[arg(long, conflicts_with = "ip")]
    no_ip: bool,
    /// Forget the host's MAC
    #[arg(long, conflicts_with = "mac")]
    no_mac: bool,
    /// Drop DHCP servers and router advertisements from here
    #[arg(long, conflicts_with = "trusted")]
    no_trusted: bool,
    /// End the port's quarantine now, and forget earlier ones
    #[arg(long)]
    end_quarantine: bool,
    /// Lift every storm limit
    #[arg(long, conflicts_with = "storm")]
    no_storm: bool,
}

impl PortCommand {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let request = self.request()?;
        match &request {
            Request::PortShow(PortFilter { link, .. }) => {
                let in_detail = link.is_some();
                let ports = session.ports(request).await?;
                session.print(&ports, || {
                    if in_detail { show::ports_in_detail(&ports) } else { show::ports(&ports) }
                })
            }
            Request::PortDel { .. } => {
                let done = session.done(request).await?;
                session.print(&done, String::new)
            }
            _ => {
                let port = only(session.ports(request).await?)?;
                session.print(&port, String::new)
            }
        }
    }

    /// What to ask of the controller.
    pub(super) fn request(self) -> Result<Request, Failure> {
        Ok(match self {
            Self::Add { link, options } => Request::PortAdd(options.spec(link)),
            Self::Set { link, options, undo } => {
                let mut spec = options.spec(link.clone());
                undo.apply(&mut spec);
                if spec == (PortSpec { link, ..PortSpec::default() }) {
                    let link = &spec.link;
                    return Err(Failure::usage(format!(
                        "port set {link}: nothing to change: name an option, see `vswitch port set --help`"
                    )));
                }
                Request::PortSet(spec)
            }
            Self::Del { link } => Request::PortDel { link },
            Self::Show { link, network } => Request::PortShow(PortFilter { link, network }),
        })
    }
}

impl PortOptions {
    fn spec(self, link: String) -> PortSpec {
        let said = |flag: bool, means: bool| flag.then_some(means);
        let vlan = match (self.access, self.trunk) {
            (Some(vid), _) => {
                Some(PortVlan { mode: VlanMode::Access, pvid: Some(vid), allowed: String::new() })
            }
            (None, Some(allowed)) => Some(PortVlan { mode: VlanMode::Trunk, pvid: self.native, allowed }),
            (None, None) => None,
        };
        PortSpec {
            link,
            network: self.network,
            hook: self.hook,
            vlan,
            isolated: said(self.isolated, true),
            hairpin: said(self.hairpin, true),
            learning: said(self.no_learning, false),
            flood: said(self.no_flood, false),
            mac_limit: self.mac_limit,
            name: self.name,
            ips: (!self.ip.is_empty()).then_some(self.ip),
            mac: self.mac,
            trusted: said(self.trusted, true),
            storm: self.storm.iter().map(|(kind, rate, _)| (*kind, *rate)).collect(),
            storm_burst: self.storm.iter().filter_map(|(kind, _, burst)| Some((*kind, (*burst)?))).collect(),
            end_quarantine: false,
        }
    }
}

impl PortUndo {
    /// clap has refused an option together with its opposite, so nothing said is overwritten.
    fn apply(&self, spec: &mut PortSpec) {
        fn put<T>(flag: bool, field: &mut Option<T>, value: T) {
            if flag {
                *field = Some(value);
            }
        }
        put(self.no_vlan, &mut spec.vlan, PortVlan::default());
        put(self.no_isolated, &mut spec.isolated, false);
        put(self.no_hairpin, &mut spec.hairpin, false);
        put(self.learning, &mut spec.learning, true);
        put(self.flood, &mut spec.flood, true);
        put(self.no_mac_limit, &mut spec.mac_limit, 0);
        put(self.no_name, &mut spec.name, String::new());
        put(self.no_ip, &mut spec.ips, Vec::new());
        put(self.no_mac, &mut spec.mac, MacAddr::ZERO);
        put(self.no_trusted, &mut spec.trusted, false);
        spec.end_quarantine = self.end_quarantine;
        if self.no_storm {
            let kinds = [StormKind::Broadcast, StormKind::Multicast, StormKind::Unknown];
            spec.storm = kinds.into_iter().map(|kind| (kind, 0)).collect();
        }
    }
}

fn vlan_list(text: &str) -> Result<String, String> {
    vlan_ranges(text).map(|_| text.to_string()).map_err(|error| error.to_string())
}

fn storm_limit(text: &str) -> Result<(StormKind, u32, Option<u32>), String> {
    let parsed = text.split_once('=').and_then(|(kind, limit)| {
        let kind = <StormKind as clap::ValueEnum>::from_str(kind, false).ok()?;
        let (rate, burst) = match limit.split_once(':') {
            Some((rate, burst)) => (rate, Some(burst.parse().ok()?)),
            None => (limit, None),
        };
        Some((kind, rate.parse().ok()?, burst))
    });
    parsed.ok_or_else(|| {
        "write broadcast=RATE, multicast=RATE or unknown=RATE, in frames a second; :BURST may follow"
            .to_string()
    })
}
