//! Keeping Docker's networks a way past Docker's own forward policy (`gateway::passage` says why and how), unless the operator
//! wants nothing written outside our own table.

use std::time::{Duration, Instant};

use super::super::Controller;
use crate::api::types::{DockerUser, DockerUserChain, DockerUserStatus};
use crate::error::chain;
use crate::gateway::passage::{self, Found, TOOLS};

/// How often to look whether somebody flushed the host's rules, or dockerd has started.
const PERIOD: Duration = Duration::from_secs(10);

/// The same where the number of nftables' generation says that somebody changed something; the older iptables has none.
const PAUSE: Duration = Duration::from_secs(1);

/// What is chosen and what was found.
#[derive(Debug)]
pub(in crate::controller) struct Way {
    choice: DockerUser,
    /// When the host's rules were looked at last, and what each of [`TOOLS`] found.
    looked: Option<Instant>,
    /// The generation of the rules before that look.
    generation: Option<u32>,
    found: [Option<Found>; TOOLS.len()],
}

impl Way {
    pub(in crate::controller) fn new(choice: DockerUser) -> Self {
        Self { choice, looked: None, generation: None, found: [None; TOOLS.len()] }
    }
}

impl Controller {
    /// Opens or closes the way, as the networks that Docker has now need it.
    pub(super) async fn ensure_passage(&mut self) {
        let links: Vec<String> = self.passage_links();
        if links.is_empty() || self.passage.choice == DockerUser::Leave {
            return self.close_passage().await;
        }
        if !self.state.docker.has_passage {
            // Durable before there is anything to remove.
            self.state.docker.has_passage = true;
            if let Err(error) = self.save() {
                self.state.docker.has_passage = false;
                return tracing::warn!(error = chain(&error), "cannot open a way past Docker's rules");
            }
        }
        let name = self.passage_chain();
        for tool in TOOLS {
            if passage::look(tool, &name).await == Found::NoDocker {
                continue;
            }
            if let Err(error) = passage::open(tool, &name, &links).await {
                tracing::warn!(error = chain(&error), "cannot open a way past Docker's rules");
            }
        }
        self.look_at_passage().await;
    }

    /// At each tick: mends what others removed.
    pub(super) async fn mend_passage(&mut self, now: Instant) {
        if self.state.docker.networks.is_empty() || self.passage.choice == DockerUser::Leave {
            return;
        }
        let generation = self.netlink.ruleset_generation().await.ok();
        let period = if generation == self.passage.generation { PERIOD } else { PAUSE };
        if self.passage.looked.is_some_and(|last| now.duration_since(last) < period) {
            return;
        }
        self.look_at_passage().await;
        if self.passage.found.contains(&Some(Found::Closed)) {
            self.ensure_passage().await;
        }
    }

    async fn look_at_passage(&mut self) {
        let name = self.passage_chain();
        // Asked first: what changes meanwhile is seen the next time.
        self.passage.generation = self.netlink.ruleset_generation().await.ok();
        for (found, tool) in self.passage.found.iter_mut().zip(TOOLS) {
            *found = Some(passage::look(tool, &name).await);
        }
        self.passage.looked = Some(Instant::now());
    }

    /// Takes the way away again.
    pub(in crate::controller) async fn close_passage(&mut self) {
        self.passage = Way::new(self.passage.choice);
        if !self.state.docker.has_passage {
            return;
        }
        for tool in TOOLS {
            passage::close(tool, &self.passage_chain()).await;
        }
        self.state.docker.has_passage = false;
    }

    /// For `status`.
    pub(in crate::controller) fn passage_status(&self) -> DockerUserStatus {
        let [iptables, ip6tables] = self.passage.found.map(|found| match found {
            None => DockerUserChain::Unknown,
            Some(Found::NoDocker) => DockerUserChain::NoChain,
            Some(Found::Closed) => DockerUserChain::NoJump,
            Some(Found::Open) => DockerUserChain::Jump,
        });
        let needed = !self.passage_links().is_empty();
        DockerUserStatus { choice: self.passage.choice, needed, iptables, ip6tables }
    }

    fn passage_links(&self) -> Vec<String> {
        let networks = self.state.docker.networks.values();
        let networks = networks.filter_map(|docker| self.state.networks.get(&docker.name));
        let open = networks.filter(|network| !network.internal);
        open.filter_map(|network| network.gateway.as_ref()).map(|gateway| gateway.link.clone()).collect()
    }

    /// Our chain's name: after our table, which tells us from other switches of the namespace.
    fn passage_chain(&self) -> String {
        self.table().to_ascii_uppercase()
    }
}
