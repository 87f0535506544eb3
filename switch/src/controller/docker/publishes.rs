//! Published ports of endpoints: Docker's bindings, one port each, as ranges of ours.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::super::Controller;
use super::short;
use super::state::DockerEndpoint;
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::docker::{Answer, Binding, EndpointId};
use crate::api::types::{PortRange, Publish};
use crate::error::chain;

/// Where ports are looked for that nobody chose (RFC 6335 section 6, dynamic ports).
const DYNAMIC: RangeInclusive<u16> = 49_152..=65_535;

impl Controller {
    pub(super) async fn docker_publish(
        &mut self,
        id: &EndpointId,
        bindings: Vec<Binding>,
    ) -> Result<Answer, ApiError> {
        let endpoint = self.docker_endpoint(&id.endpoint)?.clone();
        let bindings = if bindings.is_empty() { endpoint.bindings.clone() } else { bindings };
        if !endpoint.publishes.is_empty() {
            if endpoint.bindings == bindings {
                return Ok(Answer::Done);
            }
            self.docker_unpublish(&id.endpoint).await?;
        }
        if let Some(endpoint) = self.state.docker.endpoints.get_mut(&id.endpoint) {
            endpoint.bindings.clone_from(&bindings);
        }
        let network = self.docker_network(&endpoint.network)?.clone();
        for run in runs(bindings) {
            let done = self.publish_run(&network.name, network.host_ip, &endpoint, &run).await;
            match done {
                Ok(publishes) => {
                    if let Some(endpoint) = self.state.docker.endpoints.get_mut(&id.endpoint) {
                        endpoint.publishes.extend(publishes);
                    }
                }
                Err(error) => {
                    self.docker_unpublish(&id.endpoint).await?;
                    return Err(error);
                }
            }
        }
        self.save()?;
        Ok(Answer::Done)
    }

    /// Publishes bindings that follow each other, at each IP version that they are for; all of it or nothing.
    async fn publish_run(
        &mut self,
        network: &str,
        default_host_ip: Option<IpAddr>,
        endpoint: &DockerEndpoint,
        run: &Run,
    ) -> Result<Vec<Publish>, ApiError> {
        let host_ip = run.first.host_ip.or(default_host_ip);
        let targets = targets(&endpoint.ips, host_ip);
        if targets.is_empty() {
            let message = format!(
                "port {} cannot be published: the container has no address of that IP version",
                run.first.port
            );
            return Err(ApiError::new(ErrorCode::InvalidArgument, message));
        }
        let (from, to) = run.first.host_ports;
        let candidates = match (from, run.length) {
            (0, _) => DYNAMIC,
            // A range to choose from is only said of a single port.
            (from, 1) => from..=to.max(from),
            (from, _) => from..=from,
        };
        let mut refused = None;
        for host_port in candidates {
            match self.publish_at(network, host_ip, &targets, run, host_port).await {
                Ok(publishes) => return Ok(publishes),
                Err(error) if error.code == ErrorCode::HostPortInUse => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| ApiError::internal("a port of the host was looked for in no range")))
    }

