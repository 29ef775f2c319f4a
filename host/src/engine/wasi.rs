//! Inert WASI: what the standard library of a guest language wants to link, with nothing behind it.
//!
//! No files, no sockets, no environment, no arguments; the clock stands at the step's time and the random source is
//! seeded, so that a step is a function of what it is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx};

use super::{Ambience, StepState};

/// Packages that link; there is nothing behind any of them. `wasi:http` is none of them: a guest that imports it was built
/// to send requests past `castoff:http`.
pub(super) const OFFERED: &[&str] =
    &["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

pub(super) fn link(linker: &mut Linker<StepState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// A context with nothing in it but output that is captured up to a limit.
pub(super) fn context(ambience: Ambience, output: &Output) -> WasiCtx {
    let mut seed = [0u8; 32];
    seed[..8].copy_from_slice(&ambience.seed.to_le_bytes());
    let mut builder = WasiCtx::builder();
    builder
        .stdout(output.clone())
        .stderr(output.clone())
        .wall_clock(Standing(ambience.now.timestamp().max(0).unsigned_abs()))
        .monotonic_clock(Counting(AtomicU64::new(0)))
        .secure_random(seeded(seed))
        .insecure_random(seeded(seed))
        .insecure_random_seed(u128::from(ambience.seed))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    builder.build()
}

/// A clock that shows the same moment for the whole call: the time of day.
struct Standing(u64);

impl HostWallClock for Standing {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(self.0)
    }
}

/// A clock that moves on by a microsecond whenever it is read: the same for the same guest, and not for ever at zero, which
/// Go's runtime takes for a broken machine and loops that wait for a time limit never leave.
struct Counting(AtomicU64);

impl HostMonotonicClock for Counting {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(1_000, Ordering::Relaxed).saturating_add(1_000)
    }
}

/// Captured output. What exceeds the limit is dropped: a flood is not a reason to trap.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    limit: usize,
}

impl Output {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Arc::default(), limit }
    }

    /// The text captured so far, without control characters.
    pub(super) fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        crate::gate::printable(&String::from_utf8_lossy(&bytes), usize::MAX).trim_end().to_owned()
    }

    fn take(&self, more: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let room = self.limit.saturating_sub(bytes.len()).min(more.len());
        bytes.extend_from_slice(&more[..room]);
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl tokio::io::AsyncWrite for Output {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.take(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

fn seeded(seed: [u8; 32]) -> rand::rngs::StdRng {
    rand::SeedableRng::from_seed(seed)
}
