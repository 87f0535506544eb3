//! `vswitch network`: the networks that ports belong to. Verbs and their output follow `docker network`.

use std::io::Write as _;
use std::net::IpAddr;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::{Session, only};
use super::show;
use crate::api::error::ApiError;
use crate::api::types::{BigTcp, MulticastMode, MulticastSpec, NetworkChange, NetworkSpec, Request};

/// The networks that ports belong to
#[derive(Debug, Subcommand)]
pub(super) enum NetworkCommand {
    /// Create a network, and print its id
    #[command(after_help = "\
Examples:
  vswitch network create blue
  vswitch network create campus --vlan-aware --ageing 600
  vswitch network create tv --multicast-querier
  vswitch network create web --subnet 10.1.0.0/24 --gateway 10.1.0.1 --subnet fd00:1::/64 --label tier=front")]
    Create(CreateOptions),
    /// Change a network
    #[command(after_help = "\
Examples:
  vswitch network set blue --ageing 0
  vswitch network set blue --mtu 9000
  vswitch network set blue --big-tcp on
  vswitch network set blue --multicast-querier --multicast-snooping auto")]
    Set {
        /// The network's name
        name: String,
        /// Seconds after which a silent station is forgotten; 0 is never
        #[arg(long, value_name = "SECONDS")]
        ageing: Option<u32>,
        /// Largest frame, in bytes without the Ethernet header
        #[arg(long, value_name = "BYTES")]
        mtu: Option<u32>,
        /// Send segments of more than 64 KiB: auto is while only containers are on the network
        #[arg(long, value_enum, value_name = "auto|on|off")]
        big_tcp: Option<BigTcp>,
        #[command(flatten)]
        multicast: MulticastOptions,
        /// Leave asking to routers
        #[arg(long, conflicts_with = "multicast_querier")]
        no_multicast_querier: bool,
    },
    /// Remove a network, and print its name; refused while it has ports
    #[command(visible_aliases = ["del", "delete", "remove"], after_help = "\
Examples:
  vswitch network rm blue
  vswitch network rm blue --force")]
    Rm {
        /// The network's name
        name: String,
        /// Remove its ports too
        #[arg(long, short)]
        force: bool,
    },
    /// List networks
    #[command(visible_aliases = ["list", "show"], after_help = "\
Examples:
  vswitch network ls
  vswitch network ls --json")]
    Ls,
    /// Print all about one network, as a JSON array
    #[command(after_help = "\
Examples:
  vswitch network inspect blue")]
    Inspect {
        /// The network's name
        name: String,
    },
}

/// Options of `network create`.
#[derive(Debug, Args)]
pub(super) struct CreateOptions {
    /// The network's name: letters, digits, `_`, `.`, `-`
    name: String,
    /// Subnet; repeat for more. Without one: a pure layer-2 network, no gateway, no NAT, no DNS
    #[arg(long, value_name = "CIDR")]
    subnet: Vec<String>,
    /// Gateway address in one of the subnets; repeat for more
    #[arg(long, value_name = "IP")]
    gateway: Vec<IpAddr>,
    /// No way out of the network
    #[arg(long)]
    internal: bool,
    /// Largest frame, in bytes without the Ethernet header
    #[arg(long, value_name = "BYTES")]
    mtu: Option<u32>,
    /// Seconds after which a silent station is forgotten; 0 is never [default: 300]
    #[arg(long, value_name = "SECONDS")]
    ageing: Option<u32>,
    /// VLANs separate traffic inside the network
    #[arg(long)]
    vlan_aware: bool,
    /// Send segments of more than 64 KiB: auto is while only containers are on the network [default: auto]
    #[arg(long, value_enum, value_name = "auto|on|off")]
    big_tcp: Option<BigTcp>,
    /// Free-form label; repeat for more
    #[arg(long, value_name = "K=V", value_parser = label)]
    label: Vec<(String, String)>,
    #[command(flatten)]
    multicast: MulticastOptions,
}

/// Options of `network create` and `set` about multicast.
#[derive(Debug, Args)]
pub(super) struct MulticastOptions {
    /// Send multicast only to ports that want it: auto is while somebody asks what they want [default: auto]
    #[arg(long, value_name = "auto|on|off")]
    multicast_snooping: Option<MulticastMode>,
    /// Ask hosts which groups they want, where no router does
    #[arg(long)]
    multicast_querier: bool,
    /// How often to ask [default: 125]
    #[arg(long, value_name = "SECONDS")]
    multicast_query_interval: Option<u32>,
    /// Longest time to the answers [default: 10]
    #[arg(long, value_name = "SECONDS")]
    multicast_response_time: Option<u32>,
}

impl MulticastOptions {
    fn spec(&self) -> MulticastSpec {
        MulticastSpec {
            snooping: self.multicast_snooping,
            querier: self.multicast_querier.then_some(true),
            query_interval: self.multicast_query_interval,
            response_time: self.multicast_response_time,
        }
    }
}

impl NetworkCommand {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let request = self.request()?;
        match &request {
            Request::NetworkList => {
                let networks = session.networks(request).await?;
                session.print(&networks, || show::networks(&networks))
            }
            Request::NetworkInspect { .. } => {
                let networks = session.networks(request).await?;
                let pretty = serde_json::to_string_pretty(&networks);
                let pretty =
                    pretty.map_err(|error| ApiError::internal(format!("reply: no JSON: {error}")))?;
                session.print(&networks, || pretty + "\n")
            }
            Request::NetworkRemove { name, .. } => {
                let name = format!("{name}\n");
                let done = session.done(request).await?;
                session.print(&done, || name)
            }
            Request::NetworkCreate(_) => {
                let network = only(session.networks(request).await?)?;
                // Not on stdout, which has the id alone.
                for warning in network.gateway.iter().flat_map(|gateway| &gateway.warnings) {
                    writeln!(std::io::stderr(), "vswitch: {}", show::printable(warning))?;
                }
                session.print(&network, || format!("{}\n", network.id))
            }
            _ => {
                let network = only(session.networks(request).await?)?;
                session.print(&network, String::new)
            }
        }
    }

    /// What to ask of the controller.
    pub(super) fn request(self) -> Result<Request, Failure> {
        Ok(match self {
            Self::Create(options) => Request::NetworkCreate(NetworkSpec {
                name: options.name,
                subnets: options.subnet,
                gateways: options.gateway,
                internal: options.internal,
                mtu: options.mtu,
                ageing: options.ageing,
                vlan_aware: options.vlan_aware,
                big_tcp: options.big_tcp,
                multicast: options.multicast.spec(),
                labels: options.label.into_iter().collect(),
            }),
            Self::Set { name, ageing, mtu, big_tcp, multicast, no_multicast_querier } => {
                let mut multicast = multicast.spec();
                if no_multicast_querier {
                    multicast.querier = Some(false);
                }
                let change = NetworkChange { name, ageing, mtu, multicast, big_tcp };
                if !change.is_empty() {
                    return Ok(Request::NetworkSet(change));
                }
                let name = change.name;
                return Err(Failure::usage(format!(
                    "network set {name}: nothing to change: name an option, see `vswitch network set --help`"
                )));
            }
            Self::Rm { name, force } => Request::NetworkRemove { name, force },
            Self::Ls => Request::NetworkList,
            Self::Inspect { name } => Request::NetworkInspect { name },
        })
    }
}

/// As docker has it: a label without `=` has an empty value.
fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() { Err("write KEY=VALUE".to_string()) } else { Ok((key.to_string(), value.to_string())) }
}
