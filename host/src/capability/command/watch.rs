//! What all processes of a program take together: limits of the kernel count each process by itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::launch::Spec;

/// The longest and shortest time between two looks.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// The shortest time between two looks at the scratch directory.
const DISK: Duration = Duration::from_secs(1);

/// Looks again and again until the program has ended.
pub(super) struct Watch<'a> {
    spec: &'a Spec,
    root: u32,
    began: Instant,
    /// When the scratch directory is looked at again.
    disk: Instant,
}

impl<'a> Watch<'a> {
    /// Watches the process `root` and everything below it.
    pub(super) fn new(spec: &'a Spec, root: u32) -> Self {
        let now = Instant::now();
        Self { spec, root, began: now, disk: now + DISK }
    }

    /// How long to wait before the next look: short programs are not held up.
    pub(super) fn pause(&self) -> Duration {
        (self.began.elapsed() / 10).clamp(PAUSE.0, PAUSE.1)
    }

    /// Why the program has to be stopped, if it has to be.
    pub(super) fn look(&mut self) -> Option<String> {
        let Taken { tasks, bytes } = taken(Path::new("/proc"), self.root);
        if tasks > self.spec.processes {
            return Some(format!("it has {tasks} processes and threads, more than {}", self.spec.processes));
        }
        if bytes > self.spec.memory {
            return Some(format!("its processes hold {bytes} bytes, more than {}", self.spec.memory));
        }
        let now = Instant::now();
        if now < self.disk {
            return None;
        }
        let held = size(&self.spec.scratch);
        // A large directory takes its time; a twentieth of it is enough.
        self.disk = Instant::now() + DISK.max(now.elapsed() * 20);
        (held > self.spec.disk)
            .then(|| format!("its scratch directory holds {held} bytes, more than {}", self.spec.disk))
    }
}

/// What a process and everything below it take.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    /// Processes and their threads.
    tasks: u64,
    /// Memory of their own.
    bytes: u64,
}

/// Adds up what the process table says. What ends in between is not counted.
fn taken(table: &Path, root: u32) -> Taken {
    let mut below: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut each = BTreeMap::new();
    for entry in std::fs::read_dir(table).into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let text = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if let Some((parent, taken)) = status(&text) {
            below.entry(parent).or_default().push(id);
            each.insert(id, taken);
        }
    }
    let mut total = Taken::default();
    let mut next = vec![root];
    while let Some(id) = next.pop() {
        // A process counts once, whatever the table claims.
        let Some(taken) = each.remove(&id) else { continue };
        total.tasks = total.tasks.saturating_add(taken.tasks);
        total.bytes = total.bytes.saturating_add(taken.bytes);
        next.extend(below.remove(&id).unwrap_or_default());
    }
    total
}

/// The parent of a process, and what it takes, as its `status` says. Its name, which may be anything, is written there
/// without line ends.
fn status(text: &str) -> Option<(u32, Taken)> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_whitespace().next())
    };
    let parent = field("PPid")?.parse().ok()?;
    let kib: u64 = field("RssAnon").and_then(|kib| kib.parse().ok()).unwrap_or_default();
    Some((parent, Taken { tasks: field("Threads")?.parse().ok()?, bytes: kib.saturating_mul(1024) }))
}

/// Bytes of all files below a directory; links are not followed.
fn size(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0_u64;
    let mut next = vec![directory.to_owned()];
    while let Some(directory) = next.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => next.push(entry.path()),
                // Blocks, not length: a file with holes takes no room.
                Ok(found) => total = total.saturating_add(found.blocks().saturating_mul(512)),
                Err(_) => {}
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_tree_of_processes_is_added_up() {
        let table = tempfile::tempdir().unwrap();
        let put = |id: u32, name: &str, parent: u32, threads: u32| {
            let folder = table.path().join(id.to_string());
            std::fs::create_dir(&folder).unwrap();
            let text = format!(
                "Name:\t{name}\nState:\tS\nPPid:\t{parent}\nRssAnon:\t   20 kB\nThreads:\t{threads}\n"
            );
            std::fs::write(folder.join("status"), text).unwrap();
        };
        put(1, "init", 0, 1);
        put(7, "root", 1, 2);
        put(8, "PPid:\t1", 7, 3);
        put(9, "grandchild", 8, 4);
        put(10, "stranger", 1, 50);
        std::fs::write(table.path().join("meminfo"), "").unwrap();
        assert_eq!(taken(table.path(), 7), Taken { tasks: 9, bytes: 60 << 10 });
        assert_eq!(taken(table.path(), 99), Taken::default());
        for text in ["", "PPid:\t1\n", "PPid:\tx\nThreads:\t1\n"] {
            assert_eq!(status(text), None, "{text:?}");
        }
    }
}
