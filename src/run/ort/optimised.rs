//! What a session makes of a model: the optimizers that changed something, as the runtime's log tells, and the graph that came
//! of it, as the runtime writes it. Builds sessions; runs nothing.

use std::fs;
use std::path::Path;

use prost::Message;

use super::watch::Ear;
use super::{Ort, Watch};
use crate::onnx::{ModelProto, NodeProto};
use crate::run::session::{Optimised, OptimisedNode};
use crate::run::{Job, RunError};
use crate::scratch;

/// How a line of the log begins that tells of an optimizer.
const OPTIMIZER: &str = "GraphTransformer ";
/// What it says of one that changed something.
const CHANGED: &str = " modified: 1 ";

/// Of the job's model, in the session that the job has. A graph that the runtime cannot write (compiled nodes, too large) is
/// left out.
pub(super) fn optimised(ort: &Ort, job: &Job) -> Result<Optimised, RunError> {
    let folder = scratch::folder().map_err(|e| RunError::exchange("the optimised model")(e.into()))?;
    let file = folder.path().join("optimised.onnx");
    match watched(ort, job, Some(&file)) {
        Ok(applied) => Ok(Optimised { applied, nodes: nodes(&file) }),
        Err(RunError::Build { .. }) => Ok(Optimised { applied: watched(ort, job, None)?, nodes: Vec::new() }),
        Err(e) => Err(e),
    }
}

/// Builds the session, and listens.
fn watched(ort: &Ort, job: &Job, model: Option<&Path>) -> Result<Vec<String>, RunError> {
    let ear = Ear::default();
    let log = ear.listening(|message, heard| {
        let Some(name) = changed(message) else { return };
        if !heard.iter().any(|known| known == name) {
            heard.push(name.to_string());
        }
    });
    drop(ort.open_as(&job.model, &job.how.session, Watch::Optimizers { log, model })?);
    Ok(ear.heard())
}

/// The optimizer that a line of the log tells to have changed something.
fn changed(message: &str) -> Option<&str> {
    let (name, rest) = message.strip_prefix(OPTIMIZER)?.split_once(' ')?;
    format!(" {rest}").starts_with(CHANGED).then_some(name)
}

/// The nodes of the main graph in a file of the runtime's.
fn nodes(file: &Path) -> Vec<OptimisedNode> {
    let model = fs::read(file).ok().and_then(|bytes| ModelProto::decode(bytes.as_slice()).ok());
    let graph = model.and_then(|model| model.graph).unwrap_or_default();
    graph.node.iter().map(told).collect()
}

fn told(node: &NodeProto) -> OptimisedNode {
    OptimisedNode {
        name: node.name().to_string(),
        op_type: node.op_type().to_string(),
        inputs: node.input.clone(),
        outputs: node.output.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log() {
        assert_eq!(changed("GraphTransformer NchwcTransformer modified: 1 with status: OK"), Some("NchwcTransformer"));
        assert_eq!(changed("GraphTransformer NchwcTransformer modified: 0 with status: OK"), None);
        assert_eq!(changed("Applying graph transformer NchwcTransformer on step 1."), None);
        assert_eq!(changed("GraphTransformer "), None);
    }
}
