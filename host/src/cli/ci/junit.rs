//! The report in JUnit's format: a suite a release, a case a step. Times are those of the journal, so that the same run
//! gives the same report.

use castoff::journal::{Status, StepState};
use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::report::{Part, Report};
use crate::cli::error::CommandError;
use crate::cli::next::Timing;
use crate::cli::{event, text};

/// The document.
pub(super) fn text(report: &Report) -> Result<String, CommandError> {
    let mut document = Document::new(report.title.as_str());
    for part in &report.parts {
        document.add_test_suite(suite(report, part));
    }
    document
        .to_string()
        .map_err(|error| CommandError::internal(format!("the report cannot be written: {error}")))
}

fn suite(report: &Report, part: &Part) -> TestSuite {
    let mut suite = TestSuite::new(part.member.as_deref().unwrap_or(&report.run));
    match &part.run {
        None => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("waits for {}", part.needs.join(", ")));
            suite.add_test_case(TestCase::new(part.title.as_str(), status));
        }
        Some((state, timing)) => {
            suite.set_timestamp(state.header().pinned);
            let run = &state.header().run;
            suite.add_test_cases(state.steps().map(|step| case(run, step, timing)));
        }
    }
    suite
}

fn case(run: &str, step: &StepState, timing: &Timing) -> TestCase {
    let mut case = TestCase::new(step.node.id.as_str(), status(step));
    case.set_classname(run);
    if let Some((at, took)) = timing.ended(&step.node.id) {
        case.set_timestamp(at);
        case.set_time(took.to_std().unwrap_or_default());
    }
    case
}

fn status(step: &StepState) -> TestCaseStatus {
    let stopped = |kind: NonSuccessKind, error: &str, message: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status
            .set_type(text::line(error))
            .set_message(text::line(message))
            .set_description(text::block(message));
        status
    };
    let skipped = |message: String| {
        let mut status = TestCaseStatus::skipped();
        status.set_message(message);
        status
    };
    match &step.status {
        Status::Done { .. } => TestCaseStatus::success(),
        Status::Failed { error, message, .. } if error == "fault" => {
            stopped(NonSuccessKind::Error, error, message)
        }
        Status::Failed { error, message, .. } => stopped(NonSuccessKind::Failure, error, message),
        Status::Unknown { .. } => {
            let open: Vec<String> = step.unsettled().map(|effect| effect.summary.clone()).collect();
            stopped(NonSuccessKind::Failure, "unknown", &open.join("\n"))
        }
        Status::Skipped { reason, .. } => skipped(text::line(reason)),
        Status::Pending | Status::Running => skipped("not begun".into()),
        Status::Waiting { wait } => skipped(format!("waits for {}", event::waits(wait))),
        Status::Asks { question, .. } => skipped(format!("asks: {}", text::line(&question.prompt))),
    }
}
