//! The routes: one line each in [`router`], one handler each below it, all of them "make a request, ask the loop".
//!
//! Who may write and how long an answer may take is decided once, in [`guard`], for every route: what is not a GET needs
//! write permission, whichever route is added later.

use std::net::IpAddr;

use axum::extract::{Extension, Request as HttpRequest, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tracing::debug;

use super::error::{ApiError, ErrorCode};
use super::events;
use super::extract::{Body, Params, Segment};
use super::places;
use super::server::{Caller, Context};
use super::types::{
    AddressWish, FdbFilter, FdbFlush, FdbKeySpec, FdbSpec, MdbFilter, NetworkChange, NetworkSpec, PortFilter,
    PortSpec, Publish, PublishFilter, Request, TraceSpec, UpgradeSpec,
};
use super::wire::{EntryQuery, NetworkQuery, RemoveQuery, StatsQuery, TakeoverBody};

type Answer = Result<Response, ApiError>;
type Here = State<Context>;

/// For routes without a query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

/// Every route of version 1.
pub(super) fn router(context: &Context) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/teardown", post(teardown))
        .route("/v1/upgrade", post(upgrade))
        .route("/v1/ports", get(port_list).post(port_add))
        .route("/v1/ports/{link}", get(port_show).patch(port_set).delete(port_del))
        .route("/v1/ports/{link}/trace", post(trace))
        .route("/v1/fdb", get(fdb_show).post(fdb_add))
        .route("/v1/fdb/flush", post(fdb_flush))
        .route("/v1/fdb/{mac}", delete(fdb_del))
        .route("/v1/mdb", get(mdb_show))
        .route("/v1/networks", get(network_list).post(network_create))
        .route("/v1/networks/{name}", get(network_inspect).patch(network_set).delete(network_remove))
        .route("/v1/networks/{name}/addresses", get(address_list).post(address_reserve))
        .route("/v1/networks/{name}/addresses/{ip}", delete(address_release))
        .route("/v1/publishes", get(publish_show).post(publish_add).delete(publish_del))
        .route("/v1/takeovers", post(takeover))
        .route("/v1/takeovers/{bridge}", delete(release))
        .route("/v1/stats", get(stats))
        .route("/v1/events", get(event_stream))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(context.clone(), guard))
        .with_state(context.clone())
}

async fn guard(
    State(context): Here,
    Extension(caller): Extension<Caller>,
    request: HttpRequest,
    next: Next,
) -> Answer {
    let what = format!("{} {}", request.method(), request.uri().path());
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        caller.check_write(&what)?;
        debug!(uid = caller.peer.uid, pid = caller.peer.pid, request = %what, "asked for a change");
    }
    match tokio::time::timeout(context.bounds.request, next.run(request)).await {
        Ok(response) => Ok(response),
        Err(_) => Err(ApiError::new(
            ErrorCode::Timeout,
            format!(
                "{what}: no answer within {} s: it may still be carried out, look with `vswitch status`",
                context.bounds.request.as_secs_f32()
            ),
        )),
    }
}

async fn unknown_route(request: HttpRequest) -> ApiError {
    let message = format!("{}: no such route: the API's paths begin with /v1/", request.uri().path());
    ApiError::new(ErrorCode::UnknownRoute, message)
}

async fn wrong_method(request: HttpRequest) -> ApiError {
    let message =
        format!("{}: does not take {}: see the API's routes", request.uri().path(), request.method());
    ApiError::new(ErrorCode::WrongMethod, message)
}

async fn ask(context: &Context, status: StatusCode, request: Request) -> Answer {
    let busy = places::busy();
    let reply = context.handle.call(request).await;
    drop(busy);
    let reply = reply?;
    Ok((status, Json(reply)).into_response())
}

async fn status(State(context): Here, Params(NoQuery {}): Params<NoQuery>) -> Answer {
    ask(&context, StatusCode::OK, Request::Status).await
}

async fn teardown(State(context): Here, Params(NoQuery {}): Params<NoQuery>) -> Answer {
    ask(&context, StatusCode::OK, Request::Teardown).await
}

async fn upgrade(
    State(context): Here,
    Params(NoQuery {}): Params<NoQuery>,
    Body(spec): Body<UpgradeSpec>,
) -> Answer {
    ask(&context, StatusCode::OK, Request::Upgrade(spec)).await
}

async fn port_list(State(context): Here, Params(query): Params<NetworkQuery>) -> Answer {
    let filter = PortFilter { link: None, network: query.network };
    ask(&context, StatusCode::OK, Request::PortShow(filter)).await
}

async fn port_show(
    State(context): Here,
    Segment(link): Segment,
    Params(query): Params<NetworkQuery>,
) -> Answer {
    let filter = PortFilter { link: Some(link), network: query.network };
    ask(&context, StatusCode::OK, Request::PortShow(filter)).await
}

async fn port_add(
    State(context): Here,
    Params(NoQuery {}): Params<NoQuery>,
    Body(spec): Body<PortSpec>,
) -> Answer {
    if spec.link.is_empty() {
        return Err(ApiError::bad_request("body: link: missing: name the link that becomes a port"));
    }
    ask(&context, StatusCode::CREATED, Request::PortAdd(spec)).await
}

