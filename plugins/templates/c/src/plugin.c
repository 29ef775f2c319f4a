/* Releases by a version file: proposes the new version, waits for the merge, asks, tags the merge commit.
 *
 * `describe` says what there is, `steps` lays the process out, `run` does one step. A step may be started again after a
 * crash: everything it does to the world is an `ensure`, which is content with what is there already.
 *
 * ../bindings/plugin.h declares all that a plugin exports and may call; functions return true when they did what was asked.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* The bindings' names are complete, and long. */
#define PROCESS(name) exports_castoff_process_processes_##name
#define GIT(name) castoff_git_repositories_##name
#define GITHUB(name) castoff_github_forge_##name

typedef castoff_types_errors_error_t fault_t;
typedef PROCESS(context_t) context_t;
typedef PROCESS(outcome_t) outcome_t;

enum { MINUTE = 60, WEEK = 7 * 24 * 3600 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Lists that are returned belong to the bindings. */
static void *kept(const void *items, size_t size) { return memcpy(malloc(size), items, size); }

/* Faults: what the person reads who looks at the failed step. */

static bool invalid(fault_t *fault, text_t why) {
  *fault = (fault_t){.tag = CASTOFF_TYPES_ERRORS_ERROR_INVALID, .val.invalid = why};
  return false;
}

static bool not_found(fault_t *fault, text_t what) {
  *fault = (fault_t){.tag = CASTOFF_TYPES_ERRORS_ERROR_NOT_FOUND, .val.not_found = what};
  return false;
}

static bool conflict(fault_t *fault, text_t why) {
  *fault = (fault_t){.tag = CASTOFF_TYPES_ERRORS_ERROR_CONFLICT, .val.conflict = why};
  return false;
}

static bool done(outcome_t *outcome, text_t outputs) {
  *outcome = (outcome_t){.tag = EXPORTS_CASTOFF_PROCESS_PROCESSES_OUTCOME_DONE, .val.done = outputs};
  return true;
}

/* The inputs. */

typedef struct {
  text_t repository, version, file;
} release_t;

static bool is_version(text_t version) {
  size_t numbers = 0, at = 0;
  do {
    size_t from = at;
    while (at < version.len && isdigit(version.ptr[at])) at++;
    if (at == from) return false;
    numbers++;
  } while (at < version.len && version.ptr[at++] == '.');
  return numbers == 3 && at == version.len && isdigit(version.ptr[at - 1]);
}

static bool read_release(text_t inputs, release_t *release, fault_t *fault) {
  *release = (release_t){.file = text("VERSION")};
  if (!json_text(inputs, "repository", &release->repository) || !json_text(inputs, "version", &release->version))
    return invalid(fault, text("repository and version are needed"));
  json_text(inputs, "file", &release->file);
  if (!is_version(release->version))
    return invalid(fault, text("version \"%.*s\" is not like 1.4.0", TEXT(release->version)));
  return true;
}

/* What the plugin holds. */

void PROCESS(describe)(PROCESS(description_t) *description) {
  const uint8_t kind = EXPORTS_CASTOFF_PROCESS_PROCESSES_INPUT_KIND_TEXT;
  const PROCESS(input_t) inputs[] = {
      {text("repository"), kind, true, text("what is released, for example acme/widget")},
      {text("version"), kind, true, text("the new version, for example 1.4.0")},
      {text("file"), kind, false, text("the file that holds the version; VERSION when left out")},
  };
  const PROCESS(profile_t) profiles[] = {{text("current"), text("2026-01"), text("the only one")}};
  const PROCESS(process_t) processes[] = {{
      .name = text("bump"),
      .summary = text("writes a version, has it merged, and tags the merge"),
      .inputs = {kept(inputs, sizeof inputs), COUNT(inputs)},
      .profiles = {kept(profiles, sizeof profiles), COUNT(profiles)},
  }};
  *description = (PROCESS(description_t)){
      .name = text("{{name}}"),
      .version = text("0.1.0"),
      .processes = {kept(processes, sizeof processes), COUNT(processes)},
  };
}

/* The steps, in an order in which they can run. */

static PROCESS(step_t) step(const char *id, text_t title, uint8_t kind, const char *need, bool irreversible) {
  PROCESS(step_t) step = {.id = text("%s", id), .title = title, .kind = kind, .irreversible = irreversible, .source = text("")};
  if (need != NULL) {
    text_t needed = text("%s", need);
    step.needs = (plugin_list_string_t){kept(&needed, sizeof needed), 1};
  }
  return step;
}

bool PROCESS(steps)(text_t *process, text_t *profile, text_t *inputs, PROCESS(graph_t) *graph, fault_t *fault) {
  (void)process, (void)profile;
  const uint8_t work = EXPORTS_CASTOFF_PROCESS_PROCESSES_STEP_KIND_WORK;
  release_t release;
  if (!read_release(*inputs, &release, fault)) return false;
  const PROCESS(step_t) steps[] = {
      step("propose", text("Propose %.*s in %.*s", TEXT(release.version), TEXT(release.file)), work, NULL, false),
      step("merged", text("Wait for the merge"), EXPORTS_CASTOFF_PROCESS_PROCESSES_STEP_KIND_WAIT, "propose", false),
      step("approve", text("Approve the tag v%.*s", TEXT(release.version)),
           EXPORTS_CASTOFF_PROCESS_PROCESSES_STEP_KIND_GATE, "merged", false),
      step("tag", text("Tag v%.*s", TEXT(release.version)), work, "approve", true),
  };
  graph->title = text("%.*s %.*s", TEXT(release.repository), TEXT(release.version));
  graph->steps = (PROCESS(list_step_t)){kept(steps, sizeof steps), COUNT(steps)};
  return true;
}

/* A value that an earlier step left. */
static bool needed(const context_t *context, const char *step, const char *key, text_t *value, fault_t *fault) {
  for (size_t i = 0; i < context->outputs.len; i++)
    if (text_is(context->outputs.ptr[i].step, step) && json_text(context->outputs.ptr[i].value, key, value)) return true;
  return invalid(fault, text("%.*s needs %s of step %s, which is not there", TEXT(context->step), key, step));
}

static text_t title(const release_t *release) { return text("Release %.*s", TEXT(release->version)); }

static bool proposed(const GITHUB(pull_request_t) *pull, outcome_t *outcome) {
  text_t url = json_quoted(pull->url);
  return done(outcome, text("{\"number\":%llu,\"url\":%.*s}", (unsigned long long)pull->number, TEXT(url)));
}

/* A branch with the new version, and a pull request from it; the one that is there already, when the step starts again. */
static bool propose(release_t *release, outcome_t *outcome, fault_t *fault) {
  text_t branch = text("bump-%.*s", TEXT(release->version));
  const uint8_t *slash = memchr(release->repository.ptr, '/', release->repository.len);
  size_t owner = slash ? (size_t)(slash - release->repository.ptr) : release->repository.len;
  GITHUB(pull_filter_t) filter = {
      .head = {true, text("%.*s:%.*s", (int)owner, (const char *)release->repository.ptr, TEXT(branch))},
  };
  GITHUB(list_pull_request_t) pulls;
  if (!GITHUB(find_pull_requests)(&release->repository, &filter, 1, &pulls, fault)) return false;
  if (pulls.len > 0) return proposed(&pulls.ptr[0], outcome);

  GIT(own_repository_t) opened;
  if (!GIT(open)(&release->repository, &opened, fault)) return false;
  GIT(borrow_repository_t) remote = GIT(borrow_repository)(opened);
  text_t base;
  if (!GIT(method_repository_default_branch)(remote, &base, fault)) return false;
  text_t reference = text("refs/heads/%.*s", TEXT(base));
  GIT(option_commit_t) head;
  if (!GIT(method_repository_resolve)(remote, &reference, &head, fault)) return false;
  if (!head.is_some)
    return not_found(fault, text("%.*s has no branch %.*s", TEXT(release->repository), TEXT(base)));
  plugin_option_list_u8_t now;
  if (!GIT(method_repository_read)(remote, &head.val.id, &release->file, &now, fault)) return false;
  if (!now.is_some)
    return not_found(fault, text("%.*s has no file %.*s", TEXT(release->repository), TEXT(release->file)));
  text_t says = text_trimmed((text_t){now.val.ptr, now.val.len});
  if (says.len == release->version.len && memcmp(says.ptr, release->version.ptr, says.len) == 0)
    return conflict(fault, text("%.*s of %.*s says %.*s already", TEXT(release->file), TEXT(release->repository),
                                TEXT(release->version)));

  text_t content = text("%.*s\n", TEXT(release->version));
  GIT(change_t) change = {
      .tag = CASTOFF_GIT_REPOSITORIES_CHANGE_PUT,
      .val.put = {release->file, CASTOFF_GIT_REPOSITORIES_ENTRY_KIND_FILE, {content.ptr, content.len}},
  };
  GIT(commit_spec_t) wanted = {{&head.val.id, 1}, {&change, 1}, title(release), .sign_off = true};
  GIT(commit_t) commit;
  if (!GIT(method_repository_build_commit)(remote, &wanted, &commit, fault)) return false;
  GIT(branch_rule_t) rule = {.tag = CASTOFF_GIT_REPOSITORIES_BRANCH_RULE_CREATE};
  if (!GIT(method_repository_ensure_branch)(remote, &branch, &commit.id, &rule, fault)) return false;
  GITHUB(pull_spec_t) spec = {
      .head = branch,
      .base = base,
      .title = title(release),
      .body = text("Sets %.*s to %.*s. The merge is tagged v%.*s.", TEXT(release->file), TEXT(release->version),
                   TEXT(release->version)),
  };
  GITHUB(pull_request_t) pull;
  if (!GITHUB(ensure_pull_request)(&release->repository, &spec, &pull, fault)) return false;
  return proposed(&pull, outcome);
}

/* The merge commit; until there is one, the step waits, and the host looks without starting the plugin. */
static bool merged(release_t *release, const context_t *context, outcome_t *outcome, fault_t *fault) {
  text_t number, url;
  if (!needed(context, "propose", "number", &number, fault) || !needed(context, "propose", "url", &url, fault)) return false;
  text_t digits = text("%.*s", TEXT(number)); /* with a final zero */
  plugin_tuple2_string_u64_t wanted = {release->repository, strtoull((const char *)digits.ptr, NULL, 10)};
  plugin_list_tuple2_string_u64_t list = {&wanted, 1};
  GITHUB(list_tuple2_string_pull_request_t) found;
  if (!GITHUB(pull_requests)(&list, &found, fault)) return false;
  if (found.len == 0) return not_found(fault, text("%.*s is gone", TEXT(url)));
  GITHUB(pull_request_t) *pull = &found.ptr[0].f1;
  if (pull->state == CASTOFF_GITHUB_FORGE_PULL_STATE_MERGED && pull->merge_commit.is_some) {
    text_t commit = json_quoted(pull->merge_commit.val);
    return done(outcome, text("{\"commit\":%.*s}", TEXT(commit)));
  }
  if (pull->state == CASTOFF_GITHUB_FORGE_PULL_STATE_CLOSED)
    return conflict(fault, text("%.*s was closed without a merge", TEXT(pull->url)));
  *outcome = (outcome_t){
      .tag = EXPORTS_CASTOFF_PROCESS_PROCESSES_OUTCOME_WAITING,
      .val.waiting = {
          .on = {.tag = EXPORTS_CASTOFF_PROCESS_PROCESSES_CONDITION_PULL_REQUEST_MERGED,
                 .val.pull_request_merged = {text("%.*s", TEXT(release->repository)), wanted.f1}},
          .summary = text("A maintainer has to merge \"%.*s\"", TEXT(pull->title)),
          .url = {true, pull->url},
          .poll = MINUTE,
          .timeout = WEEK,
      },
  };
  return true;
}

/* A person agrees to what cannot be undone. Of several answers the newest counts. */
static bool approve(release_t *release, const context_t *context, outcome_t *outcome, fault_t *fault) {
  text_t commit;
  if (!needed(context, "merged", "commit", &commit, fault)) return false;
  if (context->answers.len > 0) {
    const PROCESS(answer_t) *answer = &context->answers.ptr[context->answers.len - 1];
    if (!text_is(answer->choice, "approve"))
      return conflict(fault, text("%.*s answered \"%.*s\"", TEXT(answer->by), TEXT(answer->choice)));
    text_t quoted = json_quoted(commit);
    return done(outcome, text("{\"commit\":%.*s}", TEXT(quoted)));
  }
  const text_t choices[] = {text("approve"), text("decline")};
  *outcome = (outcome_t){
      .tag = EXPORTS_CASTOFF_PROCESS_PROCESSES_OUTCOME_ASKS,
      .val.asks = {
          .id = text("tag"),
          .prompt = text("Tag v%.*s of %.*s at %.*s? A published tag is never moved.", TEXT(release->version),
                         TEXT(release->repository), TEXT(commit)),
          .choices = {kept(choices, sizeof choices), COUNT(choices)},
          .approvals = 1,
      },
  };
  return true;
}

static bool tag(release_t *release, const context_t *context, outcome_t *outcome, fault_t *fault) {
  text_t commit, name = text("v%.*s", TEXT(release->version)), annotation = title(release);
  if (!needed(context, "merged", "commit", &commit, fault)) return false;
  GIT(own_repository_t) opened;
  if (!GIT(open)(&release->repository, &opened, fault)) return false;
  if (!GIT(method_repository_ensure_tag)(GIT(borrow_repository)(opened), &name, &commit, &annotation, fault)) return false;
  text_t quoted = json_quoted(commit);
  return done(outcome, text("{\"commit\":%.*s}", TEXT(quoted)));
}

bool PROCESS(run)(context_t *context, outcome_t *outcome, fault_t *fault) {
  release_t release;
  if (!read_release(context->inputs, &release, fault)) return false;
  if (text_is(context->step, "propose")) return propose(&release, outcome, fault);
  if (text_is(context->step, "merged")) return merged(&release, context, outcome, fault);
  if (text_is(context->step, "approve")) return approve(&release, context, outcome, fault);
  if (text_is(context->step, "tag")) return tag(&release, context, outcome, fault);
  return invalid(fault, text("there is no step %.*s", TEXT(context->step)));
}
