//! Which addresses a plugin may reach: public ones, after resolution.
//!
//! A name is resolved once, every address it resolves to is checked, and the connection is made to those very
//! addresses: a name that changes its mind in between gains nothing. Ranges follow the special-purpose registries of
//! IANA (RFC 6890 and its updates).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

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

/// Hosts that may be private, by configuration: lower-case names or addresses, without port.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    private: Arc<BTreeSet<String>>,
}

/// What the guard says of an address that it refuses.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not on the public internet")]
pub(super) struct Refused(String);

impl Guard {
    pub(super) fn new(private: &BTreeSet<String>) -> Self {
        Self { private: Arc::new(private.iter().map(|host| host.to_ascii_lowercase()).collect()) }
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
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            // One private address among public ones is how a name is made to look harmless.
            if !guard.allows(&host) && !found.iter().all(|address| is_public(address.ip())) {
                return Err(BoxError::from(Refused(host)));
            }
            Ok::<Addrs, BoxError>(Box::new(found.into_iter()))
        })
    }
}
