//! Letting go of what Docker will not ask for any more: it was killed, or could not reach us when it let go itself.
//!
//! A container's end tells: while it is in a container, the endpoint lives. One that has gone with its namespace is dead at
//! once. One that came back to our namespace, a record without a link, and an address without an endpoint may be on their
//! way to somewhere, so they have time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::Controller;
use super::short;
use crate::error::chain;

/// How long the engine may take from one call to the next of the same container.
const PATIENCE: Duration = Duration::from_secs(60);

/// And until a link that is not there is believed to have gone.
const GONE: Duration = Duration::from_secs(2);

/// Since when something has been of no use.
#[derive(Debug, Default)]
pub(in crate::controller) struct Idle {
    endpoints: BTreeMap<String, Instant>,
    leases: BTreeMap<(String, IpAddr), Instant>,
    pools: BTreeMap<String, Instant>,
}

/// What became of an endpoint's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// In a container.
    Alive,
    /// Should be there, and is not.
    Gone,
    /// Not in a container.
    Waiting,
}

impl Controller {
    /// At start: takes apart what was in namespaces that have gone, before their addresses are asked for again.
    pub(in crate::controller) async fn adopt_docker(&mut self) {
        let ids: Vec<String> = self.state.docker.endpoints.keys().cloned().collect();
        for id in ids {
            if self.fate(&id) == Fate::Gone
                || self.state.docker.endpoints.get(&id).is_some_and(|e| !e.is_joined)
            {
                self.let_go(&id, false).await;
            }
        }
        if self.state.docker.has_passage {
            // The rules may have gone meanwhile, or be left alone from now on.
            self.ensure_passage().await;
        }
    }

    /// At each tick.
    pub(in crate::controller) async fn mend_docker(&mut self, now: Instant) {
        let ids: Vec<String> = self.state.docker.endpoints.keys().cloned().collect();
        self.idle.endpoints.retain(|id, _| self.state.docker.endpoints.contains_key(id));
        for id in ids {
            let fate = self.fate(&id);
            if fate == Fate::Alive {
                self.idle.endpoints.remove(&id);
                continue;
            }
            let since = *self.idle.endpoints.entry(id.clone()).or_insert(now);
            let idle = now.duration_since(since);
            if idle >= PATIENCE {
                self.let_go(&id, true).await;
            } else if fate == Fate::Gone && idle >= GONE {
                self.let_go(&id, false).await;
            }
        }
        self.mend_pools(now);
        self.mend_passage(now).await;
    }

    fn mend_pools(&mut self, now: Instant) {
        let Self { state, idle, .. } = self;
        let has_endpoint = |ip: &IpAddr| state.docker.endpoints.values().any(|e| e.ips.contains(ip));
        let (mut leases, mut pools) = (BTreeMap::new(), BTreeMap::new());
        for (id, pool) in &state.docker.pools {
            for (ip, holder) in &pool.leases {
                if holder.is_some() && !has_endpoint(ip) {
                    let key = (id.clone(), *ip);
                    let since = idle.leases.get(&key).copied().unwrap_or(now);
                    leases.insert(key, since);
                }
            }
            let mut gateways = state.networks.values().filter_map(|network| network.gateway.as_ref());
            if !gateways.any(|gateway| gateway.pools.iter().any(|p| p.subnet == pool.pool.subnet)) {
                let since = idle.pools.get(id).copied().unwrap_or(now);
                pools.insert(id.clone(), since);
            }
        }
        let is_over = |since: &Instant| now.duration_since(*since) >= PATIENCE;
        let before = state.docker.pools.clone();
        for ((id, ip), _) in leases.iter().filter(|(_, since)| is_over(since)) {
            if let Some(pool) = state.docker.pools.get_mut(id) {
                pool.leases.remove(ip);
            }
        }
        state.docker.pools.retain(|id, _| !pools.get(id).is_some_and(is_over));
        (idle.leases, idle.pools) = (leases, pools);
        if before != self.state.docker.pools
            && let Err(error) = self.save()
        {
            tracing::warn!(error = chain(&error), "cannot save that an address is free again");
        }
    }

    fn fate(&self, id: &str) -> Fate {
        let Some(endpoint) = self.state.docker.endpoints.get(id) else { return Fate::Waiting };
        if self.is_alive(id) {
            return Fate::Alive;
        }
        let port = self.state.port_by_link(&endpoint.link).map(|(_, port)| port);
        match endpoint.is_joined && port.is_none_or(|port| port.ifindex == 0) {
            true => Fate::Gone,
            false => Fate::Waiting,
        }
    }

    /// Takes an endpoint's link apart, and forgets the endpoint too where it is said.
    async fn let_go(&mut self, id: &str, for_good: bool) {
        tracing::info!(endpoint = short(id), for_good, "let go of what has left its container");
        let done = match for_good {
            true => self.docker_endpoint_delete(id).await,
            false => self.docker_leave(id).await,
        };
        if let Err(error) = done {
            tracing::warn!(endpoint = short(id), error = chain(&error), "cannot let go of an endpoint");
        }
    }

    /// Removes every link that was made for containers, for a teardown.
    pub(in crate::controller) async fn remove_docker_links(
        &mut self,
    ) -> Result<(), crate::api::error::ApiError> {
        let ids: Vec<String> = self.state.docker.endpoints.keys().cloned().collect();
        for id in ids {
            self.docker_endpoint_delete(&id).await?;
        }
        Ok(())
    }
}
