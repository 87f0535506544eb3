//! `vswitch publish`: ports of the host that lead into a network.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::{Session, only};
use super::show;
use crate::api::types::{Publish, PublishFilter, Request};

/// Ports of the host that lead into a network
#[derive(Debug, Subcommand)]
pub(super) enum PublishCommand {
    /// Lead ports of the host to a host of a network
    #[command(after_help = "\
PORTS is [HOST_IP:]HOST_PORT[-RANGE]:TARGET_IP:PORT[-RANGE][/tcp|udp], an IPv6 address in brackets.

Examples:
  vswitch publish add web 8080:10.1.0.2:80
  vswitch publish add web 192.0.2.1:8000-8010:10.1.0.2:80-90/tcp
  vswitch publish add web 5353:10.1.0.3:53/udp
  vswitch publish add web [2001:db8::1]:80:[fd00:1::2]:80")]
    Add(Ports),
    /// Do so no longer; PORTS as `publish show` has them
    #[command(visible_aliases = ["delete", "remove", "rm"], after_help = "\
Examples:
  vswitch publish del web 8080:10.1.0.2:80")]
    Del(Ports),
    /// List published ports
    #[command(visible_aliases = ["list", "ls"], after_help = "\
Examples:
  vswitch publish show
  vswitch publish ls --network web --json")]
    Show {
        /// Of one network only
        #[arg(long, value_name = "NAME")]
        network: Option<String>,
    },
}

/// What is published.
#[derive(Debug, Args)]
pub(super) struct Ports {
    /// The network's name
    network: String,
    /// From where to where
    ports: String,
}

impl PublishCommand {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let request = self.request()?;
        match &request {
            Request::PublishShow(_) => {
                let publishes = session.publishes(request).await?;
                session.print(&publishes, || show::publishes(&publishes))
            }
            Request::PublishAdd(_) => {
                let publish = only(session.publishes(request).await?)?;
                session.print(&publish, String::new)
            }
            _ => {
                let done = session.done(request).await?;
                session.print(&done, String::new)
            }
        }
    }

    /// What to ask of the controller.
    pub(super) fn request(self) -> Result<Request, Failure> {
        let parse = |Ports { network, ports }: Ports| {
            Publish::parse(&network, &ports).map_err(|error| Failure::usage(error.to_string()))
        };
        Ok(match self {
            Self::Add(ports) => Request::PublishAdd(parse(ports)?),
            Self::Del(ports) => Request::PublishDel(parse(ports)?),
            Self::Show { network } => Request::PublishShow(PublishFilter { network }),
        })
    }
}
