//! `vswitch fdb`: which station is behind which port (the CAM table).

use clap::{Args, Subcommand};
use vswitch_common::mac::MacAddr;
use vswitch_common::vlan::VlanId;

use super::failure::Failure;
use super::session::Session;
use super::show;
use crate::api::types::{FdbFilter, FdbFlush, FdbKeySpec, FdbSpec, Request};

/// Which station is behind which port (the CAM table)
#[derive(Debug, Subcommand)]
pub(super) enum FdbCommand {
    /// List entries
    #[command(visible_aliases = ["list", "ls"], after_help = "\
Examples:
  vswitch fdb show
  vswitch fdb show --network blue --vlan 10
  vswitch fdb ls --mac 02:42:ac:11:00:02 --json")]
    Show(ShowOptions),
    /// Add a static entry: it never ages
    #[command(after_help = "\
Examples:
  vswitch fdb add 02:42:ac:11:00:02 veth-web
  vswitch fdb add 02:42:ac:11:00:02 veth-web --vlan 10 --sticky")]
    Add {
        /// The station's MAC
        mac: MacAddr,
        /// Link name of its port, whose network is the entry's
        link: String,
        /// VLAN, on a VLAN-aware network
        #[arg(long, value_name = "VID")]
        vlan: Option<VlanId>,
        /// Never move to another port either
        #[arg(long)]
        sticky: bool,
    },
    /// Remove one entry
    #[command(visible_aliases = ["delete", "remove", "rm"], after_help = "\
Examples:
  vswitch fdb del 02:42:ac:11:00:02
  vswitch fdb rm 02:42:ac:11:00:02 --network blue --vlan 10")]
    Del {
        /// The station's MAC
        mac: MacAddr,
        /// The entry's network [default: default]
        #[arg(long, value_name = "NAME")]
        network: Option<String>,
        /// The entry's VLAN, on a VLAN-aware network
        #[arg(long, value_name = "VID")]
        vlan: Option<VlanId>,
    },
    /// Remove the dynamic entries for which all that is said holds
    #[command(after_help = "\
Examples:
  vswitch fdb flush
  vswitch fdb flush --port veth-web
  vswitch fdb flush --network blue --vlan 10 --static")]
    Flush(FlushOptions),
}

/// Which entries to list.
#[derive(Debug, Args)]
pub(super) struct ShowOptions {
    /// Entries of one network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Entries of one port
    #[arg(long, value_name = "LINK")]
    port: Option<String>,
    /// Entries of one station
    #[arg(long, value_name = "MAC")]
    mac: Option<MacAddr>,
    /// Entries of one VLAN
    #[arg(long, value_name = "VID")]
    vlan: Option<VlanId>,
}

/// Which entries to flush.
#[derive(Debug, Args)]
pub(super) struct FlushOptions {
    /// Entries of one network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Entries of one port
    #[arg(long, value_name = "LINK")]
    port: Option<String>,
    /// Entries of one VLAN
    #[arg(long, value_name = "VID")]
    vlan: Option<VlanId>,
    /// Static and sticky entries too
    #[arg(long = "static")]
    include_static: bool,
}

impl FdbCommand {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let request = self.request();
        if let Request::FdbShow(_) = request {
            let entries = session.entries(request).await?;
            session.print(&entries, || show::entries(&entries))
        } else {
            let done = session.done(request).await?;
            session.print(&done, String::new)
        }
    }

    /// What to ask of the controller.
    pub(super) fn request(self) -> Request {
        match self {
            Self::Show(ShowOptions { network, port, mac, vlan }) => {
                Request::FdbShow(FdbFilter { network, port, mac, vlan })
            }
            Self::Add { mac, link, vlan, sticky } => {
                Request::FdbAdd(FdbSpec { mac, port: link, vlan, sticky })
            }
            Self::Del { mac, network, vlan } => Request::FdbDel(FdbKeySpec { mac, network, vlan }),
            Self::Flush(FlushOptions { network, port, vlan, include_static }) => {
                Request::FdbFlush(FdbFlush { network, port, vlan, include_static })
            }
        }
    }
}
