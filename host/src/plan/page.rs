//! A plan as one HTML file that needs nothing else: no script, no network.

use std::fmt::Write as _;

use super::document::{Detail, Plan, PlannedCommit, PlannedEffect, PlannedStep, Reach};

const STYLE: &str = include_str!("page.css");

/// The page.
#[must_use]
pub fn page(plan: &Plan) -> String {
    let mut out = String::new();
    let title = escaped(&plan.origin.title);
    let totals = plan.totals();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Plan: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
    );
    facts(plan, &mut out);
    let _ = writeln!(
        out,
        "<p class=\"sum\"><b>{}</b> effects, <b>{}</b> of them cannot be undone · {} steps · {} waits · \
         {} questions · about {} requests</p>",
        totals.effects, totals.irreversible, totals.steps, totals.waits, totals.questions, totals.requests
    );
    for (step, why) in plan.ends() {
        let _ = writeln!(
            out,
            "<p class=\"end\">The plan ends at <a href=\"#{0}\">{0}</a>: {1}</p>",
            escaped(step),
            escaped(&plan.readable(why))
        );
    }
    for (step, error, message) in plan.failures() {
        let _ = writeln!(
            out,
            "<p class=\"fail\"><a href=\"#{0}\">{0}</a> would fail ({1}): {2}</p>",
            escaped(step),
            escaped(error),
            escaped(&plan.readable(message))
        );
    }
    out.push_str("</header>\n<ol>\n");
    for step in &plan.steps {
        self::step(plan, step, &mut out);
    }
    out.push_str("</ol>\n</body>\n</html>\n");
    out
}

fn facts(plan: &Plan, out: &mut String) {
    let origin = &plan.origin;
    out.push_str("<dl>\n");
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
    };
    fact("plan", &plan.digest);
    fact("run", &origin.run);
    fact("plugin", &format!("{} {} {}", origin.plugin.name, origin.plugin.version, origin.plugin.digest));
    fact("process", &format!("{}, profile {}", origin.process, origin.profile));
    fact("written by", &format!("{} <{}>", origin.identity.name, origin.identity.email));
    fact("at", &origin.pinned.format("%Y-%m-%d %H:%M:%S UTC").to_string());
    if let Some(forge) = &origin.forge {
        fact("forge", forge);
    }
    out.push_str("</dl>\n");
}

fn step(plan: &Plan, step: &PlannedStep, out: &mut String) {
    let (class, word) = match &step.reach {
        Reach::Before => ("before", "done before"),
        Reach::Whole if !step.questions.is_empty() => ("gate", "people decide"),
        Reach::Whole if !step.waits.is_empty() => ("wait", "waits"),
        Reach::Whole if step.effects.is_empty() => ("quiet", "changes nothing"),
        Reach::Whole => ("whole", ""),
        Reach::Ends { .. } => ("ends", "the plan ends here"),
        Reach::Beyond { .. } => ("beyond", "planned when the run is there"),
        Reach::Fails { .. } => ("fails", "would fail"),
    };
    let undo = if step.node.irreversible { " <span class=\"hard\">cannot be undone</span>" } else { "" };
    let _ = writeln!(
        out,
        "<li id=\"{0}\" class=\"{class}\"><h2>{0} <small>{1}</small> <span class=\"word\">{word}</span>{undo}</h2>",
        escaped(&step.node.id),
        escaped(&step.node.title)
    );
    for wait in &step.waits {
        let _ = writeln!(out, "<p class=\"wait\">waits: {}</p>", escaped(&plan.readable(&wait.summary)));
    }
    for question in &step.questions {
        let _ = writeln!(out, "<p class=\"ask\">asks: {}</p>", escaped(&plan.readable(&question.prompt)));
        if let Some(rule) = &question.rule {
            let _ = writeln!(out, "<p class=\"ask\">needs: {}</p>", escaped(&rule.words()));
        }
        if let Some(document) = &question.document {
            folded(&document.name, &escaped(&plan.readable(&document.text)), out);
        }
    }
    for effect in &step.effects {
        self::effect(plan, effect, out);
    }
    for commit in &step.commits {
        self::commit(plan, commit, out);
    }
    for remark in &step.remarks {
        let _ = writeln!(out, "<p class=\"remark\">{}</p>", escaped(&plan.readable(remark)));
    }
    out.push_str("</li>\n");
}

fn effect(plan: &Plan, effect: &PlannedEffect, out: &mut String) {
    let (class, mark) = if effect.reversible { ("soft", "↩") } else { ("hard", "✗") };
    let _ = writeln!(
        out,
        "<p class=\"effect\"><span class=\"{class}\">{mark}</span> {} <code>{}</code></p>",
        escaped(&plan.readable(&effect.summary)),
        escaped(&effect.function)
    );
    for detail in effect.details() {
        match detail {
            Detail::Line(line) => {
                let _ = writeln!(out, "<p class=\"detail\">{}</p>", escaped(&plan.readable(&line)));
            }
            Detail::Text(name, text) => folded(name, &escaped(&plan.readable(text)), out),
        }
    }
}

fn commit(plan: &Plan, commit: &PlannedCommit, out: &mut String) {
    let subject = commit.message.lines().next().unwrap_or_default();
    let head = format!("commit {} of {}: {}", commit.id, commit.repository, plan.readable(subject));
    let mut body = String::new();
    for line in plan.readable(&commit.diff).lines() {
        let class = match line.as_bytes().first() {
            Some(b'+') if !line.starts_with("+++") => "add",
            Some(b'-') if !line.starts_with("---") => "del",
            Some(b'@') => "hunk",
            _ => "ctx",
        };
        let _ = writeln!(body, "<span class=\"{class}\">{}</span>", escaped(line));
    }
    folded(&head, &body, out);
}

/// `body` is markup already.
fn folded(head: &str, body: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "<details open><summary>{}</summary><pre>{}</pre></details>",
        escaped(head),
        body.trim_end()
    );
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Characters that change the direction of writing could show other words than the text holds.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c => out.push(c),
        }
    }
    out
}
