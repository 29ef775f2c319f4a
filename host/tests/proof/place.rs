//! A place of its own for the real binary: a home, a forge where one is wanted, and runs written through the library.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use castoff::clock::SimulatedClock;
use castoff::forge::{Forge, World as ForgeWorld};
use castoff::function::Class;
use castoff::journal::{
    EffectResult, Event, FORMAT, Header, Identity, Journal, PluginIdentity, StepKind, StepNode, World,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tempfile::TempDir;

/// A home without any other environment than its own.
pub(crate) struct Place {
    pub(crate) home: TempDir,
    forge: Option<(Forge, tokio::runtime::Runtime)>,
}

/// An effect that a run shall have had: function, request, and what the function returned.
pub(crate) type Had<'a> = (&'a str, Value, Value);

impl Place {
    pub(crate) fn new() -> Self {
        Self { home: TempDir::new().expect("a temporary folder"), forge: None }
    }

    /// With a forge that serves a world.
    pub(crate) fn with_forge(world: &str) -> Self {
        let mut place = Self::new();
        let world = ForgeWorld::from_toml(world).expect("the world is right");
        let clock = Arc::new(SimulatedClock::new(world.now.unwrap_or_else(|| at(0))));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let folder = place.home.path().join("forge");
        let forge = runtime.block_on(Forge::start(world, &folder, clock)).expect("the forge starts");
        place.forge = Some((forge, runtime));
        place
    }

    pub(crate) fn forge(&self) -> &Forge {
        &self.forge.as_ref().expect("the place has a forge").0
    }

    /// The forge goes away; its address stays what it was.
    pub(crate) fn without_forge(mut self) -> Self {
        self.forge = None;
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file can be written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file is there")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_castoff"));
        command.args(args).env_clear().env("HOME", self.home.path()).current_dir(self.home.path());
        if let Some((forge, _)) = &self.forge {
            command.env("GITHUB_TOKEN", forge.token(None).expect("the user has a token"));
        }
        command
    }

    /// Exit code, standard output and standard error, with everything that differs between two runs replaced.
    pub(crate) fn castoff(&self, args: &[&str]) -> String {
        self.shown(&mut self.command(args))
    }

    pub(crate) fn shown(&self, command: &mut Command) -> String {
        let output = command.output().expect("the binary can be started");
        let code = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
        let mut shown = format!("exit {code}");
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            if !text.is_empty() {
                shown += &format!("\n--- {name}\n{}", text.trim_end());
            }
        }
        shown = shown.replace(&self.home.path().display().to_string(), "[HOME]");
        match &self.forge {
            Some((forge, _)) => shown.replace(forge.url(), "[FORGE]"),
            None => shown,
        }
    }

    /// Standard output of a command that ends well.
    pub(crate) fn out(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("the binary can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The folder of a run.
    pub(crate) fn run_folder(&self, name: &str) -> PathBuf {
        self.path(".local/state/castoff/runs").join(name)
    }

    /// A run of one step that had these effects, and was not finished.
    pub(crate) fn run(&self, name: &str, world: World, effects: &[Had]) -> Journal {
        let folder = self.run_folder(name);
        std::fs::create_dir_all(folder.join("artefacts")).expect("a folder can be made");
        std::fs::write(folder.join("release.toml"), "").expect("a file can be written");
        let forge = self.forge.as_ref().filter(|_| world == World::Live);
        let header = header(name, world, forge.map(|(forge, _)| forge.url().to_owned()));
        let journal =
            Journal::create(folder.join("journal.sqlite"), header, at(0)).expect("a journal can be made");
        let write = |event| journal.append(event, at(1)).expect("the event is legal");
        write(Event::Started { step: "work".into(), attempt: 1 });
        for (ordinal, (function, request, value)) in (0..).zip(effects) {
            let intent = write(Event::Intent {
                step: "work".into(),
                ordinal,
                function: (*function).into(),
                class: Class::Ensure,
                digest: format!("d{ordinal}"),
                request: request.clone(),
                summary: format!("{function} {ordinal}"),
            });
            let result = EffectResult::Done { value: value.clone() };
            write(Event::Outcome { step: "work".into(), intent, result });
        }
        journal
    }
}

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

fn header(name: &str, world: World, forge: Option<String>) -> Header {
    let step = StepNode {
        id: "work".into(),
        title: "Do it".into(),
        kind: StepKind::Work,
        needs: Vec::new(),
        irreversible: false,
        source: String::new(),
    };
    Header {
        format: FORMAT,
        run: name.into(),
        release: "tool v1.0.0".into(),
        title: "tool v1.0.0".into(),
        plugin: PluginIdentity { name: "demo".into(), version: "0.1.0".into(), digest: "sha256:00".into() },
        policy: None,
        plan: None,
        process: "release".into(),
        profile: "2026".into(),
        inputs: serde_json::json!({}),
        graph: vec![step],
        pinned: at(0),
        identity: Identity { name: "Jane Doe".into(), email: "jane@example.org".into(), login: None },
        world,
        forge,
        started_by: "jane".into(),
        confirm: false,
    }
}

/// The example that the documentation runs.
pub(crate) fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/csi-sidecar/examples/livenessprobe");
    std::fs::read_to_string(folder.join(name)).expect("the example is there")
}
