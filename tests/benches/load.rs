//! What a plugin costs before it does anything: loading, instantiating, a call, and the memory of an instance.
//!
//! `cargo bench -p castoff-tests --bench load`

#![allow(clippy::print_stdout)]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use castoff::author::Language;
use castoff::embedded;
use castoff::engine::{Engine, EngineConfig, Limits, Plugin};
use castoff_tests::theatre::{EXERCISER, engine};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// Loading, of a new engine and of one that knows the bytes; a call in a fresh instance; and what an instance holds.
fn load(c: &mut Criterion) {
    let runtime = castoff::run::runtime().expect("a runtime");
    let uncached = || Engine::new(EngineConfig::default()).expect("the engine runs");
    let rust = embedded::plugin("csi-sidecar").expect("it is embedded");
    c.bench_function("load: compile csi-sidecar", |b| {
        b.iter_batched(uncached, |cold| cold.load(rust).expect("it loads"), BatchSize::PerIteration);
    });
    let mut guests = vec![("exerciser", EXERCISER.to_vec()), ("csi-sidecar", rust.to_vec())];
    for language in [Language::Rust, Language::JavaScript, Language::Python] {
        match castoff_tests::script::component(language) {
            Ok(component) => guests.push((language.word(), component)),
            Err(why) => println!("{} is left out: {why}", language.word()),
        }
    }
    for (name, component) in guests {
        let warm = engine(Limits::default());
        let guest = warm.load(&component).expect("it loads");
        c.bench_function(format!("load: {name} from the cache, by a new engine").as_str(), |b| {
            let load = |new: Engine| new.load(&component).expect("it loads");
            b.iter_batched(|| engine(Limits::default()), load, BatchSize::PerIteration);
        });
        c.bench_function(format!("load: {name} once more, by the same engine").as_str(), |b| {
            b.iter(|| warm.load(&component).expect("it loads"));
        });
        c.bench_function(format!("instantiate and call: {name}, describe").as_str(), |b| {
            b.iter(|| runtime.block_on(guest.describe()).expect("it answers"));
        });
        if let Some(bytes) = idle(&runtime, &guest) {
            println!(
                "memory: {name} of {} KiB, {} KiB an idle instance",
                component.len() / 1024,
                bytes / 1024
            );
        }
    }
}

/// Bytes of memory that an instance keeps from the system after its first call.
fn idle(runtime: &tokio::runtime::Runtime, guest: &Plugin) -> Option<usize> {
    const COUNT: usize = 64;
    let before = resident()?;
    let held: Vec<_> =
        (0..COUNT).map(|_| runtime.block_on(guest.idle()).expect("there is room for it")).collect();
    let after = resident()?;
    drop(held);
    Some(after.saturating_sub(before) / COUNT)
}

/// Bytes of this process that are in memory, where the system tells.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kib| kib * 1024)
}

criterion_group!(benches, load);
criterion_main!(benches);
