//! What the host needs for all gateways together: the rules, and switches that make it a router. Both follow from the
//! durable state, whole, and are brought about anew whenever a gateway or published port comes or goes.

use super::Controller;
use super::gateways::fnv;
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::Publish;
use crate::gateway::GatewayError;
use crate::gateway::nat::{self, NatError, Side};
use crate::gateway::sysctl::{self, ACCEPT_RA};

/// The folder whose switch has the plain name.
const DEFAULT_STATE_DIR: &str = "/var/lib/vswitch";

/// How often rules are made again when somebody else's transaction came in between; the last result is taken as it is.
const ATTEMPTS: usize = 3;

const FORWARDING4: &str = "ipv4/ip_forward";
const FORWARDING6: &str = "ipv6/conf/all/forwarding";

impl Controller {
    /// Makes rules and switches what the state says.
    ///
    /// # Errors
    /// What nft or the kernel refuses.
    pub(super) async fn apply_rules(&mut self) -> Result<(), ApiError> {
        let sides = self.sides();
        if sides.is_empty() && !self.state.has_rules {
            return Ok(());
        }
        let had_rules = self.state.has_rules;
        if !had_rules {
            // Durable before there is anything to remove.
            self.state.has_rules = true;
            self.save()?;
        }
        let table = self.table();
        let publishes: Vec<Publish> =
            self.state.publishes.iter().filter(|publish| self.has_subnet_for(publish)).cloned().collect();
        let transaction =
            if sides.is_empty() { nat::remove(&table) } else { nat::replace(&table, &sides, &publishes) };
        for _ in 0..ATTEMPTS {
            let before = self.netlink.ruleset_generation().await.ok();
            if let Err(error) = nat::apply(&transaction).await {
                // A transaction that failed left nothing.
                self.state.has_rules = had_rules;
                return Err(nat_failed(&error));
            }
            self.state.has_rules = !sides.is_empty();
            if self.note_rules(before).await {
                break;
            }
        }
        self.set_switches(&sides).await
    }

    fn sides(&self) -> Vec<Side> {
        let networks = self.state.networks.values();
        let side = networks.filter_map(|network| {
            let gateway = network.gateway.as_ref()?;
            let subnets = gateway.pools.iter().map(|pool| (pool.subnet, pool.gateway)).collect();
            Some(Side { link: gateway.link.clone(), is_internal: network.internal, subnets })
        });
        side.collect()
    }

    fn has_subnet_for(&self, publish: &Publish) -> bool {
        let network = self.state.networks.get(&publish.network);
        let gateway = network.and_then(|network| network.gateway.as_ref());
        gateway.is_some_and(|gateway| gateway.pool_of(publish.target_ip).is_some())
    }

    /// Our table's name: that of the usual switch, or one that tells this one from others in the namespace.
    pub(super) fn table(&self) -> String {
        match self.paths.state_dir.as_str() {
            DEFAULT_STATE_DIR => "vswitch".to_owned(),
            other => format!("vswitch-{:08x}", fnv(other.bytes())),
        }
    }

    /// Switches of the host: set when first needed, put back when no network needs them any more.
    async fn set_switches(&mut self, sides: &[Side]) -> Result<(), ApiError> {
        let routed = || sides.iter().filter(|side| !side.is_internal).flat_map(|side| &side.subnets);
        let has_v4 = routed().any(|(_, gateway)| gateway.is_ipv4());
        let has_v6 = routed().any(|(_, gateway)| gateway.is_ipv6());
        let is_wanted = |key: &str| if key.starts_with("ipv4") { has_v4 } else { has_v6 };
        let (keep, back) =
            std::mem::take(&mut self.state.switches).into_iter().partition(|(key, _)| is_wanted(key));
        self.state.switches = keep;
        sysctl::put_back(&self.netlink, &back).await.map_err(GatewayError::from)?;
        let mut wishes = Vec::new();
        if has_v4 && !self.state.switches.contains_key(FORWARDING4) {
            wishes.push((FORWARDING4.to_owned(), "1"));
        }
        if has_v6 && !self.state.switches.contains_key(FORWARDING6) {
            wishes.extend(self.keep_listening_to_routers().await?);
            wishes.push((FORWARDING6.to_owned(), "1"));
        }
        let changes = sysctl::survey(&self.netlink, wishes).await.map_err(GatewayError::from)?;
        self.state.switches.extend(changes);
        self.save()?;
        Ok(sysctl::apply(&self.netlink, &self.state.switches).await.map_err(GatewayError::from)?)
    }

    /// A router does not listen to others unless told to, by 2 (`accept_ra` of the kernel's ip-sysctl): the host's own way
    /// out must not go because it begins to route.
    async fn keep_listening_to_routers(&self) -> Result<Vec<(String, &'static str)>, ApiError> {
        let mut wishes = Vec::new();
        let routes = self.netlink.default_routes().await.map_err(GatewayError::from)?;
        for route in routes.iter().filter(|route| route.is_ipv6 && route.is_advertised) {
            let link = self.netlink.by_index(route.link).await.map_err(GatewayError::from)?;
            wishes.push((format!("ipv6/conf/{}/{ACCEPT_RA}", link.name), "2"));
        }
        Ok(wishes)
    }
}

fn nat_failed(error: &NatError) -> ApiError {
    let code = match error {
        NatError::NoNft => ErrorCode::Unsupported,
        NatError::Run(_) | NatError::Refused(_) => ErrorCode::Kernel,
    };
    ApiError::new(code, crate::error::chain(error))
}
