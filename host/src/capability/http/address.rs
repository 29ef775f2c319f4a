//! Which addresses a plugin may reach: public ones, after resolution.
//!
//! A name is resolved once, every address it resolves to is checked, and the connection is made to those very
//! addresses: a name that changes its mind in between gains nothing. Ranges follow the special-purpose registries of
//! IANA (RFC 6890 and its updates).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Whether an address is on the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    let special = matches!(
        (a, b, c, d),
        // This network, private use, carrier NAT (100.64/10), loopback, link local (metadata services), private use.
        (0 | 10 | 127, ..) | (100, 64..=127, ..) | (169, 254, ..) | (172, 16..=31, ..) | (192, 168, ..)
        // Protocol assignments, documentation, 6to4 relays, benchmarking, documentation.
        | (192, 0, 0 | 2, _) | (192, 88, 99, _) | (198, 18 | 19, ..) | (198, 51, 100, _) | (203, 0, 113, _)
        // Multicast, reserved, broadcast.
        | (224..=255, ..)
        // Azure's platform address: not in a special range, yet it hands out credentials.
        | (168, 63, 129, 16)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [a, b, c, _, e, f, g, h] = segments;
    let embedded = |high: u16, low: u16| {
        let [w, x] = high.to_be_bytes();
        let [y, z] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(w, x, y, z))
    };
    match segments {
        // Mapped (::ffff:a.b.c.d) and NAT64 (64:ff9b::/96): as good as the address inside.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(g, h),
        // 6to4 carries it right after its prefix.
        [0x2002, ..] => embedded(b, c),
        // Everything else that is not global unicast: unspecified, loopback, compatible, ULA, link and site local,
        // multicast, discard, local NAT64.
        _ if !(0x2000..=0x3fff).contains(&a) => false,
        // Protocol assignments with Teredo (2001::/23), documentation (2001:db8::/32, 3fff::/20).
        [0x2001, b, ..] if b < 0x200 || b == 0xdb8 => false,
        [0x3fff, b, ..] if b < 0x1000 => false,
        _ => {
            // ISATAP puts an IPv4 address behind this interface identifier.
            let isatap = (e & 0xfdff) == 0 && f == 0x5efe;
            !isatap || embedded(g, h)
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Who knows the addresses of names.
#[async_trait]
trait Lookup: Send + Sync {
    async fn addresses(&self, host: &str) -> std::io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
struct System;

#[async_trait]
impl Lookup for System {
    async fn addresses(&self, host: &str) -> std::io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.collect())
    }
}

/// Lets only those names and addresses through that are public, or may be private by configuration.
#[derive(Clone)]
pub(super) struct Guard {
    /// Lower-case names or addresses, without port.
    private: Arc<BTreeSet<String>>,
    lookup: Arc<dyn Lookup>,
}

/// What the guard says of an address that it refuses.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not on the public internet")]
pub(super) struct Refused(String);

impl Guard {
    pub(super) fn new(private: &BTreeSet<String>) -> Self {
        let private = private.iter().map(|host| host.to_ascii_lowercase()).collect();
        Self { private: Arc::new(private), lookup: Arc::new(System) }
    }

    fn allows(&self, host: &str) -> bool {
        self.private.contains(host.trim_end_matches('.'))
    }

    /// Checks an address that is written out; names are checked when they are resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        if is_public(address) || self.allows(&address.to_string()) {
            return Ok(());
        }
        Err(Refused(address.to_string()))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_ascii_lowercase();
            let found = guard.lookup.addresses(&host).await?;
            // One private address among public ones is how a name is made to look harmless.
            if !guard.allows(&host) && !found.iter().all(|address| is_public(address.ip())) {
                return Err(BoxError::from(Refused(host)));
            }
            Ok::<Addrs, BoxError>(Box::new(found.into_iter()))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;

    /// A name that answers differently each time it is asked for.
    struct Fickle(Mutex<VecDeque<Vec<&'static str>>>);

    #[async_trait]
    impl Lookup for Fickle {
        async fn addresses(&self, _: &str) -> std::io::Result<Vec<SocketAddr>> {
            let answer = self.0.lock().unwrap().pop_front().unwrap();
            Ok(answer.into_iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect())
        }
    }

    #[tokio::test]
    async fn a_name_that_changes_its_mind_gains_nothing() {
        let public = ["93.184.216.34", "2606:4700::1111"];
        // What is answered first, whether it passes; the second answer would always be the attacker's.
        let table: [(&[&'static str], bool); 8] = [
            (&public, true),
            (&public[..1], true),
            (&["127.0.0.1"], false),
            (&["169.254.169.254"], false),
            (&["93.184.216.34", "10.0.0.1"], false),
            (&["10.0.0.1", "93.184.216.34"], false),
            (&["2606:4700::1111", "::ffff:169.254.169.254"], false),
            (&["fd00:ec2::254"], false),
        ];
        for (first, passes) in table {
            let answers = Arc::new(Fickle(Mutex::new([first.to_vec(), vec!["127.0.0.1"]].into())));
            let guard = Guard { lookup: answers.clone(), ..Guard::new(&BTreeSet::new()) };
            let resolved = guard.resolve("rebind.example".parse().unwrap()).await;
            assert_eq!(resolved.is_ok(), passes, "{first:?}");
            if let Ok(resolved) = resolved {
                // The connection goes to the very addresses that were checked.
                let to: Vec<String> = resolved.map(|address| address.ip().to_string()).collect();
                assert_eq!(to, first);
            }
            assert_eq!(answers.0.lock().unwrap().len(), 1, "{first:?}: it is asked for once");
        }
    }
}
