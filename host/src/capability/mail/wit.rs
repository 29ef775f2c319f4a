//! Translation between the `castoff:mail` bindings and the gate.

use super::{Letter, Message, Recipient};
use crate::capability::Result;
use crate::capability::wit::{Answer, answer, tried};
use crate::engine::StepState;
use crate::engine::bindings::castoff::mail::outbox as wit;

impl wit::Host for StepState {
    async fn draft(&mut self, key: String, message: wit::Message) -> Answer<wit::Letter> {
        let gate = tried!(self.gate());
        let message = tried!(understood(message));
        answer(gate.draft_mail(&key, &message).await.map(letter))
    }

    async fn send(&mut self, key: String, message: wit::Message) -> Answer<wit::Letter> {
        let gate = tried!(self.gate());
        let message = tried!(understood(message));
        answer(gate.send_mail(&key, &message).await.map(letter))
    }
}

fn understood(from: wit::Message) -> Result<Message> {
    let all = |list: Vec<String>| list.iter().map(|text| Recipient::parse(text)).collect::<Result<Vec<_>>>();
    Ok(Message {
        to: all(from.to)?,
        cc: all(from.cc)?,
        reply_to: from.reply_to.map(|text| Recipient::parse(&text)).transpose()?,
        in_reply_to: from.in_reply_to,
        subject: from.subject,
        text: from.text,
        html: from.html,
    })
}

fn letter(from: Letter) -> wit::Letter {
    wit::Letter { message_id: from.message_id, artefact: from.artefact }
}
