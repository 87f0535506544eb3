//! What a handler takes from a request, each with the API's own errors: body, query, path segment.

use std::error::Error as _;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::error::{ApiError, ErrorCode};
use super::server::Context;

/// Bytes of a request's body that are read. A port with every option has under 1 KiB; labels may be many.
pub(super) const BODY_LIMIT: usize = 64 * 1024;

/// A JSON body, whatever its content type says.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Context> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, context: &Context) -> Result<Self, ApiError> {
        let seconds = context.bounds.body.as_secs_f32();
        let bytes = tokio::time::timeout(context.bounds.body, collect(request)).await.map_err(|_| {
            ApiError::bad_request(format!("body: did not arrive whole within {seconds} s: send it again"))
        })??;
        let Json(value) = Json::from_bytes(&bytes).map_err(|rejection| unreadable(&rejection))?;
        Ok(Self(value))
    }
}

async fn collect(request: Request) -> Result<Bytes, ApiError> {
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            ApiError::new(
                ErrorCode::BodyTooLarge,
                format!("body: longer than {BODY_LIMIT} bytes: send less at once"),
            )
        } else {
            ApiError::bad_request(format!("body: broke off: {error}: send it again"))
        }
    })?;
    Ok(body.to_bytes())
}

/// serde says the field's path, the cause, and line and column; axum's own words around it add nothing.
fn unreadable(rejection: &JsonRejection) -> ApiError {
    let cause = rejection.source().map_or_else(|| rejection.body_text(), |source| source.to_string());
    ApiError::bad_request(format!("body: {cause}: see the API's types"))
}

/// The query, of which every name must be known.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Query(value) = Query::try_from_uri(&parts.uri).map_err(|rejection| {
            let cause = rejection.source().map_or_else(|| rejection.body_text(), |source| source.to_string());
            ApiError::bad_request(format!("query of {}: {cause}: see the API's routes", parts.uri.path()))
        })?;
        Ok(Self(value))
    }
}

/// The variable segment of the path, decoded; a tuple where it has more than one.
pub(super) struct Segment<T = String>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => {
                Err(ApiError::bad_request(format!("path {}: {}", parts.uri.path(), rejection.body_text())))
            }
        }
    }
}
