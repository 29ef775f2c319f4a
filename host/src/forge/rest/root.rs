//! What GitHub says of itself: the list of its addresses, and its version.

use serde_json::{Value, json};

/// `GET /`.
pub(crate) fn addresses(url: &str) -> Value {
    json!({
        "current_user_url": format!("{url}/user"),
        "current_user_authorizations_html_url": format!("{url}/settings/connections/applications{{/client_id}}"),
        "authorizations_url": format!("{url}/authorizations"),
        "code_search_url": format!("{url}/search/code?q={{query}}{{&page,per_page,sort,order}}"),
        "commit_search_url": format!("{url}/search/commits?q={{query}}{{&page,per_page,sort,order}}"),
        "emails_url": format!("{url}/user/emails"),
        "emojis_url": format!("{url}/emojis"),
        "events_url": format!("{url}/events"),
        "feeds_url": format!("{url}/feeds"),
        "followers_url": format!("{url}/user/followers"),
        "following_url": format!("{url}/user/following{{/target}}"),
        "gists_url": format!("{url}/gists{{/gist_id}}"),
        "issue_search_url": format!("{url}/search/issues?q={{query}}{{&page,per_page,sort,order}}"),
        "issues_url": format!("{url}/issues"),
        "keys_url": format!("{url}/user/keys"),
        "label_search_url": format!("{url}/search/labels?q={{query}}&repository_id={{repository_id}}{{&page,per_page}}"),
        "notifications_url": format!("{url}/notifications"),
        "organization_url": format!("{url}/orgs/{{org}}"),
        "organization_repositories_url": format!("{url}/orgs/{{org}}/repos{{?type,page,per_page,sort}}"),
        "organization_teams_url": format!("{url}/orgs/{{org}}/teams"),
        "public_gists_url": format!("{url}/gists/public"),
        "rate_limit_url": format!("{url}/rate_limit"),
        "repository_url": format!("{url}/repos/{{owner}}/{{repo}}"),
        "repository_search_url": format!("{url}/search/repositories?q={{query}}{{&page,per_page,sort,order}}"),
        "current_user_repositories_url": format!("{url}/user/repos{{?type,page,per_page,sort}}"),
        "starred_url": format!("{url}/user/starred{{/owner}}{{/repo}}"),
        "starred_gists_url": format!("{url}/gists/starred"),
        "topic_search_url": format!("{url}/search/topics?q={{query}}{{&page,per_page}}"),
        "user_url": format!("{url}/users/{{user}}"),
        "user_organizations_url": format!("{url}/user/orgs"),
        "user_repositories_url": format!("{url}/users/{{user}}/repos{{?type,page,per_page,sort}}"),
        "user_search_url": format!("{url}/search/users?q={{query}}{{&page,per_page,sort,order}}"),
    })
}

/// `GET /meta`, as GitHub Enterprise Server answers it.
pub(crate) fn meta() -> Value {
    json!({"verifiable_password_authentication": true, "installed_version": "3.14.0"})
}
