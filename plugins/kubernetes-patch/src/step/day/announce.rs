//! The announcement and the message for everybody.

use castoff_sdk::http::{self, Header, HeaderValue, Request};
use castoff_sdk::mail::Message;
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::{approval, document, done, not_found};
use castoff_sdk::{Error, scratch};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chat::{Saying, say};
use super::input::{Cut, Day, MadeFrom, Mail, Opened, bound};
use super::{open, proof, service};
use crate::core::mail::{LISTS, base64url, message, plain, subject};
use crate::core::thread;

/// Name of the secret.
const SECRET: &str = "gmail-token";

const GMAIL: &str = "https://gmail.googleapis.com/gmail/v1/users/me/messages/send";

/// Output of `announce-…`.
#[derive(Default, Serialize, Deserialize)]
struct Announced {
    /// Page of the mail in the list's archive, as a person gave it.
    link: String,
    /// Who sent it, or said so.
    by: String,
}

/// Keeps the mail with the run, and sends it or has it sent.
pub(super) fn run(context: &Context, day: &Day, cut: &Cut) -> Result<Outcome, Error> {
    let bound = bound(context, cut)?;
    if context.answer_to("announce").is_none() {
        let promoted: MadeFrom = context.needed_output("promote")?;
        let staged = promoted.made_from.get(&cut.branch).map(String::as_str);
        proof::of_release(day, cut, &bound, staged)?;
    }
    let tag = bound.tags.prime;
    let html =
        service::text(&format!("https://dl.k8s.io/release/{tag}/announcement.html")).map_err(|error| {
            match error {
                Error::NotFound(url) => not_found(format!("{url}: the release publishes it; is it through?")),
                other => other,
            }
        })?;
    let mail = message(&tag, &html);
    scratch::publish(&format!("announce-{tag}.html"), "text/html", html.as_bytes())?;
    scratch::publish(&format!("announce-{tag}.eml"), "message/rfc822", mail.as_bytes())?;
    let Some(answer) = context.approved("announce")? else {
        let what = match day.mail {
            Mail::Print => format!("Send announce-{tag}.eml from your own account"),
            Mail::Gmail => "Send the announcement by Gmail".to_owned(),
            Mail::Smtp => "Send the announcement by the mail server of the policy".to_owned(),
        };
        let prompt = format!(
            "{what}: {:?} to {}. Put the page of the mail in the list's archive into the document.",
            subject(&tag),
            LISTS.join(" and ")
        );
        return Ok(approval("announce", prompt, Some(document("link.txt", "", true))));
    };
    match day.mail {
        Mail::Print => {}
        Mail::Gmail => gmail(&tag, &mail)?,
        Mail::Smtp => {
            let letter = Message::new(LISTS, &subject(&tag), &plain(&tag)).html(&html);
            letter.send(&format!("announce-{tag}"))?;
        }
    }
    let link = answer.document.as_deref().unwrap_or_default().trim().to_owned();
    done(&Announced { link, by: answer.by.clone() })
}

/// Sends by the Gmail API: once, since nobody can look a mail up by its words.
fn gmail(tag: &str, mail: &str) -> Result<(), Error> {
    let body = json!({ "raw": base64url(mail.as_bytes()) }).to_string();
    let kind = HeaderValue::Text("application/json".to_owned());
    let headers = vec![service::bearer(SECRET), Header { name: "content-type".to_owned(), value: kind }];
    let request =
        Request { method: "POST".to_owned(), url: GMAIL.to_owned(), headers, body: Some(body.into_bytes()) };
    let response = http::send(&format!("announce-{tag}"), &request)?;
    match response.status {
        200..=299 => Ok(()),
        status => Err(Error::Unavailable(format!(
            "Gmail answers {status}: {}",
            String::from_utf8_lossy(&response.body)
        ))),
    }
}

/// Tells everybody in the channel.
pub(super) fn live(context: &Context, day: &Day, cut: &Cut) -> Result<Outcome, Error> {
    let bound = bound(context, cut)?;
    let announced: Announced = context.needed_output(&cut.step("announce"))?;
    let text = thread::live(&bound.tags.prime, &day.thanks, &announced.link);
    let message = say(context, day, &Saying { key: "live", text: &text, thread: None, replaces: None })?;
    let opened: Opened = context.needed_output(&cut.step("open"))?;
    open::keep(context, day, cut, true, None)?;
    done(&json!({ "message": message, "issue": opened.url }))
}
