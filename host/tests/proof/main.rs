//! Castoff's proof after the fact, as a person or a script meets it: exports and signatures, a second look at the world,
//! schemas, and the check-up before.

mod audit;
mod doctor;
mod mail;
mod place;
mod sandbox;
mod schema;
mod verify;

/// Compares a text with an inline snapshot, after what differs between machines is replaced.
macro_rules! check {
    ($shown:expr, @$expected:literal) => {{
        let shown = $shown;
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"\b[0-9a-f]{64}\b", "[HASH]");
        settings.add_filter(r"\b[0-9a-f]{7}\b", "[COMMIT]");
        // The example's forge lives in the spring of 2026.
        settings.add_filter(r"differs by -?\d+ s ", "differs by [SPAN] ");
        settings.add_filter(r"SHA256:\S{43}", "[KEY]");
        settings.add_filter(r"minisign [0-9A-F]{16}", "[KEY]");
        settings.bind(|| insta::assert_snapshot!(shown, @$expected));
    }};
}
pub(crate) use check;
