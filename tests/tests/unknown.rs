//! An effect that nobody can look up, and whose answer is lost: it is not sent again until a person has said what became
//! of it, and then exactly as often as that person means.

use castoff::clock::Clock as _;
use castoff::engine::Limits;
use castoff::forge::{Fault, FaultKind, World};
use castoff::journal::{Assumption, EffectResult, Event, Journal, JournalError, RunState, Status, Verdict};
use castoff::rehearsal::RehearsalError;
use castoff::run::RunError;
use castoff::site::{Prepared, Stored};
use castoff_tests::theatre::{EXERCISER, Theatre, engine};

const WORLD: &str = r#"
    now = "2026-01-01T00:00:00Z"
    user = "ann"

    [[account]]
    login = "ann"
    token = "t0ken"

    [[document]]
    host = "service.example"
    path = "/order"
    method = "POST"
    status = 201
    body = "made"
"#;

const POLICY: &str = r#"version = 1

[[grant]]
plugin = "exerciser"
digest = "any"
powers = ["http.post https://service.example/**"]
"#;

const RELEASE: &str = r#"version = 1
plugin = "guest.wasm"
process = "exercise"
policy = "policy.toml"

[inputs]
action = "post"
argument = "https://service.example/order"
"#;

/// A run that sends one request.
struct Order {
    theatre: Theatre,
    prepared: Prepared,
    stored: Stored,
}

impl Order {
    async fn new() -> (Self, Journal) {
        let world = World::from_toml(WORLD).expect("the world is right");
        let theatre = Theatre::open(world, engine(Limits::default())).await;
        let files: [(&str, &[u8]); 3] = [
            ("release.toml", RELEASE.as_bytes()),
            ("policy.toml", POLICY.as_bytes()),
            ("guest.wasm", EXERCISER),
        ];
        let prepared = theatre.prepare(&theatre.write(&files)).await;
        let (stored, journal) = theatre.create(&prepared, "order");
        (Self { theatre, prepared, stored }, journal)
    }

    fn open(&self) -> Journal {
        self.stored.journal().expect("nobody holds the journal")
    }

    /// Drives the run as far as it goes, as a process of its own would.
    async fn drive(&self, journal: Journal) -> Result<RunState, RehearsalError> {
        let runner = self.theatre.runner(&self.prepared, &self.stored, journal);
        self.theatre.stage.play(&runner).await?;
        runner.ledger().journal().verify().expect("the journal is whole");
        Ok(runner.state())
    }

    /// What a person says became of the effect.
    fn assume(&self, verdict: Assumption) {
        let journal = self.open();
        let state = journal.state().expect("a state");
        let open: Vec<u64> = state.unsettled().map(|(_, effect)| effect.seq).collect();
        let [intent] = open.as_slice() else { panic!("one effect is open, not {open:?}") };
        let outcome = || Event::Outcome {
            step: "act".into(),
            intent: *intent,
            result: EffectResult::Assumed { verdict, by: "ann".into() },
        };
        let now = self.theatre.stage.clock().now();
        journal.append(outcome(), now).expect("an assumption settles it");
        assert!(journal.append(outcome(), now).is_err(), "nobody can say so twice");
    }

    fn sent(&self) -> usize {
        self.theatre.stage.forge().received().len()
    }
}

fn status(state: &RunState) -> &Status {
    &state.step("act").expect("the step").status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_stops_the_run_until_a_person_decides() {
    // How it was lost, how often it arrived, what the person says, how often it has arrived in the end.
    let cases = [
        (FaultKind::LostReply, 1, Assumption::Done, 1),
        (FaultKind::LostReply, 1, Assumption::NotDone, 2),
        (FaultKind::Reset, 0, Assumption::Done, 0),
        (FaultKind::Reset, 0, Assumption::NotDone, 1),
    ];
    for (kind, arrived, verdict, finally) in cases {
        let case = format!("{kind:?}, {verdict:?}");
        let (order, journal) = Order::new().await;
        order.theatre.stage.forge().inject(Fault::on("POST", "/order", kind));
        let state = order.drive(journal).await.expect("the host goes on");
        assert_eq!(state.verdict(), Verdict::Unknown, "{case}: {:?}", status(&state));
        assert_eq!(order.sent(), arrived, "{case}");

        for _ in 0..2 {
            let state = order.drive(order.open()).await.expect("the host goes on");
            assert_eq!(state.verdict(), Verdict::Unknown, "{case}");
            assert_eq!(order.sent(), arrived, "{case}: it is not sent again by itself");
        }

        order.assume(verdict);
        let state = order.drive(order.open()).await.expect("the host goes on");
        assert_eq!(state.verdict(), Verdict::Finished, "{case}: {:?}", status(&state));
        assert_eq!(order.sent(), finally, "{case}");
        let Status::Done { outputs } = status(&state) else { panic!("{case}: {:?}", status(&state)) };
        let answered = if verdict == Assumption::Done { 202 } else { 201 };
        assert_eq!(outputs["result"]["status"], answered, "{case}");

        let state = order.drive(order.open()).await.expect("the host goes on");
        assert_eq!(state.verdict(), Verdict::Finished, "{case}");
        assert_eq!(order.sent(), finally, "{case}: a finished run sends nothing");
    }
}

/// What a host leaves that dies after so many durable events.
async fn killed(events: u64) -> Order {
    let (order, journal) = Order::new().await;
    let killed = order.drive(journal.with_crash_after(events)).await;
    assert!(
        matches!(killed, Err(RehearsalError::Run(RunError::Journal(JournalError::Killed)))),
        "{events} events: {killed:?}"
    );
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_around_the_request_does_not_send_it_again() {
    // Begun, and nothing announced: nothing was sent.
    let order = killed(1).await;
    assert_eq!(order.sent(), 0);
    let state = order.drive(order.open()).await.expect("the host goes on");
    assert_eq!((state.verdict(), order.sent()), (Verdict::Finished, 1));
    // Announced and sent, and nobody wrote down what came of it.
    for (verdict, finally) in [(Assumption::Done, 1), (Assumption::NotDone, 2)] {
        let order = killed(2).await;
        assert_eq!(order.sent(), 1);
        let state = order.drive(order.open()).await.expect("the host goes on");
        assert_eq!(state.verdict(), Verdict::Unknown, "{verdict:?}: {:?}", status(&state));
        assert_eq!(order.sent(), 1, "{verdict:?}: it is not sent again by itself");
        order.assume(verdict);
        let state = order.drive(order.open()).await.expect("the host goes on");
        assert_eq!(state.verdict(), Verdict::Finished, "{verdict:?}: {:?}", status(&state));
        assert_eq!(order.sent(), finally, "{verdict:?}");
    }
}
