//! The file under suspicion with some differences undone: its nodes get what the believed file's have. Everything else stays as it is.

mod bring;
mod opset;

use std::collections::HashSet;

use super::held::{Constant, Held, Setting};
use super::order::{sort, tidy};
use super::restate::put_input;
use super::schemas::same_name;
use super::{At, Difference, Two, What, version};
use crate::graph::{Step, graph_at_mut};
use crate::load::testset::tensor_to_proto;
use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto};
use crate::precision;
use crate::tensor::{DType, Tensor};

/// The other file without these differences; why not, where one of them cannot be undone.
pub fn undone(two: &Two, differences: &[&Difference]) -> Result<ModelProto, String> {
    let mut edit = Edit { two, proto: two.theirs.proto.clone(), touched: HashSet::new(), count: 0 };
    // A node is said in the opset of its file, so the version comes last.
    let is_opset = |d: &&&Difference| matches!(d.what, What::Opset { .. });
    for difference in differences.iter().filter(|d| !is_opset(d)) {
        edit.undo(difference)?;
    }
    for difference in differences.iter().filter(is_opset) {
        if let What::Opset { domain, mine, .. } = &difference.what {
            edit.declare(domain, *mine)?;
        }
    }
    // A body is found by the position of its node, so it is sorted before the graph around it.
    let mut touched: Vec<Vec<Step>> = std::mem::take(&mut edit.touched).into_iter().collect();
    touched.sort_by_key(|path| std::cmp::Reverse(path.len()));
    for path in touched {
        sort(edit.graph(&path)?)?;
    }
    if let Some(main) = edit.proto.graph.as_mut() {
        tidy(main, two.theirs.proto.graph.as_ref());
    }
    Ok(edit.proto)
}

struct Edit<'e, 'a> {
    two: &'e Two<'a>,
    proto: ModelProto,
    /// Graphs that got nodes, or other wires.
    touched: HashSet<Vec<Step>>,
    /// Names that were given so far.
    count: usize,
}

impl Edit<'_, '_> {
    fn graph(&mut self, path: &[Step]) -> Result<&mut GraphProto, String> {
        let main = self.proto.graph.as_mut().ok_or("the file has no graph")?;
        graph_at_mut(main, path).ok_or_else(|| "the body is not there any more".to_string())
    }

    fn node(&mut self, at: &At) -> Result<&mut NodeProto, String> {
        self.graph(&at.path)?.node.get_mut(at.index).ok_or_else(|| format!("'{}' is not there any more", at.name))
    }

    fn undo(&mut self, d: &Difference) -> Result<(), String> {
        self.touched.insert(d.theirs.path.clone());
        match &d.what {
            What::Slot { name, input, mine, theirs } => self.fill(d, name, *input, mine, theirs),
            What::Order { mine, slots, .. } => {
                for (name, slot) in mine.iter().zip(slots) {
                    let name = self.brought(d, name)?;
                    put_input(self.node(&d.theirs)?, *slot, name);
                }
                Ok(())
            }
            What::Output { mine, theirs } => {
                let outputs = &mut self.node(&d.theirs)?.output;
                let most = *mine.max(theirs);
                (most < outputs.len()).then(|| outputs.swap(*mine, *theirs)).ok_or("it has fewer outputs".to_string())
            }
            What::Result { attribute, positions, mine, .. } => {
                let inner = |at: &At| {
                    let step = Step { node: at.index, name: at.name.clone(), attribute: attribute.clone() };
                    At { path: at.path.iter().cloned().chain([step]).collect(), ..at.clone() }
                };
                let inside = Difference { mine: inner(&d.mine), theirs: inner(&d.theirs), ..d.clone() };
                self.touched.insert(inside.theirs.path.clone());
                for (name, position) in mine.iter().zip(positions) {
                    let name = self.brought(&inside, name)?;
                    let outputs = &mut self.graph(&inside.theirs.path)?.output;
                    let output = outputs.get_mut(*position).ok_or("the body has fewer outputs")?;
                    output.name = Some(name);
                }
                Ok(())
            }
            What::Nodes { .. } => self.replace(d),
            What::Opset { .. } => Ok(()),
        }
    }

