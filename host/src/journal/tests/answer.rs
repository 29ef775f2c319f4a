//! Answers, edits and times.

use super::*;

#[test]
fn time_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.journal");
    let journal = Journal::create(&path, header(), at(0)).unwrap();
    // What the clock shows, and the time that is written; a remark comes first each time it falls behind.
    let table = [(10, 10), (5, 10), (7, 10), (10, 10), (30, 30), (29, 30), (31, 31)];
    for (shown, _) in table {
        let event = Event::Remark { step: None, level: Level::Debug, text: "t".into() };
        journal.append(event, at(shown)).unwrap();
    }
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.last_time(), at(31));
    journal.append(started("a", 1), at(2)).unwrap();
    let (mut warned, mut times) = (Vec::new(), Vec::new());
    for record in journal.events().unwrap().into_iter().skip(1) {
        match record.event {
            Event::Remark { level: Level::Warning, text, .. } => {
                assert!(text.starts_with("the clock shows"), "{text}");
                warned.push(record.time);
            }
            _ => times.push(record.time),
        }
    }
    assert_eq!(warned, [at(10), at(30), at(31)]);
    let expected: Vec<_> = table.iter().map(|(_, written)| at(*written)).chain([at(31)]).collect();
    assert_eq!(times, expected);
    assert!(times.is_sorted());
}

/// Journals that were written before a question pinned its rule read as they did, and new fields are not written when
/// there is nothing to say.
#[test]
fn questions_of_older_journals() {
    let question = r#"{"kind":"asked","step":"a","question":{"id":"q","prompt":"?","choices":["approve","decline"],"approvals":2}}"#;
    let answer = r#"{"kind":"answered","step":"a","answer":{"question":"q","choice":"approve","by":"j","at":"2023-11-14T22:13:20Z"}}"#;
    for text in [question, answer] {
        let event: Event = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }
    let read = |text: &str| serde_json::from_str::<Event>(text).unwrap();
    let twice = [created(), started("a", 1), read(question), read(answer), read(answer)];
    let state = fold(&twice).expect("one person twice was taken, and counted once");
    assert!(!state.step("a").unwrap().is_answered());
}

#[test]
fn a_pinned_rule_decides_about_answers() {
    let rule = Rule {
        required: 2,
        approvers: vec!["ann".into(), "ben".into()],
        excluded: vec!["jane".into()],
        proof: false,
        channel: None,
    };
    let Event::Asked { step, question } = asked("a", 1) else { unreachable!() };
    let ask = Event::Asked { step, question: Question { rule: Some(rule), ..question } };
    let with = |extra: &[Event]| [&[created(), started("a", 1), ask.clone()], extra].concat();
    let refused = |extra: &[Event]| match why(&with(extra)) {
        state::Violation::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    let ann = || answered("a", "approve", "ann");
    assert_eq!(refused(&[answered("a", "approve", "jane")]), Refusal::Author("jane".into()));
    assert!(matches!(refused(&[answered("a", "decline", "eve")]), Refusal::Stranger { .. }));
    assert_eq!(refused(&[ann(), ann()]), Refusal::Twice("ann".into()));
    assert!(matches!(
        refused(&[answered("a", "decline", "ann"), answered("a", "approve", "ben")]),
        Refusal::Closed { .. }
    ));
    assert_eq!(why(&with(&[ann(), started("a", 2)])), state::Violation::Unanswered("q".into()));
    assert!(fold(&with(&[ann(), answered("a", "approve", "ben"), started("a", 2)])).is_ok());
    assert!(fold(&with(&[ann(), answered("a", "decline", "ben"), started("a", 2)])).is_ok());
}

#[test]
fn edits_are_kept_beside_the_generated_text() {
    let ask = |text: &str| {
        let Event::Asked { step, question } = asked("a", 1) else { unreachable!() };
        let document = Document { name: "n.md".into(), text: text.into(), editable: true };
        Event::Asked { step, question: Question { document: Some(document), ..question } }
    };
    let wrote = |text: &str, by: &str| {
        let Event::Answered { step, answer } = answered("a", "approve", by) else { unreachable!() };
        Event::Answered { step, answer: Answer { document: Some(text.into()), ..answer } }
    };
    let events = [
        created(),
        started("a", 1),
        ask("one\n"),
        wrote("ONE\n", "j"),
        started("a", 2),
        ask("one\ntwo\n"),
        wrote("ONE\ntwo\n", "k"),
        started("a", 3),
        failed("a"),
        Event::Retried { step: "a".into(), by: "j".into() },
    ];
    let edit = |events: &[Event]| {
        let state = fold(events).unwrap();
        let edit = state.step("a").unwrap().edit_of("q").cloned();
        edit.map(|edit| (edit.generated, edit.text, edit.by))
    };
    let (first, second) = (("one\n", "ONE\n", "j"), ("one\ntwo\n", "ONE\ntwo\n", "k"));
    for (end, expected) in
        [(3, None), (4, Some(first)), (6, Some(first)), (7, Some(second)), (10, Some(second))]
    {
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(edit(&events[..end]), expected, "after {end} events");
    }
    assert!(
        edit(&events[..3]).is_none() && fold(&events).unwrap().step("a").unwrap().edit_of("other").is_none()
    );
}
