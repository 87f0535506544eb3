//! How a request becomes HTTP and how a reply comes back: the client's half of the route table (`routes` is the server's).
//!
//! A reply in JSON does not say which one it is (`[]` may be no ports or no entries), so decoding goes by the request.

use axum::http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::types::{FdbKeySpec, NetworkChange, PortFilter, Reply, Request};

/// What a path segment keeps as it is (RFC 3986 section 2.3, unreserved).
const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request as HTTP carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// JSON, where the method has a body.
    pub body: Option<Vec<u8>>,
}

/// Query of a port filter whose link stands in the path, and of whatever else names a network only.
#[derive(Debug, Default, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NetworkQuery {
    pub(super) network: Option<String>,
}

/// Query that tells entries of one MAC apart.
#[derive(Debug, Default, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EntryQuery {
    pub(super) network: Option<String>,
    pub(super) vlan: Option<vswitch_common::vlan::VlanId>,
}

/// Query of a network's removal.
#[derive(Debug, Default, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RemoveQuery {
    pub(super) force: bool,
}

/// Body of a takeover.
#[derive(Debug, Default, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TakeoverBody {
    pub(super) bridge: String,
}

/// Query of the counters.
#[derive(Debug, Default, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StatsQuery {
    pub(super) link: Option<String>,
}

/// The route of a request.
///
/// # Errors
/// `internal` when the request has no JSON, which its types rule out.
pub fn encode(request: &Request) -> Result<HttpCall, ApiError> {
    let segment = |text: &str| utf8_percent_encode(text, &SEGMENT).to_string();
    let addresses = |network: &str| format!("/v1/networks/{}/addresses", segment(network));
    let get = |target| HttpCall { method: Method::GET, target, body: None };
    let delete = |target| HttpCall { method: Method::DELETE, target, body: None };
    let post = |target: &str, body| HttpCall { method: Method::POST, target: target.to_string(), body };
    let patch = |target, body| HttpCall { method: Method::PATCH, target, body };
    Ok(match request {
        Request::Status => get("/v1/status".to_string()),
        Request::Teardown => post("/v1/teardown", None),
        Request::Upgrade(spec) => post("/v1/upgrade", json(spec)?),
        Request::PortAdd(spec) => post("/v1/ports", json(spec)?),
        Request::PortSet(spec) => patch(format!("/v1/ports/{}", segment(&spec.link)), json(spec)?),
        Request::PortDel { link } => delete(format!("/v1/ports/{}", segment(link))),
        Request::PortShow(PortFilter { link: Some(link), network }) => get(with_query(
            &format!("/v1/ports/{}", segment(link)),
            &NetworkQuery { network: network.clone() },
        )?),
        Request::PortShow(PortFilter { link: None, network }) => {
            get(with_query("/v1/ports", &NetworkQuery { network: network.clone() })?)
        }
        Request::FdbShow(filter) => get(with_query("/v1/fdb", filter)?),
        Request::FdbAdd(spec) => post("/v1/fdb", json(spec)?),
        Request::FdbDel(FdbKeySpec { mac, network, vlan }) => {
            let query = EntryQuery { network: network.clone(), vlan: *vlan };
            delete(with_query(&format!("/v1/fdb/{}", segment(&mac.to_string())), &query)?)
        }
        Request::FdbFlush(flush) => post("/v1/fdb/flush", json(flush)?),
        Request::MdbShow(filter) => get(with_query("/v1/mdb", filter)?),
        Request::NetworkCreate(spec) => post("/v1/networks", json(spec)?),
        Request::NetworkSet(change @ NetworkChange { name, .. }) => {
            patch(format!("/v1/networks/{}", segment(name)), json(change)?)
        }
        Request::NetworkRemove { name, force } => {
            delete(with_query(&format!("/v1/networks/{}", segment(name)), &RemoveQuery { force: *force })?)
        }
        Request::NetworkList => get("/v1/networks".to_string()),
        Request::NetworkInspect { name } => get(format!("/v1/networks/{}", segment(name))),
        Request::AddressList { network } => get(addresses(network)),
        Request::AddressReserve(wish) => post(&addresses(&wish.network), json(wish)?),
        Request::AddressRelease { network, ip } => {
            delete(format!("{}/{}", addresses(network), segment(&ip.to_string())))
        }
        Request::PublishAdd(publish) => post("/v1/publishes", json(publish)?),
        Request::PublishDel(publish) => delete(with_query("/v1/publishes", publish)?),
        Request::PublishShow(filter) => get(with_query("/v1/publishes", filter)?),
        Request::Trace(spec) => post(&format!("/v1/ports/{}/trace", segment(&spec.link)), json(spec)?),
        Request::Takeover { bridge } => {
            post("/v1/takeovers", json(&TakeoverBody { bridge: bridge.clone() })?)
        }
        Request::Release { bridge } => delete(format!("/v1/takeovers/{}", segment(bridge))),
        Request::Docker(_) => {
            return Err(ApiError::internal("a Docker engine's call has no route of its own"));
        }
        Request::Stats { link } => get(with_query("/v1/stats", &StatsQuery { link: link.clone() })?),
    })
}

/// Reads the reply to a request.
///
/// # Errors
/// `internal` when the body is not such a reply: the controller speaks another version.
pub fn decode(request: &Request, body: &[u8]) -> Result<Reply, ApiError> {
    match request {
        Request::Status => read(body).map(Reply::Status),
        Request::Upgrade(_) => read(body).map(Reply::Upgrade),
        Request::PortAdd(_) | Request::PortSet(_) | Request::PortShow(_) | Request::Takeover { .. } => {
            read(body).map(Reply::Ports)
        }
        Request::FdbShow(_) => read(body).map(Reply::Fdb),
        Request::MdbShow(_) => read(body).map(Reply::Mdb),
        Request::NetworkCreate(_)
        | Request::NetworkSet(_)
        | Request::NetworkList
        | Request::NetworkInspect { .. } => read(body).map(Reply::Networks),
        Request::AddressList { .. } | Request::AddressReserve(_) => read(body).map(Reply::Addresses),
        Request::PublishAdd(_) | Request::PublishShow(_) => read(body).map(Reply::Publishes),
        Request::Stats { .. } => read(body).map(Reply::Stats),
        Request::Trace(_) => read(body).map(Reply::Traces),
        Request::Teardown
        | Request::PortDel { .. }
        | Request::FdbAdd(_)
        | Request::FdbDel(_)
        | Request::FdbFlush(_)
        | Request::NetworkRemove { .. }
        | Request::AddressRelease { .. }
        | Request::PublishDel(_)
        | Request::Release { .. }
        | Request::Docker(_) => read(body).map(Reply::Done),
    }
}

fn json<T: Serialize>(value: &T) -> Result<Option<Vec<u8>>, ApiError> {
    serde_json::to_vec(value).map(Some).map_err(|e| ApiError::internal(format!("request: no JSON: {e}")))
}

fn with_query<T: Serialize>(path: &str, query: &T) -> Result<String, ApiError> {
    let query = serde_urlencoded::to_string(query)
        .map_err(|e| ApiError::internal(format!("request {path}: no query: {e}")))?;
    Ok(if query.is_empty() { path.to_string() } else { format!("{path}?{query}") })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|e| {
        ApiError::internal(format!("reply of the controller: {e}: does it run the version of this command?"))
    })
}
