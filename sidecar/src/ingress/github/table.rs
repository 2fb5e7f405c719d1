//! What stands where in a webhook of GitHub: the table of the CloudEvents project's adapter (`adapters/github.md`), row by
//! row.
//!
//! Where it says "current time" there is none here: when it happened is not told, and when it came is no part of the
//! event. Its slips are mended: the dot before the action of a ruleset or a dispatch, the action that `team_add` does not
//! have, the `alert.id` of `dependabot_alert`, whose payload has a number. `installation.updated_at` may be a number of seconds, as its question mark suspects.

/// What follows the event's name in the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    None,
    /// The texts of these members, those that there are.
    Of(&'static [&'static str]),
}

/// One kind of event. Members are paths of names, with dots between them.
#[derive(Debug)]
pub(super) struct Row {
    /// Its name, as `X-GitHub-Event` has it.
    pub(super) event: &'static str,
    /// The member that is the source; without it, the first of [`SOURCES`].
    pub(super) source: &'static str,
    pub(super) tail: Tail,
    /// The member that is the subject; empty is none.
    pub(super) subject: &'static str,
    /// The members that may be the time; the first that there is counts.
    pub(super) time: &'static [&'static str],
}

/// Where a webhook happened, the nearest place first.
pub(super) const SOURCES: [&str; 5] =
    ["repository.url", "organization.url", "installation.account.url", "enterprise.html_url", "sender.url"];

const ACTION: Tail = Tail::Of(&["action"]);
const REPOSITORY: &str = "repository.url";

const fn row(
    event: &'static str,
    source: &'static str,
    tail: Tail,
    subject: &'static str,
    time: &'static [&'static str],
) -> Row {
    Row { event, source, tail, subject, time }
}

/// The row of an event; one that the adapter does not know has its action and no more.
pub(super) fn of(event: &str) -> &'static Row {
    const OTHER: Row = row("", REPOSITORY, ACTION, "", &[]);
    ROWS.iter().find(|row| row.event == event).unwrap_or(&OTHER)
}

