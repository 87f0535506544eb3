//! Why a command was refused or failed: a code for programs, one line for people.
//!
//! The codes are a closed list and part of the command contract: a code is added, never renamed or given another meaning.
//! They are `ValueEnum`s so that their names and descriptions can be listed (README, tests) from this one table.

use std::fmt;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The closed list of error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The command line cannot be understood; only the CLI says this, with exit status 2.
    Usage,
    /// The request's body, query or path cannot be understood; the message names the place.
    BadRequest,
    /// No such path in this version of the API.
    UnknownRoute,
    /// The path exists, but not for this HTTP method.
    WrongMethod,
    /// The request's body is larger than the server reads.
    BodyTooLarge,
    /// The caller may not do this: it is neither root nor in the control socket's group.
    PermissionDenied,
    /// The controller lacks root or the capabilities that stand for it.
    NotRoot,
    /// A destructive command was not confirmed.
    NotConfirmed,
    /// The configuration file is missing, unreadable or wrong.
    InvalidConfig,
    /// A value is well formed but not allowed here.
    InvalidArgument,
    /// Not a MAC address, or not one that a station can have.
    InvalidMac,
    /// Not a VLAN ID or list, or the network is not VLAN-aware.
    InvalidVlan,
    /// Not the octets of a frame that can be traced.
    InvalidFrame,
    /// The capture cannot be read, or is not of Ethernet frames.
    InvalidCapture,
    /// No link of that name in the controller's network namespace.
    NoSuchLink,
    /// The link is not a port.
    NoSuchPort,
    /// No network of that name.
    NoSuchNetwork,
    /// No such FDB entry.
    NoSuchEntry,
    /// The link is a port already.
    PortExists,
    /// A network of that name exists already.
    NetworkExists,
    /// A port of the host is published or listened on already.
    HostPortInUse,
    /// Nothing of the kind is published.
    NoSuchPublish,
    /// The FDB entry exists already and is not the same.
    EntryExists,
    /// The address belongs to a gateway, a port or a reservation.
    AddressInUse,
    /// Another host of the network has the name.
    NameInUse,
    /// The address is not reserved.
    NoSuchAddress,
    /// The subnet has addresses of another network or of one of the host's links.
    SubnetOverlaps,
    /// The port or entry is a network's gateway and goes with the network alone.
    GatewayPort,
    /// The network has ports.
    NetworkInUse,
    /// The network `default` cannot be removed.
    NetworkDefault,
    /// The bridge is taken over already, or the command would take a part out of a takeover.
    BridgeTaken,
    /// The bridge is not taken over.
    BridgeNotTaken,
    /// The link has addresses or belongs to a bridge: as a port it would cut off the host.
    LinkHasAddress,
    /// A link of this kind cannot be a port.
    LinkUnsuitable,
    /// The hook asked for does not work on this link.
    HookUnavailable,
    /// A table, queue or connection limit is reached.
    LimitReached,
    /// The kernel or this version does not offer it.
    Unsupported,
    /// No controller answers at the control socket.
    NotRunning,
    /// The connection broke before the answer came; the request may have been carried out.
    ConnectionLost,
    /// The binary in place cannot take over; nothing was changed.
    UpgradeRefused,
    /// Another controller answers at the control socket.
    AlreadyRunning,
    /// The controller is about to stop.
    ShuttingDown,
    /// No answer in time; the request may still be carried out.
    Timeout,
    /// The kernel refused a step; what had been done was undone.
    Kernel,
    /// The durable state cannot be read or written.
    State,
    /// A fault of vswitch itself.
    Internal,
}

impl ErrorCode {
    /// The HTTP status that carries it.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Usage
            | Self::BadRequest
            | Self::NotConfirmed
            | Self::InvalidConfig
            | Self::InvalidArgument
            | Self::InvalidMac
            | Self::InvalidVlan
            | Self::InvalidFrame
            | Self::InvalidCapture => StatusCode::BAD_REQUEST,
            Self::PermissionDenied | Self::NotRoot => StatusCode::FORBIDDEN,
            Self::UnknownRoute
            | Self::NoSuchLink
            | Self::NoSuchPort
            | Self::NoSuchNetwork
            | Self::NoSuchEntry
            | Self::NoSuchAddress
            | Self::NoSuchPublish
            | Self::BridgeNotTaken => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::PortExists
            | Self::NetworkExists
            | Self::EntryExists
            | Self::AddressInUse
            | Self::NameInUse
            | Self::HostPortInUse
            | Self::SubnetOverlaps
            | Self::GatewayPort
            | Self::NetworkInUse
            | Self::NetworkDefault
            | Self::BridgeTaken
            | Self::LinkHasAddress
            | Self::LinkUnsuitable
            | Self::HookUnavailable
            | Self::UpgradeRefused
            | Self::AlreadyRunning => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::LimitReached => StatusCode::INSUFFICIENT_STORAGE,
            Self::Kernel | Self::State | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unsupported => StatusCode::NOT_IMPLEMENTED,
            Self::ConnectionLost => StatusCode::BAD_GATEWAY,
            Self::NotRunning | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("internal", |value| value.get_name()))
    }
}

/// A refusal or failure, as every layer above the controller's loop hands it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// For programs.
    pub code: ErrorCode,
    /// For people: one line that names the subject, the cause and what to do next.
    pub message: String,
}

impl ApiError {
    /// Keeps the message on one line, whatever kernel, parser or user put into it.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl AsRef<str>) -> Self {
        let lines = message.as_ref().split(char::is_control).map(str::trim).filter(|part| !part.is_empty());
        Self { code, message: lines.collect::<Vec<_>>().join(" ") }
    }

    /// Shorthand for a body, query or path that cannot be understood.
    #[must_use]
    pub fn bad_request(message: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// Shorthand for a fault of vswitch itself.
    #[must_use]
    pub fn internal(message: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}

/// The error as it stands in JSON: `{"error":{"code":"port-exists","message":"…"}}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ApiError,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.code.status(), Json(ErrorBody { error: self })).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_body_has_the_contracts_shape() {
        let error = ApiError::new(ErrorCode::PortExists, "veth0 is a port of network default already");
        let json = serde_json::to_string(&ErrorBody { error }).expect("JSON");
        assert_eq!(
            json,
            r#"{"error":{"code":"port-exists","message":"veth0 is a port of network default already"}}"#
        );
    }

    #[test]
    fn a_message_stays_on_one_line() {
        let error = ApiError::new(ErrorCode::Kernel, "first\n   second\u{1b}[31m\r\n");
        assert_eq!(error.message, "first second [31m");
    }

    #[test]
    fn every_code_is_documented_and_reads_the_same_everywhere() {
        let readme = include_str!("README.md");
        for code in ErrorCode::value_variants() {
            let json = serde_json::to_value(code).expect("JSON");
            assert_eq!(json, code.to_string());
            assert!(!code.status().is_success());
            let row = format!("| `{code}` | {} |", code.status().as_u16());
            assert!(readme.contains(&row), "README.md lacks {row}");
        }
    }
}
