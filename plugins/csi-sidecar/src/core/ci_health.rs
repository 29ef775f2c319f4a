//! How the CI jobs of a board fare, by the Kubernetes version they run on.
//!
//! Jobs are called `<deployment>-on-<kubernetes>`: `1.30-on-1.31`, `canary-on-1-35`, `1-29-on-kubernetes-master`. Those on master are the
//! closest reflection of the version to come and are told first.

use std::cmp::Reverse;
use std::fmt;

use castoff_sdk::testgrid::Tab;

/// Where failures of these jobs are reported, besides the board.
pub const MAILING_LIST: &str = "kubernetes-sig-storage-test-failures@googlegroups.com";

/// The Kubernetes a job runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cluster {
    /// A minor version.
    Minor(u64, u64),
    /// The development version.
    Master,
}

impl Cluster {
    /// Reads `1.31`, `1-31` or `master`, as job names have them.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "master" {
            return Some(Self::Master);
        }
        let (major, minor) = text.split_once(['.', '-'])?;
        let number = |text: &str| {
            (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse().ok())
                .flatten()
        };
        Some(Self::Minor(number(major)?, number(minor)?))
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minor(major, minor) => write!(f, "{major}.{minor}"),
            Self::Master => f.write_str("master"),
        }
    }
}

/// The Kubernetes that the name of a job tells; none for jobs without one, such as unit tests.
pub fn cluster(name: &str) -> Option<Cluster> {
    let (_, rest) = name.rsplit_once("-on-")?;
    let rest = rest.strip_prefix("kubernetes-").unwrap_or(rest);
    if let Some(tail) = rest.strip_prefix("master") {
        return (tail.is_empty() || tail.starts_with('-')).then_some(Cluster::Master);
    }
    let end = rest.match_indices('-').map(|(at, _)| at).nth(usize::from(!rest.contains('.')));
    Cluster::parse(rest.get(..end.unwrap_or(rest.len()))?)
}

/// Tabs in the order in which they are worth reading: master, the newest Kubernetes, …, jobs without one; faults before the rest.
pub fn ordered(tabs: &[Tab]) -> Vec<&Tab> {
    let mut tabs: Vec<&Tab> = tabs.iter().collect();
    tabs.sort_by_key(|tab| (Reverse(cluster(&tab.name)), tab.passes(), tab.name.clone()));
    tabs
}

/// The jobs that run on one Kubernetes.
pub fn on(tabs: &[Tab], wanted: Cluster) -> Vec<&Tab> {
    tabs.iter().filter(|tab| cluster(&tab.name) == Some(wanted)).collect()
}

/// One line for a job.
pub fn line(tab: &Tab) -> String {
    let details = if tab.status.is_empty() { String::new() } else { format!(" ({})", tab.status) };
    format!("{} is {}{details}", tab.name, tab.overall)
}

/// The report: a section for each Kubernetes, those that fail first.
pub fn report(board: &str, tabs: &[Tab]) -> String {
    let failing = tabs.iter().filter(|tab| !tab.passes()).count();
    let mut text = format!(
        "# CI jobs of {board}\n\n{} jobs, {failing} do not pass. Failures are also reported to {MAILING_LIST}; jobs on master are \
         the closest to the next Kubernetes release.\n",
        tabs.len()
    );
    let mut section: Option<Option<Cluster>> = None;
    for tab in ordered(tabs) {
        let of = cluster(&tab.name);
        if section != Some(of) {
            let heading = of.map_or("Other jobs".to_owned(), |cluster| format!("On Kubernetes {cluster}"));
            text.push_str(&format!("\n## {heading}\n\n"));
            section = Some(of);
        }
        text.push_str(&format!("- {}\n", line(tab)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tab(name: &str, overall: &str) -> Tab {
        Tab {
            name: name.to_owned(),
            overall: overall.to_owned(),
            status: String::new(),
            last_run: 0,
            updated: 0,
        }
    }

    #[test]
    fn names_tell_the_kubernetes() {
        let cases = [
            ("1.30-on-1.31", Some(Cluster::Minor(1, 31))),
            ("canary-on-1-35", Some(Cluster::Minor(1, 35))),
            ("1-29-on-kubernetes-master", Some(Cluster::Master)),
            ("1-29-test-on-kubernetes-1-30", Some(Cluster::Minor(1, 30))),
            ("canary-on-1-30-alpha", Some(Cluster::Minor(1, 30))),
            ("canary-on-1.30-alpha", Some(Cluster::Minor(1, 30))),
            ("1-29-on-masterpiece", None),
            ("unit", None),
            ("build-on-windows", None),
        ];
        for (name, expected) in cases {
            assert_eq!(cluster(name), expected, "{name}");
        }
    }

    #[test]
    fn master_and_faults_are_told_first() {
        let tabs = [
            tab("unit", "PASSING"),
            tab("1.9-on-1.9", "FAILING"),
            tab("1.9-on-1.10", "PASSING"),
            tab("1.10-on-1.10", "FLAKY"),
            tab("1.9-on-master", "PASSING"),
        ];
        let names: Vec<&str> = ordered(&tabs).iter().map(|tab| tab.name.as_str()).collect();
        assert_eq!(names, ["1.9-on-master", "1.10-on-1.10", "1.9-on-1.10", "1.9-on-1.9", "unit"]);
        let text = report("board", &tabs);
        assert!(text.contains("5 jobs, 2 do not pass") && text.contains(MAILING_LIST), "{text}");
        assert!(
            text.contains("## On Kubernetes master\n\n- 1.9-on-master is PASSING\n\n## On Kubernetes 1.10\n")
        );
        assert_eq!(on(&tabs, Cluster::Minor(1, 10)).len(), 2);
    }

    proptest! {
        #[test]
        fn never_panics_and_reads_what_is_written(noise in "\\PC{0,20}", minor in 0u64..200) {
            let _ = cluster(&noise);
            let _ = cluster(&format!("x-on-{noise}"));
            prop_assert_eq!(cluster(&format!("a-on-kubernetes-1-{minor}")), Some(Cluster::Minor(1, minor)));
            let written = Cluster::Minor(1, minor);
            prop_assert_eq!(Cluster::parse(&written.to_string()), Some(written));
        }
    }
}
