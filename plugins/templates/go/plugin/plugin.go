// Package plugin releases by a version file: it proposes the new version, waits for the merge, asks, tags the merge commit.
//
// Describe says what there is, Steps lays the process out, Run does one step. A step may be started again after a crash:
// everything it does to the world is an "ensure", which is content with what is there already.
package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	git "{{name}}/bindings/castoff_git_repositories"
	github "{{name}}/bindings/castoff_github_forge"
	process "{{name}}/bindings/castoff_process_processes"

	types "go.bytecodealliance.org/pkg/wit/types"
)

const (
	minute = 60
	week   = 7 * 24 * 3600
)

// Describe says what the plugin holds.
func Describe() process.Description {
	input := func(name string, required bool, summary string) process.Input {
		return process.Input{Name: name, Kind: process.InputKindText, Required: required, Summary: summary}
	}
	return process.Description{
		Name:    "{{name}}",
		Version: "0.1.0",
		Processes: []process.Process{{
			Name:    "bump",
			Summary: "writes a version, has it merged, and tags the merge",
			Inputs: []process.Input{
				input("repository", true, "what is released, for example acme/widget"),
				input("version", true, "the new version, for example 1.4.0"),
				input("file", false, "the file that holds the version; VERSION when left out"),
			},
			Profiles: []process.Profile{{Name: "current", Since: "2026-01", Summary: "the only one"}},
		}},
	}
}

// Steps lays the process out, in an order in which the steps can run.
func Steps(_, _, inputs string) (process.Graph, error) {
	release, err := readRelease(inputs)
	if err != nil {
		return process.Graph{}, err
	}
	step := func(id, title string, kind process.StepKind, irreversible bool, needs ...string) process.Step {
		return process.Step{Id: id, Title: title, Kind: kind, Needs: needs, Irreversible: irreversible}
	}
	return process.Graph{
		Title: release.Repository + " " + release.Version,
		Steps: []process.Step{
			step("propose", fmt.Sprintf("Propose %s in %s", release.Version, release.File), process.StepKindWork, false),
			step("merged", "Wait for the merge", process.StepKindWait, false, "propose"),
			step("approve", "Approve the tag v"+release.Version, process.StepKindGate, false, "merged"),
			step("tag", "Tag v"+release.Version, process.StepKindWork, true, "approve"),
		},
	}, nil
}

// Run does one step.
func Run(context process.Context) (process.Outcome, error) {
	release, err := readRelease(context.Inputs)
	if err != nil {
		return process.Outcome{}, err
	}
	switch context.Step {
	case "propose":
		return propose(release)
	case "merged":
		return merged(release, context)
	case "approve":
		return approve(release, context)
	case "tag":
		return tag(release, context)
	}
	return process.Outcome{}, invalid("there is no step %s", context.Step)
}

// The inputs.
type release struct {
	Repository string `json:"repository"`
	Version    string `json:"version"`
	File       string `json:"file"`
}

// What propose leaves for the steps after it.
type proposal struct {
	Number uint64 `json:"number"`
	URL    string `json:"url"`
}

// What merged leaves.
type merge struct {
	Commit string `json:"commit"`
}

var version = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)

func readRelease(inputs string) (release, error) {
	read := release{File: "VERSION"}
	if err := json.Unmarshal([]byte(inputs), &read); err != nil {
		return read, invalid("the inputs do not fit: %v", err)
	}
	if !version.MatchString(read.Version) {
		return read, invalid("version %q is not like 1.4.0", read.Version)
	}
	return read, nil
}

func (release release) title() string {
	return "Release " + release.Version
}

