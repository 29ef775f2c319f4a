//! The README: the Compatibility table follows `go.mod`; what a person decides comes from the inputs.

use castoff_sdk::Error;
use castoff_sdk::process::{Context, Outcome};
use castoff_sdk::step::done;

use super::input::Inputs;
use super::preflight::{self, Preflight};
use super::pull::{self, Proposed};
use super::world::{World, text};
use crate::core::proposal;
use crate::core::readme::{Compatibility, propose, spec_version};

/// Step `readme`.
pub(crate) fn run(context: &Context) -> Result<Outcome, Error> {
    let inputs: Inputs = context.read_inputs()?;
    let preflight: Preflight = context.needed_output("preflight")?;
    let range = &preflight.range;
    let world = World::read(&inputs.repository)?;
    let head = world.head(&range.branch)?;
    let unchanged = |remarks: Vec<String>| {
        done(&Proposed { repository: inputs.repository.clone(), remarks, ..Proposed::default() })
    };
    let Some(readme) = text(&world.repository, head, "README.md")? else {
        return unchanged(vec!["the repository has no README.md".to_owned()]);
    };
    let spec = text(&world.repository, head, "go.mod")?.and_then(|file| spec_version(&file));
    let wanted = Compatibility {
        spec: spec.as_deref(),
        minimum_kubernetes: inputs.minimum_kubernetes.as_deref(),
        recommended_kubernetes: inputs.recommended_kubernetes.as_deref(),
    };
    let images = preflight::images(&world.repository, head, &inputs).unwrap_or_default();
    let result = propose(&readme, &wanted, &images, range.version);
    if result.content == readme {
        return unchanged(result.remarks);
    }
    let proposal =
        proposal::readme(&inputs.repository, range.version, &range.branch, &result.changes, &result.remarks);
    let changes = vec![pull::put("README.md", &result.content)];
    let proposed = pull::propose(&inputs.repository, inputs.fork.as_deref(), head, changes, &proposal)?;
    done(&Proposed { remarks: result.remarks, ..proposed })
}
