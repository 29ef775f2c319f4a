//! The scratch directory of a step and the artefacts of a run.