const ROWS: &[Row] = &[
    row("branch_protection_rule", REPOSITORY, ACTION, "rule.id", &["rule.updated_at"]),
    row("check_run", REPOSITORY, ACTION, "check_run.id", &["check_run.completed_at", "check_run.started_at"]),
    row("check_suite", REPOSITORY, ACTION, "check_suite.id", &["check_suite.updated_at"]),
    row("code_scanning_alert", REPOSITORY, ACTION, "alert.number", &[]),
    row("commit_comment", "comment.url", ACTION, "comment.id", &["comment.updated_at"]),
    row("content_reference", REPOSITORY, ACTION, "content_reference.id", &[]),
    row("create", REPOSITORY, Tail::Of(&["ref_type"]), "ref", &[]),
    row("custom_property", REPOSITORY, ACTION, "definition.property_name", &[]),
    row("delete", REPOSITORY, Tail::Of(&["ref_type"]), "ref", &[]),
    row("dependabot_alert", REPOSITORY, ACTION, "alert.number", &[]),
    row("deploy_key", REPOSITORY, ACTION, "key.id", &["key.deleted_at", "key.created_at"]),
    row("deployment", REPOSITORY, Tail::None, "deployment.id", &["deployment.updated_at"]),
    row("deployment_protection_rule", "deployment.url", ACTION, "deployment.id", &[]),
    row("deployment_review", "deployment.url", ACTION, "workflow_run.id", &[]),
    row(
        "deployment_status",
        "deployment.url",
        Tail::Of(&["deployment_status.state"]),
        "deployment_status.url",
        &["deployment_status.updated_at"],
    ),
    row("discussion", REPOSITORY, ACTION, "discussion.id", &[]),
    row("discussion_comment", REPOSITORY, ACTION, "discussion.id", &["comment.updated_at"]),
    row("fork", REPOSITORY, Tail::None, "forkee.url", &["forkee.created_at"]),
    row("github_app_authorization", "sender.url", Tail::None, "", &[]),
    row("gollum", REPOSITORY, Tail::None, "", &[]),
    row("installation", "installation.account.url", ACTION, "installation.id", &["installation.updated_at"]),
    row(
        "installation_repositories",
        "installation.account.url",
        ACTION,
        "installation.id",
        &["installation.updated_at"],
    ),
    row(
        "installation_target",
        "installation.account.url",
        ACTION,
        "installation.id",
        &["installation.updated_at"],
    ),
    row("issue_comment", "issue.url", ACTION, "comment.id", &["comment.updated_at"]),
    row("issues", REPOSITORY, ACTION, "issue.number", &["issue.updated_at"]),
    row("label", REPOSITORY, ACTION, "label.name", &[]),
    row(
        "marketplace_purchase",
        "sender.url",
        ACTION,
        "marketplace_purchase.account.login",
        &["effective_date"],
    ),
    row("member", REPOSITORY, ACTION, "member.login", &[]),
    row("membership", "team.url", Tail::Of(&["scope", "action"]), "member.login", &[]),
    row("merge_group", REPOSITORY, ACTION, "merge_group.head_ref", &[]),
    row("meta", REPOSITORY, ACTION, "hook_id", &["hook.updated_at"]),
    row("milestone", REPOSITORY, ACTION, "milestone.number", &["milestone.updated_at"]),
    row("organization", "organization.url", ACTION, "membership.user.login", &[]),
    row("org_block", "organization.url", ACTION, "blocked_user.login", &[]),
    row("package", REPOSITORY, ACTION, "package.id", &["package.updated_at", "package.created_at"]),
    row("page_build", REPOSITORY, Tail::None, "build.url", &["build.pusher.updated_at", "pusher.updated_at"]),
    row("project", REPOSITORY, ACTION, "project.id", &["project.updated_at"]),
    row("project_card", REPOSITORY, ACTION, "project_card.id", &["project_card.updated_at"]),
    row("project_column", REPOSITORY, ACTION, "project_column.id", &["project_column.updated_at"]),
    row("projects_v2", REPOSITORY, ACTION, "projects_v2.id", &["projects_v2.updated_at"]),
    row("projects_v2_item", REPOSITORY, ACTION, "projects_v2_item.id", &["projects_v2_item.updated_at"]),
    row(
        "projects_v2_status_update",
        REPOSITORY,
        ACTION,
        "projects_v2_status_update.id",
        &["projects_v2_status_update.updated_at"],
    ),
    row("public", "repository.owner.url", Tail::None, "repository.name", &["repository.updated_at"]),
    row("pull_request", REPOSITORY, ACTION, "number", &["pull_request.updated_at"]),
    row("pull_request_review", "pull_request.url", ACTION, "review.id", &["review.submitted_at"]),
    row(
        "pull_request_review_comment",
        "pull_request.url",
        ACTION,
        "comment.id",
        &["pull_request.updated_at"],
    ),
    row("pull_request_review_thread", "pull_request.url", ACTION, "pull_request.id", &[]),
    row("push", REPOSITORY, Tail::None, "ref", &[]),
    row(
        "registry_package",
        REPOSITORY,
        ACTION,
        "registry_package.html_url",
        &["registry_package.updated_at"],
    ),
    row("release", REPOSITORY, ACTION, "release.id", &[]), // its time goes by its action, see the reader
    row("repository", "repository.owner.url", ACTION, "repository.name", &["repository.updated_at"]),
    row(
        "repository_advisory",
        REPOSITORY,
        ACTION,
        "repository_advisory.ghsa_id",
        &["repository_advisory.updated_at"],
    ),
    row("repository_dispatch", "repository.owner.url", ACTION, "", &[]),
    row(
        "repository_import",
        "repository.owner.url",
        Tail::None,
        "repository.name",
        &["repository.updated_at"],
    ),
    row("repository_ruleset", "repository.owner.url", ACTION, "repository.name", &["repository.updated_at"]),
    row("repository_vulnerability_alert", REPOSITORY, ACTION, "alert.id", &[]),
    row(
        "secret_scanning_alert",
        REPOSITORY,
        ACTION,
        "alert.number",
        &["alert.updated_at", "alert.created_at"],
    ),
    row(
        "secret_scanning_alert_location",
        REPOSITORY,
        ACTION,
        "alert.number",
        &["alert.updated_at", "alert.created_at"],
    ),
    row(
        "security_advisory",
        "", // GitHub itself
        ACTION,
        "security_advisory.ghsa_id",
        &["security_advisory.updated_at"],
    ),
    row("security_and_analysis", REPOSITORY, Tail::None, "", &[]),
    row("sponsorship", REPOSITORY, ACTION, "sponsorship.sponsor.login", &[]),
    row("star", REPOSITORY, ACTION, "", &["starred_at"]),
    row("status", REPOSITORY, Tail::Of(&["state"]), "sha", &["updated_at"]),
    row("team", REPOSITORY, ACTION, "team.id", &[]),
    row("team_add", REPOSITORY, Tail::None, "team.id", &[]),
    row("watch", REPOSITORY, ACTION, "", &[]),
    row("workflow_dispatch", REPOSITORY, Tail::None, "workflow", &[]),
    row("workflow_job", REPOSITORY, ACTION, "workflow_job.name", &[]),
    row("workflow_run", REPOSITORY, ACTION, "workflow.name", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_one_row() {
        let mut names: Vec<_> = ROWS.iter().map(|row| row.event).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
