//! Keeps web pages away from the admin API.
//!
//! A browser on the operator's machine can reach loopback, and runs whatever page its user visits.
//! Three checks, each enough against one way in:
//!
//! - `Origin` must be the listener itself: browsers send it with whatever a page asks for that changes something.
//! - A change needs `Content-Type: application/json`. A page of another site cannot send that
//!   without asking first (CORS preflight), and nobody here says yes.
//! - `Host` must be an IP address, `localhost` or a name of the setting `admin_names`. A page whose
//!   own name was made to resolve to this machine (DNS rebinding) is of the same origin as we are,
//!   and gives itself away by that name only.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, header};

use crate::config::HostNames;
use crate::http::app::App;
use crate::problem::{ADMIN_REFUSED, Problem, UNSUPPORTED_MEDIA_TYPE};

/// Lets a request through that no page of another site can have made.
pub(super) async fn guard(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    check(request.method(), request.headers(), &app.config.admin_names)?;
    Ok(next.run(request).await)
}

fn check(method: &Method, headers: &HeaderMap, names: &HostNames) -> Result<(), Problem> {
    let host = only(headers, header::HOST);
    if !is_ours(host, names) {
        return Err(refused(format!(
            "the header host names '{}': the admin API answers to IP addresses, localhost and the names of the setting admin_names",
            shown(host)
        )));
    }
    if headers.contains_key(header::ORIGIN) {
        let origin = only(headers, header::ORIGIN);
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
            return Err(refused(format!(
                "the header origin says that a page of '{}' asks: the admin API answers no page but its own",
                shown(origin)
            )));
        }
    }
    let only_looks = matches!(*method, Method::GET | Method::HEAD);
    if !only_looks && !is_json(only(headers, header::CONTENT_TYPE)) {
        let said = "a change needs the header content-type: application/json (curl: --json)";
        return Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, said));
    }
    Ok(())
}

fn refused(said: String) -> Problem {
    Problem::new(&ADMIN_REFUSED, said)
}

/// The value of a header that is there once and is text, else nothing.
fn only(headers: &HeaderMap, name: header::HeaderName) -> &str {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default(),
        _ => "",
    }
}

/// Whether a `Host` is one that a page of another site cannot bear.
fn is_ours(host: &str, names: &HostNames) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or_default(),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let is_host = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    let is_known = name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || names.contain(name);
    is_host && is_known
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn shown(value: &str) -> String {
    value.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::check;
    use crate::config::HostNames;

    fn passes(method: &Method, headers: &[(&'static str, &str)]) -> bool {
        let names: HostNames = "abide.internal".parse().unwrap();
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect();
        check(method, &headers, &names).is_ok()
    }

    #[test]
    fn a_host_is_an_address_or_a_name_of_ours() {
        for ours in [
            "127.0.0.1:7879",
            "10.0.0.7",
            "[::1]:7879",
            "[::1]",
            "LocalHost:1",
            "admin.localhost:1",
            "Abide.Internal:7879",
        ] {
            assert!(passes(&Method::GET, &[("host", ours)]), "{ours}");
        }
        for other in [
            "",
            "evil.example",
            "evil.example:7879",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "[::1",
            "[::1]evil.example",
            "[::1]:evil.example",
            "127.0.0.1:7879@evil.example",
            "xlocalhost",
        ] {
            assert!(!passes(&Method::GET, &[("host", other)]), "{other}");
        }
        assert!(!passes(&Method::GET, &[]), "no host at all");
    }

    #[test]
    fn an_origin_is_the_listener_itself_or_absent() {
        let from = |origin| {
            let headers = [("host", "127.0.0.1:7879"), ("origin", origin)];
            passes(&Method::GET, &headers)
        };
        assert!(from("http://127.0.0.1:7879"));
        for other in [
            "http://127.0.0.1:7878",
            "http://evil.example",
            "null",
            "",
            "127.0.0.1:7879",
        ] {
            assert!(!from(other), "{other}");
        }
    }

    #[test]
    fn a_change_is_json() {
        let sent_as = |method, media_type| {
            let headers = [("host", "127.0.0.1:7879"), ("content-type", media_type)];
            passes(method, &headers)
        };
        for method in [&Method::POST, &Method::PUT, &Method::DELETE, &Method::PATCH] {
            assert!(sent_as(method, "Application/JSON; charset=utf-8"));
            for simple in ["text/plain", "application/x-www-form-urlencoded", ""] {
                assert!(!sent_as(method, simple), "{method} {simple}");
            }
            assert!(!passes(method, &[("host", "127.0.0.1:7879")]));
        }
    }
}
