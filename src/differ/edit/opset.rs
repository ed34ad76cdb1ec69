//! The file in another version of a domain: every node of it says there what it said before.

use std::collections::HashMap;

use super::Edit;
use crate::differ::restate::restated;
use crate::differ::{Two, version};
use crate::graph::node_name;
use crate::load::testset::{tensor_from_proto, tensor_to_proto};
use crate::onnx::{GraphProto, OperatorSetIdProto, TensorProto};
use crate::tensor::Tensor;

/// Bytes of a constant that may become an attribute.
const SMALL: usize = 1 << 16;

impl Edit<'_, '_> {
    /// The file declares this version from now on, and says everything else as before.
    pub(super) fn declare(&mut self, domain: &str, to: i64) -> Result<(), String> {
        let from = version(self.two.theirs.proto, domain);
        let mut count = self.count;
        let main = self.proto.graph.as_mut().ok_or("the file has no graph")?;
        let restating = Restating { two: self.two, domain, from, to };
        restating.graph(main, &HashMap::new(), &mut count)?;
        self.count = count;
        let same = |import: &&mut OperatorSetIdProto| {
            import.domain().trim_start_matches("ai.onnx") == domain.trim_start_matches("ai.onnx")
        };
        match self.proto.opset_import.iter_mut().find(same) {
            Some(import) => import.version = Some(to),
            None => self.proto.opset_import.push(OperatorSetIdProto { domain: None, version: Some(to) }),
        }
        self.proto.ir_version = self.proto.ir_version.max(self.two.mine.proto.ir_version);
        Ok(())
    }
}

/// All nodes of a domain said in another version.
struct Restating<'e, 'a> {
    two: &'e Two<'a>,
    domain: &'e str,
    from: i64,
    to: i64,
}

impl Restating<'_, '_> {
    /// `outer` are the small constants of the graphs around it.
    fn graph(
        &self,
        graph: &mut GraphProto,
        outer: &HashMap<String, TensorProto>,
        count: &mut usize,
    ) -> Result<(), String> {
        let mut constants = outer.clone();
        for proto in graph.initializer.iter().filter(|t| t.payload_len().is_none_or(|n| n <= SMALL)) {
            constants.insert(proto.name().to_string(), self.two.theirs.model.inline(proto));
        }
        for node in &graph.node {
            if let (Some(value), Some(name)) = (node.constant(), node.output.first()) {
                constants.insert(name.clone(), self.two.theirs.model.inline(&value));
            }
        }
        let constant = |name: &str| tensor_from_proto(constants.get(name)?).ok();
        let mut added = Vec::new();
        for node in &mut graph.node {
            for body in node.subgraphs_mut() {
                self.graph(body, &constants, count)?;
            }
            let schema = |version| self.two.schemas.of(node.domain(), node.op_type(), version);
            let own = node.domain().trim_start_matches("ai.onnx") == self.domain.trim_start_matches("ai.onnx");
            let (Some(from), Some(to), true) = (schema(self.from), schema(self.to), own) else { continue };
            let mut add = |value: Tensor, name: &str| {
                *count += 1;
                let name = format!("{}/{name}/undone_{count}", node_name(node));
                added.push(tensor_to_proto(&name, &value));
                name
            };
            *node = restated(node, (from, to), &constant, &mut add)?;
        }
        graph.initializer.extend(added);
        Ok(())
    }
}
