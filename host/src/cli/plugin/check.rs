//! `castoff plugin check`: what can be said about a plugin before it runs.

use std::path::Path;

use castoff::author::check::{Finding, Grade, Subject, examine};
use castoff::author::project::Project;
use castoff::engine::Graph;
use castoff::site::Site;

use super::{here, shown};
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::{App, Done, text};

/// Bytes that are taken for granted of a component without a project.
const LARGEST: usize = 16 << 20;

pub(super) async fn run(app: &App, target: &Path) -> Done {
    let site = app.site()?;
    let project = if target.is_file() { None } else { Some(Project::open(target)?) };
    let path = project.as_ref().map_or_else(|| target.to_owned(), Project::component);
    if !path.is_file() {
        return Err(CommandError::usage(format!("{} is not built", shown(&path)))
            .hint(format!("castoff plugin build{}", here(target))));
    }
    let name = shown(&path).to_string();
    let component = std::fs::read(&path).map_err(|error| CommandError::file(&path, &error))?;
    let plugin = site.load(&name, &component)?;
    let description = plugin.describe().await?;
    let (graphs, mut findings) = match &project {
        Some(project) => laid_out(&site, project).await,
        None => (Vec::new(), Vec::new()),
    };
    let subject = Subject {
        plugin: &plugin,
        description: &description,
        graphs: &graphs,
        size: component.len(),
        largest: project.as_ref().map_or(LARGEST, Project::largest),
    };
    let mut all = examine(&subject);
    all.append(&mut findings);
    for finding in &all {
        app.ui.data(&line(app, finding));
    }
    if all.iter().any(|finding| finding.grade == Grade::Bad) {
        return Ok(Exit::Failed);
    }
    let next = if project.is_some() { format!("test{}", here(target)) } else { format!("inspect {name}") };
    app.ui.next(&format!("castoff plugin {next}"));
    Ok(Exit::Done)
}

/// The processes that scenarios lay out, and what keeps one from it.
async fn laid_out(site: &Site, project: &Project) -> (Vec<(String, Graph)>, Vec<Finding>) {
    let (mut graphs, mut findings) = (Vec::new(), Vec::new());
    for scenario in project.scenarios() {
        match site.prepare(&scenario.join("release.toml"), None).await {
            Ok(prepared) => graphs.push((prepared.release.process.clone(), prepared.graph)),
            Err(error) => findings.push(Finding {
                grade: Grade::Bad,
                what: format!("{}: {error}", shown(&scenario)),
                hint: None,
            }),
        }
    }
    (graphs, findings)
}

fn line(app: &App, finding: &Finding) -> String {
    let paint = app.ui.data_paint();
    let mark = match finding.grade {
        Grade::Good => paint.green("✓"),
        Grade::Look => paint.yellow("!"),
        Grade::Bad => paint.red("✗"),
    };
    let hint =
        finding.hint.as_ref().map(|hint| format!("\n    {}", text::block(hint).replace('\n', "\n    ")));
    format!("{mark} {}{}", text::line(&finding.what), hint.unwrap_or_default())
}
