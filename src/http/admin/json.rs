//! The bodies of requests that change something.

use axum::extract::Request;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::http::app::App;
use crate::http::body;
use crate::problem::{INVALID_BODY, Problem};

/// Head and value of a request; an absent body counts as `{}`. A member that the type does not
/// know is an error when the type says `deny_unknown_fields`, and each should.
pub(super) async fn read<T: DeserializeOwned>(
    app: &App,
    request: Request,
    limit_bytes: usize,
) -> Result<(Parts, T), Problem> {
    let (head, body) = request.into_parts();
    let deadline = app.deadline(&head.headers)?;
    let mut held = app.runtime.memory().charge();
    let bytes = body::whole(body, &head.headers, limit_bytes, deadline, &mut held).await?;
    let text = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
    match serde_json::from_slice(text) {
        Ok(value) => Ok((head, value)),
        // It names the member or what was expected, with line and column.
        Err(error) => Err(Problem::new(
            &INVALID_BODY,
            format!("the body is not what this path takes: {error}"),
        )),
    }
}
