"""Releases by a version file: proposes the new version, waits for the merge, asks, tags the merge commit.

`describe` says what there is, `steps` lays the process out, `run` does one step. A step may be started again after a crash:
everything it does to the world is an `ensure`, which is content with what is there already.

Import at the top of a module only: modules are loaded when the component is built, and there are no files to load them from
when a step runs.
"""

import json
import re
from dataclasses import dataclass

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import processes as process
from wit_world.exports.processes import InputKind, StepKind
from wit_world.imports import errors, forge, repositories
from wit_world.imports.repositories import EntryKind

MINUTE = 60
WEEK = 7 * 24 * 3600


class Processes(exports.Processes):
    """The plugin."""

    def describe(self) -> process.Description:
        inputs = [
            process.Input("repository", InputKind.TEXT, True, "what is released, for example acme/widget"),
            process.Input("version", InputKind.TEXT, True, "the new version, for example 1.4.0"),
            process.Input("file", InputKind.TEXT, False, "the file that holds the version; VERSION when left out"),
        ]
        profiles = [process.Profile("current", "2026-01", "the only one")]
        summary = "writes a version, has it merged, and tags the merge"
        bump = process.Process("bump", summary, inputs, profiles)
        return process.Description("{{name}}", "0.1.0", [bump])

    def steps(self, _process: str, _profile: str, inputs: str) -> process.Graph:
        release = Release.read(inputs)
        version, file = release.version, release.file

        def step(name: str, title: str, kind: StepKind, needs: list[str], irreversible: bool = False) -> process.Step:
            return process.Step(name, title, kind, needs, irreversible, "")

        return process.Graph(
            f"{release.repository} {version}",
            [
                step("propose", f"Propose {version} in {file}", StepKind.WORK, []),
                step("merged", "Wait for the merge", StepKind.WAIT, ["propose"]),
                step("approve", f"Approve the tag v{version}", StepKind.GATE, ["merged"]),
                step("tag", f"Tag v{version}", StepKind.WORK, ["approve"], irreversible=True),
            ],
        )

    def run(self, context: process.Context) -> process.Outcome:
        release = Release.read(context.inputs)
        match context.step:
            case "propose":
                return propose(release)
            case "merged":
                return merged(release, needed(context, "propose"))
            case "approve":
                return approve(release, context, needed(context, "merged"))
            case "tag":
                return tag(release, needed(context, "merged"))
        raise invalid(f"there is no step {context.step}")


@dataclass
class Release:
    """The inputs."""

    repository: str
    version: str
    file: str

    @staticmethod
    def read(text: str) -> "Release":
        given = json.loads(text)
        release = Release(given["repository"], given["version"], given.get("file", "VERSION"))
        if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", release.version):
            raise invalid(f'version "{release.version}" is not like 1.4.0')
        return release

    @property
    def title(self) -> str:
        return f"Release {self.version}"


def invalid(why: str) -> Err:
    return Err(errors.Error_Invalid(why))


def not_found(what: str) -> Err:
    return Err(errors.Error_NotFound(what))


def conflict(why: str) -> Err:
    return Err(errors.Error_Conflict(why))


def needed(context: process.Context, step: str) -> dict:
    """The output of a step that this one needs."""
    for output in context.outputs:
        if output.step == step:
            return json.loads(output.value)
    raise invalid(f"step {context.step} needs the output of {step}, which is not there")


def done(output: dict) -> process.Outcome:
    return process.Outcome_Done(json.dumps(output))


def propose(release: Release) -> process.Outcome:
    """A branch with the new version, and a pull request from it; the one there is, when the step starts again."""
    repository, version, file = release.repository, release.version, release.file
    branch = f"bump-{version}"
    owner = repository.split("/")[0]
    pulls = forge.find_pull_requests(repository, forge.PullFilter(None, None, f"{owner}:{branch}"), 1)
    if pulls:
        return done({"number": pulls[0].number, "url": pulls[0].url})
    with repositories.open(repository) as remote:
        base = remote.default_branch()
        head = remote.resolve(f"refs/heads/{base}")
        if head is None:
            raise not_found(f"{repository} has no branch {base}")
        now = remote.read(head.id, file)
        if now is None:
            raise not_found(f"{repository} has no file {file}")
        if now.strip() == version.encode():
            raise conflict(f"{file} of {repository} says {version} already")
        put = repositories.File(file, EntryKind.FILE, f"{version}\n".encode())
        changes = [repositories.Change_Put(put)]
        commit = remote.build_commit(repositories.CommitSpec([head.id], changes, release.title, True))
        remote.ensure_branch(branch, commit.id, repositories.BranchRule_Create())
    body = f"Sets {file} to {version}. The merge is tagged v{version}."
    wanted = forge.PullSpec(branch, base, release.title, body, [], False)
    pull = forge.ensure_pull_request(repository, wanted)
    return done({"number": pull.number, "url": pull.url})


def merged(release: Release, proposal: dict) -> process.Outcome:
    """The merge commit; until there is one, the step waits, and the host looks without starting the plugin."""
    wanted = (release.repository, proposal["number"])
    found = forge.pull_requests([wanted])
    if not found:
        raise not_found(f"{proposal['url']} is gone")
    _, pull = found[0]
    if pull.state == forge.PullState.MERGED and pull.merge_commit:
        return done({"commit": pull.merge_commit})
    if pull.state == forge.PullState.CLOSED:
        raise conflict(f"{pull.url} was closed without a merge")
    on = process.Condition_PullRequestMerged(wanted)
    summary = f'A maintainer has to merge "{pull.title}"'
    return process.Outcome_Waiting(process.Wait(on, summary, pull.url, MINUTE, WEEK))


def approve(release: Release, context: process.Context, merge: dict) -> process.Outcome:
    """A person agrees to what cannot be undone. Of several answers the newest counts."""
    answers = [answer for answer in context.answers if answer.question == "tag"]
    if answers:
        answer = answers[-1]
        if answer.choice != "approve":
            raise conflict(f'{answer.by} answered "{answer.choice}"')
        return done(merge)
    tag_name, repository, commit = f"v{release.version}", release.repository, merge["commit"]
    prompt = f"Tag {tag_name} of {repository} at {commit}? A published tag is never moved."
    return process.Outcome_Asks(process.Question("tag", prompt, None, ["approve", "decline"], 1))


def tag(release: Release, merge: dict) -> process.Outcome:
    with repositories.open(release.repository) as remote:
        remote.ensure_tag(f"v{release.version}", merge["commit"], release.title)
    return done(merge)
