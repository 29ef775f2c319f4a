//! Triage: what is open on the branch, and whether the scope is frozen.

use castoff_sdk::Error;
use castoff_sdk::github::{self, Issue, PullFilter, PullRequest, PullState};
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{approval, document, done, words};
use serde::{Deserialize, Serialize};

use super::input::Inputs;
use super::preflight::Preflight;
use super::world::{list, publish};

/// Most pull requests and issues listed.
const LIMIT: u32 = 200;
/// Labels of issues that can hold a release up.
const ISSUES: [&str; 2] = ["priority/critical-urgent", "kind/bug"];

/// Output of the step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Triage {
    /// Number of open pull requests into the branch.
    pub(crate) open: usize,
    /// Those of them that will merge without anybody doing more.
    pub(crate) ready: Vec<u64>,
    /// The report.
    pub(crate) report: String,
}

/// Step `triage`.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let preflight: Preflight = context.needed_output("preflight")?;
    let range = &preflight.range;
    let pulls = open_pulls(&inputs.repository, &range.branch)?;
    let mut report = format!(
        "# Open work for {} {}\n\nReleased from `{}` at `{}`, notes since {}.\n",
        inputs.repository, range.version, range.branch, range.head, range.since
    );
    report.push_str(&list("To know:", &preflight.warnings));
    report.push_str(&pull_table(&pulls, &range.branch));
    for label in ISSUES {
        let section = match github::find_issues(&inputs.repository, Some(true), &[label.to_owned()], LIMIT) {
            Ok(issues) => issue_list(label, &issues),
            Err(error) => format!("\nIssues labelled {label} could not be read: {}\n", words(&error)),
        };
        report.push_str(&section);
    }
    publish("triage.md", &report)?;
    let ready = pulls.iter().filter(|pull| is_ready(pull)).map(|pull| pull.number).collect();
    done(&Triage { open: pulls.len(), ready, report })
}

/// Open pull requests into a branch.
pub(crate) fn open_pulls(repository: &str, branch: &str) -> Result<Vec<PullRequest>, Error> {
    let filter = PullFilter { state: Some(PullState::Open), base: Some(branch.to_owned()), head: None };
    github::find_pull_requests(repository, &filter, LIMIT)
}

/// Whether the merge robot will merge it.
pub(crate) fn is_ready(pull: &PullRequest) -> bool {
    let has = |name: &str| pull.labels.iter().any(|label| label == name);
    let held = pull.labels.iter().any(|label| label.starts_with("do-not-merge"));
    has("lgtm") && has("approved") && !held
}

/// Text for a table cell that neither breaks the table nor calls people.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('@', "@\u{200b}")
}

fn pull_table(pulls: &[PullRequest], branch: &str) -> String {
    if pulls.is_empty() {
        return format!("\nNo pull request into `{branch}` is open.\n");
    }
    let row = |pull: &PullRequest| {
        let state = if is_ready(pull) { "**will merge**" } else { "open" };
        let labels = pull.labels.join(", ");
        format!(
            "| #{} | {} | {} | {state} | {labels} |\n",
            pull.number,
            cell(&pull.title),
            cell(&pull.author)
        )
    };
    let rows: String = pulls.iter().map(row).collect();
    format!(
        "\n## Pull requests into `{branch}`\n\n| number | title | author | state | labels |\n|---|---|---|---|---|\n{rows}"
    )
}

fn issue_list(label: &str, issues: &[Issue]) -> String {
    let items: Vec<String> =
        issues.iter().map(|issue| format!("#{} {}", issue.number, cell(&issue.title))).collect();
    list(&format!("## Issues labelled {label}"), &items)
}

/// Gate `scope`: question `scope`.
pub(crate) fn scope(context: &Context) -> Result<Outcome, Error> {
    if let Some(answer) = context.approved("scope")? {
        return done(&serde_json::json!({ "by": answer.by, "comment": answer.comment }));
    }
    let preflight: Preflight = context.needed_output("preflight")?;
    let triage: Triage = context.needed_output("triage")?;
    let range = &preflight.range;
    let ready = match triage.ready.as_slice() {
        [] => String::new(),
        ready => {
            let numbers: Vec<String> = ready.iter().map(|number| format!("#{number}")).collect();
            format!(" {} will merge by themselves.", numbers.join(", "))
        }
    };
    let prompt = format!(
        "Is the scope of {} frozen? It is released from {} at {}; {} pull requests into that branch are open.{ready}",
        range.version, range.branch, range.head, triage.open
    );
    Ok(approval("scope", prompt, Some(document("triage.md", triage.report, false))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(number: u64, labels: &[&str]) -> PullRequest {
        PullRequest {
            number,
            url: String::new(),
            title: "a | b, @all".to_owned(),
            body: String::new(),
            state: PullState::Open,
            author: "ann".to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            base: "main".to_owned(),
            head: "fix".to_owned(),
            head_owner: "ann".to_owned(),
            head_commit: None,
            merge_commit: None,
        }
    }

    #[test]
    fn pull_requests_that_merge_by_themselves() {
        let table: [(&[&str], bool); 4] = [
            (&["lgtm", "approved"], true),
            (&["lgtm"], false),
            (&["lgtm", "approved", "do-not-merge/hold"], false),
            (&[], false),
        ];
        for (labels, expected) in table {
            assert_eq!(is_ready(&pull(1, labels)), expected, "{labels:?}");
        }
    }

    #[test]
    fn the_table_survives_titles() {
        let text = pull_table(&[pull(7, &["lgtm"])], "main");
        assert!(text.contains("| #7 | a \\| b, @\u{200b}all | ann | open | lgtm |"), "{text}");
        assert!(pull_table(&[], "main").contains("No pull request"));
    }
}
