//! Start and end: taking over what an earlier run left, and removing everything.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nix::time::{ClockId, clock_gettime};
use vswitch_common::port::{PortId, flag};

use super::firewall::Firewall;
use super::multicast::Watch;
use super::names::NameServers;
use super::plan::{Setup, Step, execute};
use super::quarantine::Quarantines;
use super::round::Round;
use super::state::{PortState, State};
use super::store::Store;
use super::sweep::Sweep;
use super::view::View;
use super::{Controller, Live, datapath_failed, guards, store_failed};
use crate::api::error::ApiError;
use crate::api::handle::Handle;
use crate::api::types::{DockerUser, Done, HookChoice, Paths, Reply};
use crate::config::Limits;
use crate::datapath::{Adopted, Datapath, Known, Target, TcMode};
use crate::error::chain;
use crate::neighbours::Neighbours;
use crate::netlink::{LinkIndex, Netlink};

/// What a controller is made of.
pub struct Open {
    /// The data path, new or adopted.
    pub datapath: Box<dyn Datapath>,
    /// Which of the two.
    pub adopted: Adopted,
    /// Links of our namespace.
    pub netlink: Netlink,
    /// Durable state.
    pub store: Store,
    /// What it holds.
    pub state: State,
    /// Where events go.
    pub handle: Handle,
    /// Names for readers.
    pub view: Arc<View>,
    /// Sizes of the tables.
    pub limits: Limits,
    /// What is done with Docker's chain for others.
    pub docker_user: DockerUser,
    /// For `status`.
    pub paths: Paths,
}

impl Controller {
    /// Makes a controller and brings every port of the durable state about. A port that cannot be is logged and tried
    /// again.
    ///
    /// # Errors
    /// When the data path or the store cannot be used at all.
    pub async fn open(open: Open) -> Result<Self, ApiError> {
        let mut controller = Self {
            datapath: open.datapath,
            netlink: open.netlink,
            store: open.store,
            state: open.state,
            live: std::collections::BTreeMap::new(),
            outward: std::collections::BTreeSet::new(),
            view: open.view,
            handle: open.handle,
            neighbours: Neighbours::default(),
            sweep: Sweep::default(),
            started: Instant::now(),
            started_ns: monotonic_ns(),
            is_adopted: open.adopted == Adopted::Yes,
            limits: open.limits,
            is_full_said: false,
            paths: open.paths,
            is_torn_down: false,
            successor: None,
            rechecks: Round::default(),
            looks: Round::default(),
            retries: Round::default(),
            is_unpinned: false,
            rules: None,
            behind: std::collections::BTreeSet::new(),
            name_servers: NameServers::default(),
            systemd: super::systemd::Systemd::default(),
            quarantines: Quarantines::default(),
            multicast: Watch::default(),
            firewall: Firewall::default(),
            idle: super::docker::Idle::default(),
            passage: super::docker::Way::new(open.docker_user),
        };
        controller.multicast.identity = controller.identity();
        controller.adopt().await?;
        controller.datapath.settle();
        controller.save()?;
        Ok(controller)
    }

    async fn adopt(&mut self) -> Result<(), ApiError> {
        for (name, network) in &self.state.networks {
            self.view.domains.insert(network.domain, name.clone());
        }
        let known = self.known();
        let pruned = self.datapath.prune(&known).map_err(|e| datapath_failed(&e))?;
        if pruned != 0 {
            tracing::info!(pruned, "removed what an interrupted command had left in the data path");
        }
        self.adopt_gateways().await;
        let ports: Vec<PortId> = self.state.ports.keys().map(|slot| PortId(*slot)).collect();
        for port in ports {
            if let Err(error) = self.adopt_port(port).await {
                let link = self.link_name(port);
                tracing::warn!(link, error = chain(&error), "the port is not as it should be; trying again");
                self.behind.insert(port.0);
            }
        }
        self.adopt_docker().await;
        for network in self.networks_with_gateway() {
            self.publish_names(&network).await;
        }
        self.adopt_takeovers().await;
        Ok(())
    }

    /// What the durable state knows of; the rest is nobody's.
    fn known(&self) -> Known {
        let mut known = Known::default();
        for (slot, port) in &self.state.ports {
            known.ports.insert(*slot);
            known.links.insert(port.ifindex);
            known.guards.extend(port.options.ips.iter().map(|ip| guards::key(PortId(*slot), *ip)));
            if let Some(network) = self.state.networks.get(&port.network) {
                known.members.insert((network.id, port.place));
            }
        }
        known
    }

