//! What Docker engines ask for, in the controller's terms: networks, endpoints and subnets by Docker's ids.
//!
//! Docker repeats what it is not sure of, goes away in between, and may come back having forgotten; so every call finds
//! out what is there instead of trusting that the one before it was answered, and `mend` lets go of what Docker will
//! not ask for any more.

mod endpoints;
mod mend;
mod networks;
mod passage;
mod pools;
mod publishes;
pub mod state;

use super::Controller;
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::docker::{Answer, Call};

pub(super) use mend::Idle;
pub(super) use passage::Way;

/// Most endpoints, and most leases of one subnet: as many as there can be ports.
const ENDPOINTS_MOST: usize = 65_535;

impl Controller {
    pub(super) async fn docker_call(&mut self, call: Call) -> Result<Answer, ApiError> {
        tracing::debug!(?call, "Docker asks");
        match call {
            Call::CreateNetwork(wish) => self.docker_network_create(wish).await,
            Call::DeleteNetwork { network } => self.docker_network_delete(&network).await,
            Call::CreateEndpoint(wish) => self.docker_endpoint_create(wish).await,
            Call::DeleteEndpoint(id) => self.docker_endpoint_delete(&id.endpoint).await,
            Call::EndpointInfo(id) => self.docker_endpoint_info(&id),
            Call::Join(id, bindings) => self.docker_join(&id, bindings).await,
            Call::Leave(id) => self.docker_leave(&id.endpoint).await,
            Call::Publish(id, bindings) => self.docker_publish(&id, bindings).await,
            Call::Unpublish(id) => self.docker_unpublish(&id.endpoint).await,
            Call::RequestPool(wish) => self.docker_pool_request(&wish).await,
            Call::ReleasePool { pool } => self.docker_pool_release(&pool),
            Call::RequestAddress(request) => self.docker_address_request(&request),
            Call::ReleaseAddress { pool, ip } => self.docker_address_release(&pool, ip),
            Call::Name { endpoint, names, network } => self.docker_name(&endpoint, names, &network).await,
        }
    }
}

fn no_such_network(id: &str) -> ApiError {
    ApiError::new(
        ErrorCode::NoSuchNetwork,
        format!(
            "Docker's network {} is not known to this switch: `docker network rm` it and create it again",
            short(id)
        ),
    )
}

fn no_such_endpoint(id: &str) -> ApiError {
    ApiError::new(
        ErrorCode::NoSuchPort,
        format!("Docker's endpoint {} is not known to this switch: start the container again", short(id)),
    )
}

/// The part of an id that people see: its first twelve digits.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