// A branch with the new version, and a pull request from it; the one that is there already, when the step starts again.
func propose(release release) (process.Outcome, error) {
	branch := "bump-" + release.Version
	owner, _, _ := strings.Cut(release.Repository, "/")
	filter := github.PullFilter{
		State: types.None[github.PullState](),
		Base:  types.None[string](),
		Head:  types.Some(owner + ":" + branch),
	}
	pulls, err := got(github.FindPullRequests(release.Repository, filter, 1))
	if err != nil {
		return process.Outcome{}, err
	}
	if len(pulls) > 0 {
		return done(proposal{pulls[0].Number, pulls[0].Url})
	}
	remote, err := got(git.Open(release.Repository))
	if err != nil {
		return process.Outcome{}, err
	}
	base, err := got(remote.DefaultBranch())
	if err != nil {
		return process.Outcome{}, err
	}
	head, err := got(remote.Resolve("refs/heads/" + base))
	if err != nil {
		return process.Outcome{}, err
	}
	if head.IsNone() {
		return process.Outcome{}, notFound("%s has no branch %s", release.Repository, base)
	}
	now, err := got(remote.Read(head.Some().Id, release.File))
	if err != nil {
		return process.Outcome{}, err
	}
	if now.IsNone() {
		return process.Outcome{}, notFound("%s has no file %s", release.Repository, release.File)
	}
	if string(bytes.TrimSpace(now.Some())) == release.Version {
		return process.Outcome{}, conflict("%s of %s says %s already", release.File, release.Repository, release.Version)
	}
	commit, err := got(remote.BuildCommit(git.CommitSpec{
		Parents: []string{head.Some().Id},
		Changes: []git.Change{git.MakeChangePut(git.File{
			Path:    release.File,
			Kind:    git.EntryKindFile,
			Content: []byte(release.Version + "\n"),
		})},
		Message: release.title(),
		SignOff: true,
	}))
	if err != nil {
		return process.Outcome{}, err
	}
	if _, err := got(remote.EnsureBranch(branch, commit.Id, git.MakeBranchRuleCreate())); err != nil {
		return process.Outcome{}, err
	}
	pull, err := got(github.EnsurePullRequest(release.Repository, github.PullSpec{
		Head:  branch,
		Base:  base,
		Title: release.title(),
		Body:  fmt.Sprintf("Sets %s to %s. The merge is tagged v%s.", release.File, release.Version, release.Version),
	}))
	if err != nil {
		return process.Outcome{}, err
	}
	return done(proposal{pull.Number, pull.Url})
}

// The merge commit; until there is one, the step waits, and the host looks without starting the plugin.
func merged(release release, context process.Context) (process.Outcome, error) {
	proposal, err := needed[proposal](context, "propose")
	if err != nil {
		return process.Outcome{}, err
	}
	wanted := types.Tuple2[string, uint64]{F0: release.Repository, F1: proposal.Number}
	found, err := got(github.PullRequests([]types.Tuple2[string, uint64]{wanted}))
	if err != nil {
		return process.Outcome{}, err
	}
	if len(found) == 0 {
		return process.Outcome{}, notFound("%s is gone", proposal.URL)
	}
	pull := found[0].F1
	switch {
	case pull.State == github.PullStateMerged && pull.MergeCommit.IsSome():
		return done(merge{pull.MergeCommit.Some()})
	case pull.State == github.PullStateClosed:
		return process.Outcome{}, conflict("%s was closed without a merge", pull.Url)
	}
	return process.MakeOutcomeWaiting(process.Wait{
		On:      process.MakeConditionPullRequestMerged(wanted),
		Summary: fmt.Sprintf("A maintainer has to merge %q", pull.Title),
		Url:     types.Some(pull.Url),
		Poll:    minute,
		Timeout: week,
	}), nil
}

// A person agrees to what cannot be undone. Of several answers the newest counts.
func approve(release release, context process.Context) (process.Outcome, error) {
	merged, err := needed[merge](context, "merged")
	if err != nil {
		return process.Outcome{}, err
	}
	if count := len(context.Answers); count > 0 {
		answer := context.Answers[count-1]
		if answer.Choice != "approve" {
			return process.Outcome{}, conflict("%s answered %q", answer.By, answer.Choice)
		}
		return done(merged)
	}
	return process.MakeOutcomeAsks(process.Question{
		Id: "tag",
		Prompt: fmt.Sprintf("Tag v%s of %s at %s? A published tag is never moved.",
			release.Version, release.Repository, merged.Commit),
		Document:  types.None[process.Document](),
		Choices:   []string{"approve", "decline"},
		Approvals: 1,
	}), nil
}

func tag(release release, context process.Context) (process.Outcome, error) {
	merged, err := needed[merge](context, "merged")
	if err != nil {
		return process.Outcome{}, err
	}
	remote, err := got(git.Open(release.Repository))
	if err != nil {
		return process.Outcome{}, err
	}
	if _, err := got(remote.EnsureTag("v"+release.Version, merged.Commit, types.Some(release.title()))); err != nil {
		return process.Outcome{}, err
	}
	return done(merged)
}
