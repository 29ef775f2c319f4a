//! The thread that lets guests be interrupted: it moves the engine's epoch on.

use std::sync::mpsc;

/// Runs until it is dropped.
pub(super) struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ticker {
    /// Starts ticking for one engine.
    pub(super) fn start(engine: &wasmtime::Engine) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let engine = engine.weak();
        let thread = std::thread::Builder::new()
            .name("castoff-epoch".into())
            .spawn(move || {
                while matches!(stopped.recv_timeout(super::TICK), Err(mpsc::RecvTimeoutError::Timeout)) {
                    let Some(engine) = engine.upgrade() else { return };
                    engine.increment_epoch();
                }
            })
            .ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread only sleeps and counts; a panic in it has no consequence worth reporting on the way out.
            let _ = thread.join();
        }
    }
}
