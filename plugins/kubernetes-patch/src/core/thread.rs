//! What is said in the chat about a cut: the thread, its lines and their completed forms, the message for everybody.

/// State of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Under way.
    Started,
    /// Done.
    Done,
}

impl State {
    /// For markers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Done => "done",
        }
    }
}

/// First message of the thread.
#[must_use]
pub fn head(tag: &str, issue: &str) -> String {
    format!(":thread: Release Cut {tag} ({issue})")
}

/// A line of the thread: `Mock Stage`, with the address of its log.
#[must_use]
pub fn line(phase: &str, link: &str, state: State) -> String {
    let sign = match state {
        State::Started => ":hourglass_flowing_sand:",
        State::Done => ":white_check_mark:",
    };
    let link = if link.is_empty() { String::new() } else { format!(" ({link})") };
    format!("{sign} {phase}{link}")
}

/// The line of the promotion.
#[must_use]
pub fn promotion(link: &str, state: State) -> String {
    match state {
        State::Started => format!("Image Promotion PR ({link})\ncc: @release-managers"),
        State::Done => format!("Image promotion is :white_check_mark: ({link})"),
    }
}

/// The message for everybody.
#[must_use]
pub fn live(tag: &str, thanks: &str, link: &str) -> String {
    let thanks = if thanks.is_empty() {
        String::new()
    } else {
        format!(" (shoutout to {thanks} for helping cut the release)")
    };
    format!(":kubernetes: Kubernetes {tag} is live!{thanks}\n{link}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(line("No-mock Stage", "L", State::Started), ":hourglass_flowing_sand: No-mock Stage (L)");
        assert_eq!(line("No-mock Stage", "", State::Done), ":white_check_mark: No-mock Stage");
        assert!(promotion("P", State::Started).ends_with("cc: @release-managers"));
        assert_eq!(
            live("v1.35.1", "@a & @b", "G"),
            ":kubernetes: Kubernetes v1.35.1 is live! (shoutout to @a & @b for helping cut the release)\nG"
        );
        assert_eq!(live("v1.35.1", "", ""), ":kubernetes: Kubernetes v1.35.1 is live!");
        assert_eq!(head("v1.35.1", "I"), ":thread: Release Cut v1.35.1 (I)");
    }
}
