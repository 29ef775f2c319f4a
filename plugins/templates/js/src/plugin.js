// Releases by a version file: proposes the new version, waits for the merge, asks, tags the merge commit.
//
// `describe` says what there is, `steps` lays the process out, `run` does one step. A step may be started again after a crash:
// everything it does to the world is an `ensure`, which is content with what is there already.
//
// An error is a value that is thrown: `{ tag: "conflict", val: "why" }`. What a call of the host throws may be thrown on.

import { open } from "castoff:git/repositories@0.1.0";
import { ensurePullRequest, findPullRequests, pullRequests } from "castoff:github/forge@0.1.0";
import { decode, encode } from "./text.js";

const MINUTE = 60;
const WEEK = 7 * 24 * 3600;

/** The plugin. */
export const processes = {
  describe() {
    const input = (name, required, summary) => ({ name, kind: "text", required, summary });
    const bump = {
      name: "bump",
      summary: "writes a version, has it merged, and tags the merge",
      inputs: [
        input("repository", true, "what is released, for example acme/widget"),
        input("version", true, "the new version, for example 1.4.0"),
        input("file", false, "the file that holds the version; VERSION when left out"),
      ],
      profiles: [{ name: "current", since: "2026-01", summary: "the only one" }],
    };
    return { name: "{{name}}", version: "0.1.0", processes: [bump] };
  },

  steps(_process, _profile, inputs) {
    const { repository, version, file } = read(inputs);
    const step = (id, title, kind, needs, irreversible = false) =>
      ({ id, title, kind, needs, irreversible, source: "" });
    return {
      title: `${repository} ${version}`,
      steps: [
        step("propose", `Propose ${version} in ${file}`, "work", []),
        step("merged", "Wait for the merge", "wait", ["propose"]),
        step("approve", `Approve the tag v${version}`, "gate", ["merged"]),
        step("tag", `Tag v${version}`, "work", ["approve"], true),
      ],
    };
  },

  run(context) {
    const release = read(context.inputs);
    switch (context.step) {
      case "propose":
        return propose(release);
      case "merged":
        return merged(release, needed(context, "propose"));
      case "approve":
        return approve(release, context, needed(context, "merged"));
      case "tag":
        return tag(release, needed(context, "merged"));
      default:
        throw invalid(`there is no step ${context.step}`);
    }
  },
};

const invalid = (why) => ({ tag: "invalid", val: why });
const notFound = (what) => ({ tag: "not-found", val: what });
const conflict = (why) => ({ tag: "conflict", val: why });
const done = (output) => ({ tag: "done", val: JSON.stringify(output) });

/** The inputs. */
function read(text) {
  const { repository, version, file = "VERSION" } = JSON.parse(text);
  if (!/^[0-9]+\.[0-9]+\.[0-9]+$/.test(version)) throw invalid(`version "${version}" is not like 1.4.0`);
  return { repository, version, file, title: `Release ${version}` };
}

/** The output of a step that this one needs. */
function needed(context, step) {
  const output = context.outputs.find((output) => output.step === step);
  if (!output) throw invalid(`step ${context.step} needs the output of ${step}, which is not there`);
  return JSON.parse(output.value);
}

/** A branch with the new version, and a pull request from it; the one that is there already, when the step starts again. */
function propose({ repository, version, file, title }) {
  const branch = `bump-${version}`;
  const [owner] = repository.split("/");
  const [known] = findPullRequests(repository, { head: `${owner}:${branch}` }, 1);
  if (known) return done({ number: known.number, url: known.url });
  const remote = open(repository);
  const base = remote.defaultBranch();
  const head = remote.resolve(`refs/heads/${base}`);
  if (!head) throw notFound(`${repository} has no branch ${base}`);
  const now = remote.read(head.id, file);
  if (!now) throw notFound(`${repository} has no file ${file}`);
  if (decode(now).trim() === version) {
    throw conflict(`${file} of ${repository} says ${version} already`);
  }
  const content = encode(`${version}\n`);
  const commit = remote.buildCommit({
    parents: [head.id],
    changes: [{ tag: "put", val: { path: file, kind: "file", content } }],
    message: title,
    signOff: true,
  });
  remote.ensureBranch(branch, commit.id, { tag: "create" });
  const body = `Sets ${file} to ${version}. The merge is tagged v${version}.`;
  const pull = ensurePullRequest(repository, { head: branch, base, title, body, labels: [], draft: false });
  return done({ number: pull.number, url: pull.url });
}

/** The merge commit; until there is one, the step waits, and the host looks without starting the plugin. */
function merged({ repository }, { number, url }) {
  const wanted = [repository, number];
  const [found] = pullRequests([wanted]);
  if (!found) throw notFound(`${url} is gone`);
  const [, pull] = found;
  if (pull.state === "merged" && pull.mergeCommit) return done({ commit: pull.mergeCommit });
  if (pull.state === "closed") throw conflict(`${pull.url} was closed without a merge`);
  const on = { tag: "pull-request-merged", val: wanted };
  const summary = `A maintainer has to merge "${pull.title}"`;
  return { tag: "waiting", val: { on, summary, url: pull.url, poll: MINUTE, timeout: WEEK } };
}

/** A person agrees to what cannot be undone. Of several answers the newest counts. */
function approve({ repository, version }, context, merge) {
  const answer = context.answers.filter(({ question }) => question === "tag").at(-1);
  if (answer) {
    if (answer.choice !== "approve") throw conflict(`${answer.by} answered "${answer.choice}"`);
    return done(merge);
  }
  const prompt = `Tag v${version} of ${repository} at ${merge.commit}? A published tag is never moved.`;
  return { tag: "asks", val: { id: "tag", prompt, choices: ["approve", "decline"], approvals: 1 } };
}

function tag({ repository, version, title }, merge) {
  open(repository).ensureTag(`v${version}`, merge.commit, title);
  return done(merge);
}
