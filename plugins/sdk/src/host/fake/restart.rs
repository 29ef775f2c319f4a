//! Proof by trying that a step may be started again wherever it stops.

use std::fmt::Debug;

use super::World;
use crate::Error;
use crate::step::words;

/// Runs a step undisturbed; then, for each of its effects, in a fresh world where the answer to that effect is lost, starts
/// it again, and compares effects and result with the undisturbed ones. Returns the effects.
///
/// ```
/// use castoff_sdk::host::fake::{World, restarts};
/// use castoff_sdk::host::{Files, Git, Repository};
///
/// let seed = || {
///     let world = World::new();
///     world.commit("o/r", "main", "Begin", &[]);
///     world
/// };
/// let effects = restarts(seed, |host| {
///     let repository = host.open("o/r")?;
///     let (_, head) = repository.head(None)?;
///     repository.ensure_tag("v1.0.0", &head.id, None)?;
///     host.publish("report.md", "text/markdown", b"done")
/// });
/// assert_eq!(effects, ["create o/r refs/tags/v1.0.0", "publish report.md"]);
/// ```
///
/// # Panics
/// When the step fails undisturbed or started again, or does something else when it is.
pub fn restarts<T: PartialEq + Debug>(
    seed: impl Fn() -> World,
    step: impl Fn(&World) -> Result<T, Error>,
) -> Vec<String> {
    let world = seed();
    let seeded = world.effects().len();
    let undisturbed = step(&world).unwrap_or_else(|error| panic!("undisturbed: {}", words(&error)));
    let effects = world.effects();
    for (at, effect) in effects.iter().enumerate().skip(seeded) {
        let world = seed();
        world.0.borrow_mut().lost = Some(at);
        let stopped = step(&world);
        // A step may carry on without an answer that it does not need.
        let ended = match stopped {
            Ok(ended) => ended,
            Err(_) => step(&world)
                .unwrap_or_else(|error| panic!("started again after `{effect}`: {}", words(&error))),
        };
        assert_eq!(world.effects(), effects, "effects when started again after `{effect}`");
        assert_eq!(ended, undisturbed, "result when started again after `{effect}`");
    }
    effects.into_iter().skip(seeded).collect()
}
