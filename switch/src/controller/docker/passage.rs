//! Keeping Docker's networks a way past Docker's own forward policy (`gateway::passage` says why and how).

use std::time::{Duration, Instant};

use super::super::Controller;
use crate::error::chain;
use crate::gateway::passage::{self, Found, TOOLS};

/// How often to look whether somebody flushed the host's rules, or dockerd has started.
const PERIOD: Duration = Duration::from_secs(10);

impl Controller {
    /// Opens or closes the way, as the networks that Docker has now need it.
    pub(super) async fn ensure_passage(&mut self) {
        let links: Vec<String> = self.passage_links();
        self.idle.passage = Some(Instant::now());
        if links.is_empty() {
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
        for tool in TOOLS {
            if passage::look(tool, &self.passage_chain()).await == Found::NoDocker {
                continue;
            }
            if let Err(error) = passage::open(tool, &self.passage_chain(), &links).await {
                tracing::warn!(error = chain(&error), "cannot open a way past Docker's rules");
            }
        }
    }

    /// At each tick: mends what others removed.
    pub(super) async fn mend_passage(&mut self, now: Instant) {
        let is_due = self.idle.passage.is_none_or(|last| now.duration_since(last) >= PERIOD);
        if !is_due || self.state.docker.networks.is_empty() {
            return;
        }
        self.idle.passage = Some(now);
        for tool in TOOLS {
            if passage::look(tool, &self.passage_chain()).await == Found::Closed {
                return self.ensure_passage().await;
            }
        }
    }

    /// Takes the way away again.
    pub(in crate::controller) async fn close_passage(&mut self) {
        if !self.state.docker.has_passage {
            return;
        }
        for tool in TOOLS {
            passage::close(tool, &self.passage_chain()).await;
        }
        self.state.docker.has_passage = false;
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