    async fn adopt_port(&mut self, port: PortId) -> Result<(), ApiError> {
        if let Some(mut setup) = self.observe(port).await? {
            let Some(state) = self.state.ports.get(&port.0) else { return Ok(()) };
            let target = Target { name: state.link.clone(), ifindex: state.ifindex };
            // Our programs take the place of those of the run before.
            let mode = self.datapath.attach_tc(port, &target).map_err(|e| datapath_failed(&e))?;
            if let Some(other) = setup.tc.filter(|was| *was != mode) {
                self.datapath.detach_tc(port, &target, other).map_err(|e| datapath_failed(&e))?;
                if other == TcMode::Clsact {
                    self.remove_clsact(port).await;
                }
            }
            setup.tc = Some(mode);
            if let Some(mode) = setup.xdp {
                self.datapath.attach_xdp(port, &target, mode).map_err(|e| datapath_failed(&e))?;
            }
            // A run that was killed while it took the port apart, or put it together, may have been anywhere in between.
            let steps =
                [Some(Step::MapLink), setup.place.map(Step::Join), setup.is_target.then_some(Step::Aim)];
            let steps: Vec<Step> = steps.into_iter().flatten().collect();
            execute(self.datapath.as_mut(), port, &target, &steps).map_err(|e| datapath_failed(&e))?;
            let mut live = Live { setup, ..Live::default() };
            let state = self.state.ports.get(&port.0).filter(|state| state.options.hook == HookChoice::Auto);
            if let Some(state) = state.filter(|_| live.setup.xdp.is_some()) {
                live.watch.adopt(&state.hook_reason);
            }
            self.live.insert(port.0, live);
        }
        self.converge(port).await?;
        self.install_entries(port)
    }

    /// What of the port the maps hold, if its link is still the same one.
    async fn observe(&self, port: PortId) -> Result<Option<Setup>, ApiError> {
        let Some(state) = self.state.ports.get(&port.0) else { return Ok(None) };
        let config = self.datapath.port(port).map_err(|e| datapath_failed(&e))?;
        let is_same = config.ifindex == state.ifindex && state.attached.tc.is_some();
        if state.ifindex == 0 || !is_same || !self.has_link(state).await {
            return Ok(None);
        }
        Ok(Some(Setup {
            config: Some(config),
            tc: state.attached.tc,
            xdp: state.attached.xdp,
            place: self.place_of(port),
            is_target: config.has(flag::XDP_TARGET),
        }))
    }

    async fn has_link(&self, state: &PortState) -> bool {
        let link = self.netlink.by_index(LinkIndex(state.ifindex)).await;
        link.is_ok_and(|link| state.is_link(&link))
    }

    /// Removes every port, pin and file; nothing else is touched.
    pub(super) async fn tear_down(&mut self) -> Result<Reply, ApiError> {
        let mut changed = self.release_bridges().await?;
        self.close_passage().await;
        self.remove_docker_links().await?;
        let ports: Vec<PortId> = self.state.ports.keys().map(|slot| PortId(*slot)).collect();
        for port in ports {
            self.remove_port(port).await?;
            changed += 1;
        }
        self.remove_gateways().await?;
        self.datapath.remove().map_err(|e| datapath_failed(&e))?;
        if let Some(mounted) = self.state.mounted.take() {
            unmount(&mounted);
        }
        self.store.remove().map_err(|e| store_failed(&e))?;
        self.is_torn_down = true;
        Ok(Reply::Done(Done { changed }))
    }

    /// Tears down outside the loop, for when no controller runs.
    ///
    /// # Errors
    /// What the kernel or the store refuses.
    pub async fn tear_down_now(mut self) -> Result<Done, ApiError> {
        match self.tear_down().await? {
            Reply::Done(done) => Ok(done),
            _ => Ok(Done::default()),
        }
    }
}

/// Tells one run from the next.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has always had this clock");
    now.tv_sec().cast_unsigned() * 1_000_000_000 + now.tv_nsec().cast_unsigned()
}

/// Unmounts the bpffs that vswitch mounted, and removes the folder if vswitch made that too. Others may have pins in it by now: then it
/// stays.
fn unmount(place: &Path) {
    let is_in_use = std::fs::read_dir(place).is_ok_and(|mut pins| pins.next().is_some());
    if is_in_use {
        return tracing::info!(path = %place.display(), "the bpffs stays mounted: others have pins in it");
    }
    if let Err(error) = nix::mount::umount(place) {
        return tracing::warn!(path = %place.display(), %error, "cannot unmount the bpffs that vswitch mounted");
    }
    let _not_ours_or_in_use = std::fs::remove_dir(place);
}
