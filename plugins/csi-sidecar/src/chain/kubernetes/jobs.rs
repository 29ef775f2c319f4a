//! Names of the pull jobs that try a new Kubernetes version in one repository.

/// The jobs to run: those asked for; else those of the repository that were generated for the version and deploy for it; else the name
/// that the generator gives.
pub(super) fn wanted(
    asked: &[String],
    generated: &[String],
    repository: &str,
    kubernetes: &str,
) -> Vec<String> {
    if !asked.is_empty() {
        return asked.to_vec();
    }
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let dashed = kubernetes.replace('.', "-");
    let plain = format!("pull-kubernetes-csi-{name}-{dashed}-on-kubernetes-{dashed}");
    let suffixed = |job: &&String| {
        let own = job.strip_prefix(&format!("pull-kubernetes-csi-{name}-{dashed}-"));
        own.is_some_and(|rest| rest.ends_with(&format!("on-kubernetes-{dashed}")))
    };
    let found: Vec<String> = generated.iter().filter(suffixed).cloned().collect();
    if found.is_empty() { vec![plain] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_the_repository_and_the_version() {
        let generated: Vec<String> = [
            "pull-kubernetes-csi-box-1-36-on-kubernetes-1-36",
            "pull-kubernetes-csi-box-1-36-test-on-kubernetes-1-36",
            "pull-kubernetes-csi-box-1-36-on-kubernetes-master",
            "pull-kubernetes-csi-box-1-35-on-kubernetes-1-36",
            "pull-kubernetes-csi-boxer-1-36-on-kubernetes-1-36",
            "ci-kubernetes-csi-1-36-on-kubernetes-1-36",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(wanted(&[], &generated, "o/box", "1.36"), generated.get(..2).unwrap_or_default());
        assert_eq!(wanted(&[], &[], "o/box", "1.36"), ["pull-kubernetes-csi-box-1-36-on-kubernetes-1-36"]);
        assert_eq!(wanted(&["mine".to_owned()], &generated, "o/box", "1.36"), ["mine"]);
    }
}