    /// The node of the other file has in this slot what the believed one has.
    fn fill(
        &mut self,
        d: &Difference,
        name: &str,
        input: Option<usize>,
        mine: &Held,
        theirs: &Held,
    ) -> Result<(), String> {
        let (domain, op_type) = (self.node(&d.theirs)?.domain().to_string(), d.theirs.op_type.clone());
        let opset = version(self.two.theirs.proto, &domain);
        let schema = self.two.schemas.of(&domain, &op_type, opset);
        let attribute = schema.and_then(|s| s.attributes().find(|a| same_name(a, name)));
        // Of an operator that is not known, what the other node has tells what it takes.
        let as_attribute = attribute.or((schema.is_none() && input.is_none()).then_some(name));
        let slot = input.or_else(|| schema.and_then(|s| s.slot(name)));
        match mine {
            Held::Absent => {
                let node = self.node(&d.theirs)?;
                node.attribute.retain(|a| !same_name(a.name(), name));
                if let Some(slot) = input {
                    put_input(node, slot, String::new());
                }
                Ok(())
            }
            Held::Setting(setting, written) => match (as_attribute, slot) {
                (Some(attribute), _) => {
                    let plain = || setting.attribute(attribute, false);
                    let mut said = written.as_deref().cloned().unwrap_or_else(plain);
                    said.name = Some(attribute.to_string());
                    let node = self.node(&d.theirs)?;
                    node.attribute.retain(|a| !same_name(a.name(), name));
                    node.attribute.push(said);
                    Ok(())
                }
                (None, Some(slot)) => {
                    let scalar = !matches!(written, Some(a) if a.i.is_none() && a.f.is_none()) && name != "k";
                    let like = if let Held::Constant(c) = theirs { c.value.dtype } else { DType::Float32 };
                    let value = setting.tensor(scalar, like).ok_or("a text cannot be an input")?;
                    self.give(d, slot, name, value)
                }
                (None, None) => Err(format!("{op_type} of its opset has no {name}")),
            },
            Held::Constant(constant) => match (slot, as_attribute) {
                (Some(slot), _) => self.give(d, slot, name, stored_like(constant, theirs)),
                (None, Some(attribute)) => {
                    let of = theirs_is_list(theirs) || constant.value.shape.len() == 1;
                    let said = Setting::of_tensor(&constant.value).map(|s| s.attribute(attribute, of));
                    let tensor = || AttributeProto::tensor(attribute, tensor_to_proto("", &constant.value));
                    let is_tensor = matches!(theirs, Held::Constant(_));
                    let said = if is_tensor { tensor() } else { said.ok_or("its value cannot be an attribute")? };
                    let node = self.node(&d.theirs)?;
                    node.attribute.retain(|a| !same_name(a.name(), name));
                    node.attribute.push(said);
                    Ok(())
                }
                (None, None) => Err(format!("{op_type} of its opset has no {name}")),
            },
            Held::Wire(wire) => {
                let slot = slot.ok_or_else(|| format!("{op_type} of its opset reads no {name}"))?;
                let wire = self.brought(d, wire)?;
                put_input(self.node(&d.theirs)?, slot, wire);
                Ok(())
            }
        }
    }

    /// A new value of the file, read in this slot.
    fn give(&mut self, d: &Difference, slot: usize, name: &str, value: Tensor) -> Result<(), String> {
        let name = self.added(&d.theirs.path, &format!("{}/{name}", d.theirs.name), &value)?;
        put_input(self.node(&d.theirs)?, slot, name);
        Ok(())
    }

    fn added(&mut self, path: &[Step], like: &str, value: &Tensor) -> Result<String, String> {
        let name = self.fresh(like);
        self.graph(path)?.initializer.push(tensor_to_proto(&name, value));
        Ok(name)
    }

    /// A name that no graph of the file has.
    fn fresh(&mut self, like: &str) -> String {
        self.count += 1;
        format!("{like}/undone_{}", self.count)
    }

    /// The node of the believed file makes what another one makes here.
    fn replace(&mut self, d: &Difference) -> Result<(), String> {
        let mut from = self.bringing(d)?;
        let node = from.mine.graph().node.get(d.mine.index).ok_or("the node is not there")?;
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            let own = match from.names.to_theirs(output) {
                Some(own) => {
                    let unread = self.fresh(&own);
                    let made = self.graph(&from.path)?.node.iter_mut().flat_map(|n| &mut n.output);
                    made.filter(|name| **name == own).for_each(|name| name.clone_from(&unread));
                    own
                }
                None => self.fresh(output),
            };
            from.known.insert(output.clone(), own);
        }
        self.take_over(&mut from, node)
    }
}

fn stored_like(constant: &Constant, theirs: &Held) -> Tensor {
    match theirs {
        Held::Constant(c) if c.value.dtype != constant.value.dtype && c.value.dtype.is_float() => {
            precision::cast(&constant.value, c.value.dtype).unwrap_or_else(|| constant.value.clone())
        }
        _ => constant.value.clone(),
    }
}

fn theirs_is_list(theirs: &Held) -> bool {
    matches!(theirs, Held::Setting(_, Some(a)) if a.i.is_none() && a.f.is_none() && a.s.is_none())
}
