//! `/errors/`: the pages that problems point to.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::problem::{CODES, NOT_FOUND, Problem};

/// `GET /errors/`: every code, as a Markdown list.
pub(super) async fn index() -> Response {
    let mut text = String::from("# Errors\n\n| code | status | meaning |\n|---|---|---|\n");
    for code in CODES {
        text.push_str(&format!(
            "| [{0}](/errors/{0}) | {1} | {2} |\n",
            code.name, code.status, code.title
        ));
    }
    markdown(text)
}

/// `GET /errors/{code}`: one page.
pub(super) async fn page(Path(name): Path<String>) -> Result<Response, Problem> {
    let code = CODES.iter().find(|code| code.name == name);
    match code {
        Some(code) => Ok(markdown(code.page)),
        None => Err(Problem::new(
            &NOT_FOUND,
            "there is no such error code: see /errors/",
        )),
    }
}

/// Markdown that browsers show instead of saving it.
fn markdown(text: impl IntoResponse) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; charset=utf-8; variant=markdown",
        )],
        text,
    )
        .into_response()
}