async fn port_set(State(context): Here, Segment(link): Segment, Body(mut spec): Body<PortSpec>) -> Answer {
    spec.link = same_name("link", link, &spec.link)?;
    ask(&context, StatusCode::OK, Request::PortSet(spec)).await
}

async fn port_del(State(context): Here, Segment(link): Segment) -> Answer {
    ask(&context, StatusCode::OK, Request::PortDel { link }).await
}

async fn trace(State(context): Here, Segment(link): Segment, Body(mut spec): Body<TraceSpec>) -> Answer {
    spec.link = same_name("link", link, &spec.link)?;
    ask(&context, StatusCode::OK, Request::Trace(spec)).await
}

async fn fdb_show(State(context): Here, Params(filter): Params<FdbFilter>) -> Answer {
    ask(&context, StatusCode::OK, Request::FdbShow(filter)).await
}

async fn fdb_add(State(context): Here, Body(spec): Body<FdbSpec>) -> Answer {
    ask(&context, StatusCode::CREATED, Request::FdbAdd(spec)).await
}

async fn fdb_del(State(context): Here, Segment(mac): Segment, Params(query): Params<EntryQuery>) -> Answer {
    let mac = mac.parse().map_err(|error| ApiError::new(ErrorCode::InvalidMac, format!("path: {error}")))?;
    let key = FdbKeySpec { mac, network: query.network, vlan: query.vlan };
    ask(&context, StatusCode::OK, Request::FdbDel(key)).await
}

async fn fdb_flush(State(context): Here, Body(flush): Body<FdbFlush>) -> Answer {
    ask(&context, StatusCode::OK, Request::FdbFlush(flush)).await
}

async fn mdb_show(State(context): Here, Params(filter): Params<MdbFilter>) -> Answer {
    ask(&context, StatusCode::OK, Request::MdbShow(filter)).await
}

async fn network_list(State(context): Here, Params(NoQuery {}): Params<NoQuery>) -> Answer {
    ask(&context, StatusCode::OK, Request::NetworkList).await
}

async fn network_create(State(context): Here, Body(spec): Body<NetworkSpec>) -> Answer {
    if spec.name.is_empty() {
        return Err(ApiError::bad_request("body: name: missing: name the network to create"));
    }
    ask(&context, StatusCode::CREATED, Request::NetworkCreate(spec)).await
}

async fn network_inspect(State(context): Here, Segment(name): Segment) -> Answer {
    ask(&context, StatusCode::OK, Request::NetworkInspect { name }).await
}

async fn network_set(
    State(context): Here,
    Segment(name): Segment,
    Body(mut change): Body<NetworkChange>,
) -> Answer {
    change.name = same_name("name", name, &change.name)?;
    ask(&context, StatusCode::OK, Request::NetworkSet(change)).await
}

async fn network_remove(
    State(context): Here,
    Segment(name): Segment,
    Params(query): Params<RemoveQuery>,
) -> Answer {
    ask(&context, StatusCode::OK, Request::NetworkRemove { name, force: query.force }).await
}

async fn address_list(State(context): Here, Segment(network): Segment) -> Answer {
    ask(&context, StatusCode::OK, Request::AddressList { network }).await
}

async fn address_reserve(
    State(context): Here,
    Segment(name): Segment,
    Body(mut wish): Body<AddressWish>,
) -> Answer {
    wish.network = same_name("network", name, &wish.network)?;
    ask(&context, StatusCode::CREATED, Request::AddressReserve(wish)).await
}

async fn address_release(State(context): Here, Segment((network, ip)): Segment<(String, IpAddr)>) -> Answer {
    ask(&context, StatusCode::OK, Request::AddressRelease { network, ip }).await
}

async fn publish_show(State(context): Here, Params(filter): Params<PublishFilter>) -> Answer {
    ask(&context, StatusCode::OK, Request::PublishShow(filter)).await
}

async fn publish_add(State(context): Here, Body(publish): Body<Publish>) -> Answer {
    ask(&context, StatusCode::CREATED, Request::PublishAdd(publish)).await
}

async fn publish_del(State(context): Here, Params(publish): Params<Publish>) -> Answer {
    ask(&context, StatusCode::OK, Request::PublishDel(publish)).await
}

async fn takeover(
    State(context): Here,
    Params(NoQuery {}): Params<NoQuery>,
    Body(body): Body<TakeoverBody>,
) -> Answer {
    ask(&context, StatusCode::CREATED, Request::Takeover { bridge: body.bridge }).await
}

async fn release(State(context): Here, Segment(bridge): Segment) -> Answer {
    ask(&context, StatusCode::OK, Request::Release { bridge }).await
}

async fn stats(State(context): Here, Params(query): Params<StatsQuery>) -> Answer {
    ask(&context, StatusCode::OK, Request::Stats { link: query.link }).await
}

async fn event_stream(State(context): Here, Params(NoQuery {}): Params<NoQuery>) -> Answer {
    events::stream(&context)
}

/// The subject stands in the path; the body may leave it out or repeat it.
fn same_name(field: &str, path: String, body: &str) -> Result<String, ApiError> {
    if body.is_empty() || body == path {
        Ok(path)
    } else {
        Err(ApiError::bad_request(format!(
            "body: {field}: is {body:?}, but the path names {path:?}: leave it out"
        )))
    }
}
