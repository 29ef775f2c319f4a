//! Tests of the GitHub back end against a scripted server.

#![allow(clippy::unwrap_used)]

mod batch;
mod junction;
mod verb;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{GitHubBackend, GitHubConfig};
use crate::capability::scripted::Server;
use crate::capability::wire::{Patience, Skip};
use crate::capability::{Secret, Slug};
use crate::clock::SimulatedClock;

const TOKEN: &str = "ghp_s3cr3tT0ken";

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z").unwrap().with_timezone(&Utc)
}

fn slug() -> Slug {
    Slug::parse("kubernetes-csi/livenessprobe").unwrap()
}

/// Settings for a server, and the record of the waits.
fn config(base: &url::Url) -> (GitHubConfig, Arc<Skip>) {
    let skip = Arc::new(Skip::default());
    let mut config =
        GitHubConfig::new(base.clone(), Arc::clone(&skip) as _, Arc::new(SimulatedClock::new(now())));
    config.token = Some(Secret::new(TOKEN));
    config.write_gap = Duration::ZERO;
    config.patience =
        Patience { attempts: 4, backoff: Duration::from_secs(1), max_wait: Duration::from_secs(100) };
    (config, skip)
}

fn backend(server: &Server) -> (GitHubBackend, Arc<Skip>) {
    let (config, skip) = config(&server.base);
    (GitHubBackend::new(config).unwrap(), skip)
}
