//! Which GitHub a live run acts on: github.com, an Enterprise Server, or the embedded forge on loopback.

use std::path::{Path, PathBuf};

use castoff::journal::Header;
use url::{Host, Url};

use super::error::CommandError;

const API: &str = "https://api.github.com/";
const GIT: &str = "https://github.com/";

/// A GitHub.
pub(crate) struct Instance {
    /// Base address of another one than github.com; its path ends with a slash.
    other: Option<Url>,
}

/// Where a run keeps what it fetched, to fetch it once. What is the same name elsewhere is something else.
pub(crate) struct Caches {
    /// Copies of repositories.
    pub(crate) git: PathBuf,
    /// Answers of the API.
    pub(crate) github: PathBuf,
}

impl Instance {
    /// The GitHub of a run.
    pub(crate) fn of(header: &Header) -> Result<Self, CommandError> {
        Self::parse(header.forge.as_deref())
    }

    /// The GitHub at an address; github.com without one.
    pub(crate) fn parse(address: Option<&str>) -> Result<Self, CommandError> {
        let Some(text) = address else { return Ok(Self { other: None }) };
        let wrong = |why: &str| {
            CommandError::usage(format!("--forge {text}: {why}"))
                .hint("an address like https://github.example.org or http://127.0.0.1:8080")
        };
        let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        let plain = url.username().is_empty() && url.password().is_none();
        if !plain || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("no user, query or fragment belongs in it"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => {
                return Err(wrong(
                    "the token would travel unencrypted: only a forge on loopback may use http",
                ));
            }
            _ => return Err(wrong("only https is spoken, and http with a forge on loopback")),
        }
        url.set_path(&format!("{}/", url.path().trim_end_matches('/')));
        if url.as_str() == GIT {
            return Ok(Self { other: None });
        }
        Ok(Self { other: Some(url) })
    }

    /// Its address, when it is not github.com.
    pub(crate) fn address(&self) -> Option<String> {
        self.other.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned())
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.other.as_ref().is_some_and(is_loopback)
    }

    /// Base address of the API.
    pub(crate) fn api(&self) -> Result<Url, CommandError> {
        match &self.other {
            None => fixed(API),
            Some(url) => fixed(&format!("{url}api/v3/")),
        }
    }

    /// Base address of the repositories.
    pub(crate) fn git(&self) -> Result<Url, CommandError> {
        self.other.clone().map_or_else(|| fixed(GIT), Ok)
    }

    /// Where a run on it keeps what it fetched. A forge on loopback is gone tomorrow and another one at its address.
    pub(crate) fn caches(&self, state: &Path, run: &Path) -> Caches {
        let folder = match &self.other {
            None => state.to_owned(),
            Some(_) if self.is_loopback() => run.to_owned(),
            Some(url) => {
                let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
                let name: String = url.as_str().chars().map(plain).collect();
                state.join("forges").join(name.trim_matches('-'))
            }
        };
        Caches { git: folder.join("git"), github: folder.join("cache").join("github") }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn fixed(text: &str) -> Result<Url, CommandError> {
    Url::parse(text).map_err(|error| CommandError::internal(format!("{text}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_good() {
        let cases = [
            (None, "https://api.github.com/", "https://github.com/", false),
            (Some("https://github.com"), "https://api.github.com/", "https://github.com/", false),
            (Some("http://127.0.0.1:80"), "http://127.0.0.1/api/v3/", "http://127.0.0.1/", true),
            (Some("http://[::1]:81/"), "http://[::1]:81/api/v3/", "http://[::1]:81/", true),
            (Some("https://ghe.example"), "https://ghe.example/api/v3/", "https://ghe.example/", false),
            (Some("https://x.example/ghe"), "https://x.example/ghe/api/v3/", "https://x.example/ghe/", false),
        ];
        for (given, api, git, loopback) in cases {
            let instance = Instance::parse(given).unwrap_or_else(|error| panic!("{given:?}: {error:?}"));
            assert_eq!(instance.api().map(String::from).ok().as_deref(), Some(api));
            assert_eq!(instance.git().map(String::from).ok().as_deref(), Some(git));
            assert_eq!(instance.is_loopback(), loopback, "{given:?}");
            let again = Instance::parse(instance.address().as_deref()).map(|again| again.address());
            assert_eq!(again.ok(), Some(instance.address()), "what is remembered means the same");
        }
    }

    #[test]
    fn addresses_that_are_refused() {
        for given in [
            "nonsense",
            "http://ghe.example",
            "http://127.0.0.1.evil.example",
            "http://localhost@evil.example",
            "https://user:secret@ghe.example",
            "https://ghe.example/?a=b",
            "ftp://127.0.0.1",
        ] {
            assert!(Instance::parse(Some(given)).is_err(), "{given}");
        }
    }
}