    async fn publish_at(
        &mut self,
        network: &str,
        host_ip: Option<IpAddr>,
        targets: &[IpAddr],
        run: &Run,
        host_port: u16,
    ) -> Result<Vec<Publish>, ApiError> {
        let mut done: Vec<Publish> = Vec::new();
        for target in targets {
            let publish = Publish {
                network: network.to_owned(),
                host_ip: host_ip.filter(|ip| !ip.is_unspecified()),
                host_ports: range(host_port, run.length)?,
                target_ip: *target,
                target_ports: range(run.first.port, run.length)?,
                protocol: run.first.protocol,
            };
            match self.publish_add(publish.clone()).await {
                Ok(_) => done.push(publish),
                Err(error) => {
                    for publish in &done {
                        self.publish_del(publish).await?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(done)
    }

    pub(super) async fn docker_unpublish(&mut self, id: &str) -> Result<Answer, ApiError> {
        let Some(endpoint) = self.state.docker.endpoints.get_mut(id) else { return Ok(Answer::Done) };
        let publishes = std::mem::take(&mut endpoint.publishes);
        if publishes.is_empty() {
            return Ok(Answer::Done);
        }
        for publish in &publishes {
            match self.publish_del(publish).await {
                Ok(_) => {}
                // Somebody took it back by hand.
                Err(error) if error.code == ErrorCode::NoSuchPublish => {}
                Err(error) => {
                    tracing::warn!(endpoint = short(id), error = chain(&error), "a port stays published");
                }
            }
        }
        self.save()?;
        Ok(Answer::Done)
    }
}

/// Bindings whose ports follow each other on both sides.
#[derive(Debug, PartialEq)]
struct Run {
    first: Binding,
    length: u16,
}

/// Docker says a range as so many single ports; as one, it is one rule.
fn runs(mut bindings: Vec<Binding>) -> Vec<Run> {
    bindings
        .sort_by_key(|b| (b.protocol == crate::api::types::Protocol::Udp, b.host_ip, b.port, b.host_ports));
    bindings.dedup();
    let mut runs: Vec<Run> = Vec::new();
    for binding in bindings {
        let is_fixed = |b: &Binding| b.host_ports.0 != 0 && b.host_ports.0 == b.host_ports.1;
        if let Some(run) = runs.last_mut()
            && is_fixed(&run.first)
            && is_fixed(&binding)
            && (run.first.protocol, run.first.host_ip) == (binding.protocol, binding.host_ip)
            && run.first.port.checked_add(run.length) == Some(binding.port)
            && run.first.host_ports.0.checked_add(run.length) == Some(binding.host_ports.0)
        {
            run.length += 1;
        } else {
            runs.push(Run { first: binding, length: 1 });
        }
    }
    runs
}

/// The container's addresses that a port is published for: of the host address's IP version, or of both.
fn targets(ips: &[IpAddr], host_ip: Option<IpAddr>) -> Vec<IpAddr> {
    let v4 = ips.iter().find(|ip| ip.is_ipv4());
    let v6 = ips.iter().find(|ip| ip.is_ipv6());
    let is_meant = |ip: &&IpAddr| host_ip.is_none_or(|host| host.is_ipv4() == ip.is_ipv4());
    [v4, v6].into_iter().flatten().filter(is_meant).copied().collect()
}

fn range(first: u16, length: u16) -> Result<PortRange, ApiError> {
    let last = u32::from(first) + u32::from(length.max(1)) - 1;
    format!("{first}-{last}")
        .parse()
        .map_err(|error| ApiError::new(ErrorCode::InvalidArgument, format!("published port: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::Protocol;

    fn binding(port: u16, host: (u16, u16)) -> Binding {
        Binding { protocol: Protocol::Tcp, port, host_ip: None, host_ports: host }
    }

    #[test]
    fn single_ports_that_follow_each_other_are_one_range() {
        let mut bindings: Vec<Binding> = (0..100).map(|n| binding(80 + n, (8_000 + n, 8_000 + n))).collect();
        bindings.push(binding(500, (0, 0)));
        bindings.push(binding(501, (9_000, 9_010)));
        bindings.push(Binding { protocol: Protocol::Udp, ..binding(80, (8_000, 8_000)) });
        let lengths: Vec<u16> = runs(bindings).iter().map(|run| run.length).collect();
        assert_eq!(lengths, [100, 1, 1, 1]);
    }

    #[test]
    fn a_port_is_published_for_the_ip_versions_that_are_meant() {
        let (v4, v6) = (IpAddr::from([10, 1, 0, 2]), "fd00::2".parse().expect("an address"));
        assert_eq!(targets(&[v4, v6], None), [v4, v6]);
        assert_eq!(targets(&[v4, v6], Some(IpAddr::from([0, 0, 0, 0]))), [v4]);
        assert_eq!(targets(&[v4], "::".parse().ok()), [] as [IpAddr; 0]);
    }
}
