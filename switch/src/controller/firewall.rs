//! Other people's rules: noticing when they would cut our networks off. (What they do to ours is seen to in `outside`.)
//!
//! Looked at when a gateway is made, and afterwards whenever the number of the rules' generation says that somebody
//! changed something, or while something is in the way; not more often than every few seconds, as some programs change
//! rules all the time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Controller;
use crate::error::chain;
use crate::gateway::GatewayState;
use crate::gateway::nat::{Obstacle, Passage, survey};

/// Shortest time between two looks that nobody asked for.
const PAUSE: Duration = Duration::from_secs(3);

/// What stands for the way out in a message where there is none.
const NO_WAY_OUT: &str = "LINK";

/// What was found last.
#[derive(Debug, Default)]
pub(super) struct Firewall {
    looked: Option<(Instant, u32)>,
    warnings: BTreeMap<String, Vec<String>>,
    /// Nobody is to look before a network that is being made has the way that Docker's networks get.
    pub(super) is_held: bool,
}

impl Firewall {
    /// Of all networks.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.values().flatten().cloned().collect()
    }

    /// Of one network.
    pub(super) fn warnings_of(&self, network: &str) -> Vec<String> {
        self.warnings.get(network).cloned().unwrap_or_default()
    }
}

impl Controller {
    /// Looks again if somebody changed rules.
    pub(super) async fn watch_firewall(&mut self) {
        if self.networks_with_gateway().is_empty() {
            self.firewall = Firewall::default();
            return;
        }
        let generation = match self.netlink.ruleset_generation().await {
            Ok(generation) => generation,
            Err(error) => return tracing::debug!(error = chain(&error), "cannot watch the rules"),
        };
        // The older iptables has no generation: whoever was told of a chain sees soon that it drops no longer.
        let is_told = !self.firewall.warnings.is_empty();
        let is_due = self
            .firewall
            .looked
            .is_none_or(|(at, seen)| (seen != generation || is_told) && at.elapsed() >= PAUSE);
        if is_due {
            self.look_at_firewall().await;
        }
    }

    /// Looks at once.
    pub(super) async fn look_at_firewall(&mut self) {
        if self.firewall.is_held {
            return;
        }
        // Asked first: what changes meanwhile is seen the next time.
        let Ok(generation) = self.netlink.ruleset_generation().await else { return };
        let found = match survey(&self.table()).await {
            Ok(found) => found,
            Err(error) => return tracing::debug!(error = chain(&error), "cannot look at the rules"),
        };
        self.firewall.looked = Some((Instant::now(), generation));
        let warnings = self.warnings_from(&found).await;
        for (network, lines) in &warnings {
            for line in lines.iter().filter(|line| !self.firewall.warnings_of(network).contains(*line)) {
                tracing::warn!("{line}");
            }
        }
        self.firewall.warnings = warnings;
    }

    async fn warnings_from(&self, found: &[Obstacle]) -> BTreeMap<String, Vec<String>> {
        let way_out = self.way_out().await.unwrap_or_else(|| NO_WAY_OUT.to_owned());
        let networks = self.state.networks.iter();
        let warnings = networks.filter_map(|(name, network)| {
            let GatewayState { link, pools, .. } = network.gateway.as_ref()?;
            let [has_ipv4, has_ipv6] =
                [true, false].map(|v4| pools.iter().any(|pool| pool.gateway.is_ipv4() == v4));
            let stops = found.iter().filter(|obstacle| {
                let is_used = obstacle.passage == Passage::Input || !network.internal;
                is_used && obstacle.stops(link, has_ipv4, has_ipv6)
            });
            let lines: Vec<String> = stops.map(|obstacle| obstacle.message(name, link, &way_out)).collect();
            (!lines.is_empty()).then(|| (name.clone(), lines))
        });
        warnings.collect()
    }

    /// The link towards the world.
    async fn way_out(&self) -> Option<String> {
        let route = self.netlink.default_routes().await.ok()?.into_iter().next()?;
        self.netlink.by_index(route.link).await.ok().map(|link| link.name)
    }
}
