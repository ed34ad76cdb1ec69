//! The file under suspicion with some differences undone: its nodes get what the believed file's have. Everything else stays as it is.

use std::collections::{HashMap, HashSet};

use super::captured::{captured, rename};
use super::held::{Constant, Held, Setting};
use super::names::Names;
use super::order::{sort, tidy};
use super::restate::{put_input, restated};
use super::schemas::same_name;
use super::scope::Scope;
use super::{At, Difference, Two, What, version};
use crate::graph::{Step, graph_at, graph_at_mut, node_name};
use crate::load::testset::{tensor_from_proto, tensor_to_proto};
use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};
use crate::precision;
use crate::tensor::{DType, Tensor};

/// Nodes that are taken over for one difference at most.
const MOST: usize = 64;
/// Bytes of a constant that may become an attribute.
const SMALL: usize = 1 << 16;

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

impl<'a> Edit<'_, 'a> {
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

    /// The name under which the other file has what the believed one calls `name`; taken over with the nodes that make it, where it has not.
    fn brought(&mut self, d: &Difference, name: &str) -> Result<String, String> {
        let mut bringing = self.bringing(d)?;
        self.bring(&mut bringing, name)
    }

    fn bringing(&self, d: &Difference) -> Result<Bringing<'a>, String> {
        let (mine, theirs) = (self.two.mine.proto.graph.as_ref(), self.two.theirs.proto.graph.as_ref());
        let (mine, theirs) = mine.zip(theirs).ok_or("a file has no graph")?;
        let (mut scope, mut other) =
            (Scope::main(self.two.mine.model, mine), Scope::main(self.two.theirs.model, theirs));
        let mut names = self.two.names.clone();
        for depth in 0..d.mine.path.len().min(d.theirs.path.len()) {
            let at = |graph, path: &'_ [Step]| graph_at(graph, &path[..=depth]).ok_or("the body is not there");
            let (inner, counterpart) = (at(mine, &d.mine.path)?, at(theirs, &d.theirs.path)?);
            let (own, their) = (&d.mine.path[depth], &d.theirs.path[depth]);
            scope = scope.body(own.node, &own.attribute, inner);
            other = other.body(their.node, &their.attribute, counterpart);
            names = names.inside((own.attribute.clone(), own.node, their.node), inner, counterpart);
        }
        Ok(Bringing { mine: scope, theirs: other, names, path: d.theirs.path.clone(), known: HashMap::new() })
    }

    fn bring(&mut self, from: &mut Bringing<'a>, name: &str) -> Result<String, String> {
        if name.is_empty() {
            return Ok(String::new());
        }
        if let Some(own) = from.names.to_theirs(name).filter(|own| from.theirs.knows(own)) {
            return Ok(own);
        }
        if let Some(own) = from.known.get(name) {
            return Ok(own.clone());
        }
        if let Some(constant) = from.mine.constant(name) {
            let own = self.added(&from.path.clone(), name, &constant.value)?;
            from.known.insert(name.to_string(), own.clone());
            return Ok(own);
        }
        let maker = from.mine.maker(name).filter(|maker| maker.out == 0);
        let maker = maker.ok_or_else(|| format!("nothing in the other file stands for '{name}'"))?;
        if from.known.len() >= MOST {
            return Err(format!("more than {MOST} nodes would have to be taken over"));
        }
        for output in maker.node.output.iter().filter(|output| !output.is_empty()) {
            let own = self.fresh(output);
            from.known.insert(output.clone(), own);
        }
        self.take_over(from, maker.node)?;
        from.known.get(name).cloned().ok_or_else(|| format!("'{name}' was not taken over"))
    }

    /// A node of the believed file in the other one; its outputs have their names already.
    fn take_over(&mut self, from: &mut Bringing<'a>, node: &NodeProto) -> Result<(), String> {
        let domain = node.domain();
        let opsets = [self.two.mine.proto, self.two.theirs.proto].map(|proto| version(proto, domain));
        let imports = |proto: &ModelProto| proto.opset_import.iter().any(|i| i.domain() == domain);
        if !imports(&self.proto) && !matches!(domain, "" | "ai.onnx") {
            let import = OperatorSetIdProto { domain: Some(domain.to_string()), version: Some(opsets[0]) };
            self.proto.opset_import.push(import);
        }
        let schema = |version| self.two.schemas.of(domain, node.op_type(), version);
        let mut said = node.clone();
        self.take_bodies(from, &mut said)?;
        let mut inputs = Vec::new();
        for input in &node.input {
            inputs.push(self.bring(from, input)?);
        }
        let path = from.path.clone();
        if let (Some(mine), Some(theirs)) = (schema(opsets[0]), schema(opsets[1])) {
            let constant = |name: &str| from.mine.constant(name).map(|c| c.value);
            let mut values = Vec::new();
            said = restated(node, (mine, theirs), &constant, &mut |value, name| {
                values.push((format!("{}/{name}", node_name(node)), value));
                format!("\u{0}{}", values.len() - 1)
            })?;
            let mut names = Vec::new();
            for (like, value) in values {
                names.push(self.added(&path, &like, &value)?);
            }
            let own: HashMap<&String, &String> = node.input.iter().zip(&inputs).collect();
            for input in &mut said.input {
                match input.strip_prefix('\u{0}').and_then(|i| i.parse::<usize>().ok()) {
                    Some(i) => input.clone_from(names.get(i).ok_or("a value is missing")?),
                    None => *input = own.get(input).map_or(String::new(), |name| (*name).clone()),
                }
            }
        } else {
            said.input = inputs;
        }
        for output in said.output.iter_mut().filter(|output| !output.is_empty()) {
            output.clone_from(from.known.get(output).ok_or("an output has no name")?);
        }
        said.name = Some(self.fresh(&node_name(node)));
        self.graph(&path)?.node.push(said);
        Ok(())
    }

    /// The bodies of a node that is taken over, under names that nothing has here; what they read from outside is brought.
    fn take_bodies(&mut self, from: &mut Bringing<'a>, said: &mut NodeProto) -> Result<(), String> {
        if said.subgraphs().next().is_none() {
            return Ok(());
        }
        if !said.subgraphs().all(|(_, body)| self.says_the_same(body)) {
            return Err(format!("'{}' has a body with operators that changed between the opsets", node_name(said)));
        }
        let mut known = HashMap::new();
        for name in captured(said) {
            known.insert(name.clone(), self.bring(from, &name)?);
        }
        for body in said.subgraphs_mut() {
            for weight in &mut body.initializer {
                *weight = self.two.mine.model.inline(weight);
            }
        }
        rename(said, &known, &mut |like| self.fresh(like));
        Ok(())
    }

    /// All nodes of a body mean in the other file's opset what they mean in their own.
    fn says_the_same(&self, body: &GraphProto) -> bool {
        body.node.iter().all(|node| {
            let schema = |proto| self.two.schemas.of(node.domain(), node.op_type(), version(proto, node.domain()));
            let same = match (schema(self.two.mine.proto), schema(self.two.theirs.proto)) {
                (Some(own), Some(other)) => own.is_like(other),
                (None, None) => true,
                _ => false,
            };
            same && node.subgraphs().all(|(_, inner)| self.says_the_same(inner))
        })
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

    /// The file declares this version from now on, and says everything else as before.
    fn declare(&mut self, domain: &str, to: i64) -> Result<(), String> {
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

/// What the believed file has, on its way to the other one.
struct Bringing<'a> {
    mine: Scope<'a>,
    theirs: Scope<'a>,
    names: Names,
    /// The graph of the other file that it is brought to.
    path: Vec<Step>,
    /// Names of the believed file that were brought so far.
    known: HashMap<String, String>,
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
