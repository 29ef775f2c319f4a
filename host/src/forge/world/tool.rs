//! How programs and mail servers behave in a rehearsal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a program does when a step runs it. Of several that match, the first one that is not used up answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommandRule {
    /// Its name in the policy.
    pub program: String,
    /// Globs over its arguments, one for each; `...` at the end for any further ones. Absent: any arguments.
    pub arguments: Option<Vec<String>>,
    /// Whether the policy's program is really run, sandbox and all, in place of what follows.
    pub run: bool,
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Files it writes, by path below the directory it starts in.
    pub files: BTreeMap<String, String>,
    /// A build that it submits to Cloud Build.
    pub build: Option<SubmittedBuild>,
    /// It does what it does, but nobody sees its end.
    pub lost: bool,
    /// How often it answers; always when absent.
    pub times: Option<u32>,
}

/// A build as a program submits it. Texts may hold `{{owner/name@ref}}` for a commit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubmittedBuild {
    /// Its tags.
    pub tags: Vec<String>,
    /// Its substitutions.
    pub substitutions: BTreeMap<String, String>,
}

/// How the mail server treats a recipient, when it does not simply deliver. The first one that is not used up answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailRule {
    /// Glob over addresses; empty matches everybody.
    pub to: String,
    /// The server refuses in these words: `450 …` for now, `550 …` for good.
    pub refuse: Option<String>,
    /// It delivers, but dies before it says so.
    pub lost: bool,
    /// How often; always when absent.
    pub times: Option<u32>,
}
