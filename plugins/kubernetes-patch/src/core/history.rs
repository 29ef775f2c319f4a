//! The table of builds of a branch, as `krel history` makes it.

use super::cloud_build::Build;

/// The table; only its head when no build is over.
#[must_use]
pub fn table(builds: &[Build]) -> String {
    let mut over: Vec<&Build> = builds.iter().filter(|build| build.is_over()).collect();
    over.sort_by(|one, other| (&one.start_time, &one.id).cmp(&(&other.start_time, &other.id)));
    let rows: String = over.into_iter().map(row).collect();
    format!(
        "| Step | Command | Link | Start | Duration | Succeeded? |\n| --- | --- | --- | --- | --- | --- |\n{rows}"
    )
}

fn row(build: &Build) -> String {
    let command = if build.tags.iter().any(|tag| tag == "RELEASE") { "release" } else { "stage" };
    let nomock = !build.substitution("_NOMOCK").is_empty();
    let step = if nomock { command.to_owned() } else { format!("mock {command}") };
    let succeeded = match build.status.as_str() {
        "SUCCESS" => "Yes",
        "FAILURE" => "No",
        "CANCELLED" => "No, Canceled",
        "TIMEOUT" => "No, Timeout",
        _ => "",
    };
    format!(
        "| `{step}` | `krel {command} --type {} --branch {} --build-version {}{}` | {} | {} | {} | {succeeded} |\n",
        build.substitution("_TYPE"),
        build.substitution("_RELEASE_BRANCH"),
        build.substitution("_BUILDVERSION"),
        if nomock { " --nomock" } else { "" },
        build.log_url,
        build.start_time,
        duration(&build.start_time, &build.finish_time),
    )
}

/// `HH:MM:SS` between two moments; empty when one cannot be read.
fn duration(start: &str, end: &str) -> String {
    let (Some(start), Some(end)) = (seconds(start), seconds(end)) else { return String::new() };
    let span = (end - start).max(0);
    format!("{:02}:{:02}:{:02}", span / 3600, span / 60 % 60, span % 60)
}

/// Seconds since 1970-01-01 of `YYYY-MM-DDTHH:MM:SS…Z`.
fn seconds(moment: &str) -> Option<i64> {
    let day = super::date::Date::parse(moment.get(..10)?)?;
    let mut time = moment.get(11..19)?.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (time.next()??, time.next()??, time.next()??);
    Some(day.seconds() + hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_builds() {
        let build = |status: &str, start: &str, end: &str, tags: &[&str], nomock: &str| Build {
            status: status.to_owned(),
            start_time: start.to_owned(),
            finish_time: end.to_owned(),
            log_url: "L".to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            substitutions: [
                ("_TYPE", "rc"),
                ("_RELEASE_BRANCH", "b"),
                ("_BUILDVERSION", "V"),
                ("_NOMOCK", nomock),
            ]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
            ..Build::default()
        };
        let builds = [
            build("SUCCESS", "2026-03-10T23:59:00Z", "2026-03-11T00:46:01.5Z", &["RELEASE"], "--nomock"),
            build("FAILURE", "2026-03-10T09:00:00Z", "2026-03-10T09:36:00Z", &["STAGE"], ""),
            build("WORKING", "2026-03-10T10:00:00Z", "", &["STAGE"], ""),
        ];
        let table = table(&builds);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| `mock stage` | `krel stage --type rc --branch b --build-version V` | L | 2026-03-10T09:00:00Z | 00:36:00 | No |",
                "| `release` | `krel release --type rc --branch b --build-version V --nomock` | L | 2026-03-10T23:59:00Z | 00:47:01 | Yes |",
            ]
        );
    }
}
