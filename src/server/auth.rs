//! Who may ask. A token, compared in constant time, is a must on any address that others can reach. Without one the
//! server answers this machine only, and then it must not be fooled by a web page that this machine's browser shows:
//! such a page names its own origin, or (with a re-bound name) a foreign host.

use std::net::IpAddr;
use std::path::Path;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use crate::{Error, Result};

/// Characters of a token at least.
const SHORTEST_TOKEN: usize = 16;
/// Paths that tell nothing about parts and are open to all: a probe must not need a secret, and the page asks for it.
const OPEN: [&str; 3] = ["/", "/health", "/openapi.json"];

/// The shared secret, kept as a hash: equal lengths make the comparison's time say nothing.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Reads the token from a file that nobody else may read.
    ///
    /// # Errors
    /// [`Error::Input`] for a short token or a file that others may read, [`Error::Io`] for one that cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |e: &std::io::Error| Error::io("Cannot read the token", path, e);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path).map_err(|e| fail(&e))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(Error::input(format!(
                    "Others may read the token's file (mode {:03o}). Run: chmod 600 {}",
                    mode & 0o777,
                    path.display()
                )));
            }
        }
        let text = std::fs::read_to_string(path).map_err(|e| fail(&e))?;
        Self::new(text.trim()).map_err(|e| e.at(path))
    }

    fn new(text: &str) -> Result<Self> {
        if text.len() < SHORTEST_TOKEN || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(Error::input(format!(
                "The token must be one line of at least {SHORTEST_TOKEN} ASCII characters without spaces, e.g. from \
                 `openssl rand -hex 32`."
            )));
        }
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }

    fn is(&self, text: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        self.0.ct_eq(&given).into()
    }
}

/// The rules of one server.
#[derive(Clone, Debug)]
pub struct Guard {
    pub token: Option<Token>,
    /// The one other origin whose pages may ask.
    pub cors: Option<HeaderValue>,
}

impl Guard {
    /// Lets a request pass that comes from no web page, or from one that may ask.
    pub fn check_origin(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let foreign = headers
            .get(header::ORIGIN)
            .is_some_and(|origin| self.cors.as_ref() != Some(origin) && !is_own_origin(origin, headers));
        // With a token a re-bound name gains nothing: the page does not know the token.
        if foreign || self.token.is_none() && !is_local_host(headers) {
            return Err(ApiError::foreign_page());
        }
        Ok(())
    }

    /// Lets a request pass that has the token, or needs none.
    pub fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), ApiError> {
        match &self.token {
            Some(token) if !(OPEN.contains(&path) && *method == Method::GET) => {
                let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
                let given = given.and_then(|value| value.split_once(' '));
                match given {
                    Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") && token.is(text.trim()) => Ok(()),
                    _ => Err(ApiError::unauthorised()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The answer to a browser that asks beforehand whether the allowed origin may ask.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let asked = *method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let allowed = self.cors.is_some() && headers.get(header::ORIGIN) == self.cors.as_ref();
        (asked && allowed).then(|| {
            let mut response = StatusCode::NO_CONTENT.into_response();
            for (name, value) in [
                (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
                (header::ACCESS_CONTROL_MAX_AGE, "600"),
            ] {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            response
        })
    }

    /// Adds to every answer what browsers should know.
    pub fn finish(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(origin) = &self.cors {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CACHE_CONTROL, "no-store"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ] {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
    }
}

/// The page was served by this very server: its origin is the host that the request names.
fn is_own_origin(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), headers.get(header::HOST).map(HeaderValue::to_str)) else {
        return false;
    };
    origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

/// The request names this machine as its host. No host at all is no browser.
fn is_local_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn status(guard: &Guard, path: &str, pairs: &[(HeaderName, &str)]) -> u16 {
        let headers = headers(pairs);
        let outcome = guard.check_origin(&headers).and_then(|()| guard.check(&Method::GET, path, &headers));
        outcome.map_or_else(|refused| refused.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn a_token_opens_and_nothing_else_does() {
        let guard = Guard { token: Some(Token::new(SECRET).unwrap()), cors: None };
        let with = |value: &str| status(&guard, "/models", &[(header::AUTHORIZATION, value)]);
        assert_eq!(with(&format!("Bearer {SECRET}")), 200);
        assert_eq!(with(&format!("bearer {SECRET}")), 200);
        for wrong in ["", "Bearer", "Bearer ", SECRET, "Basic 0123456789abcdef", "Bearer 0123456789abcdeF"] {
            assert_eq!(with(wrong), 401, "{wrong}");
        }
        assert_eq!(status(&guard, "/models", &[]), 401);
        assert_eq!(status(&guard, "/health", &[]), 200);
        assert!(Token::new("short").is_err() && Token::new("with spaces in its middle").is_err());
        assert!(!format!("{guard:?}").contains(SECRET));
    }

    #[cfg(unix)]
    #[test]
    fn a_token_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{SECRET}\n")).unwrap();
        let mode = |mode| file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        assert!(Token::open(file.path()).unwrap_err().to_string().contains("chmod 600"));
        mode(0o600);
        assert!(Token::open(file.path()).unwrap().is(SECRET));
    }

    #[test]
    fn pages_of_other_sites_are_refused_and_names_cannot_be_rebound() {
        let open = Guard { token: None, cors: None };
        let host = (header::HOST, "127.0.0.1:8000");
        let with = |origin: &str| status(&open, "/inspect", &[host.clone(), (header::ORIGIN, origin)]);
        assert_eq!(with("http://127.0.0.1:8000"), 200);
        assert_eq!(with("http://evil.example"), 403);
        assert_eq!(with("null"), 403);
        for (name, expected) in [
            ("localhost:8000", 200),
            ("[::1]:8000", 200),
            ("127.0.0.1", 200),
            ("evil.example:8000", 403),
            ("127.0.0.1.evil.example", 403),
        ] {
            assert_eq!(status(&open, "/models", &[(header::HOST, name)]), expected, "{name}");
        }
        let shared = Guard { token: None, cors: Some(HeaderValue::from_static("https://line3.example")) };
        assert_eq!(status(&shared, "/", &[host.clone(), (header::ORIGIN, "https://line3.example")]), 200);
        assert_eq!(status(&shared, "/", &[host, (header::ORIGIN, "https://line4.example")]), 403);
    }
}
