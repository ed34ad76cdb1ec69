//! Do the element types of a model fit each other? Of the few operators that `graphs` draws, and those that are put between
//! them. A second opinion: it shares nothing with the converter that it judges.

use std::collections::HashMap;

use layerdiff::onnx::{GraphProto, ModelProto, NodeProto};
use layerdiff::tensor::DType;

/// Types by name: what is visible in a graph.
type Seen = HashMap<String, DType>;

/// One sentence about the first thing that does not fit.
pub fn check(model: &ModelProto) -> Result<(), String> {
    let main = model.graph.as_ref().ok_or("no graph")?;
    outputs(main, &Seen::new(), &[]).map(drop)
}

/// The types of what `graph` hands out. `fed`: what its inputs get, where they do not say.
fn outputs(graph: &GraphProto, around: &Seen, fed: &[DType]) -> Result<Vec<DType>, String> {
    let mut seen = around.clone();
    for (position, input) in graph.input.iter().enumerate() {
        let says = input.dtype().or(fed.get(position).copied()).ok_or(format!("no type of input {}", input.name()))?;
        if fed.get(position).is_some_and(|dtype| *dtype != says) {
            return Err(format!("input {} of a body is {says} and gets {}", input.name(), fed[position]));
        }
        seen.insert(input.name().to_string(), says);
    }
    seen.extend(graph.initializer.iter().filter_map(|t| Some((t.name().to_string(), t.dtype()?))));
    for node in &graph.node {
        let makes = made(node, &seen).map_err(|wrong| format!("{} '{}': {wrong}", node.op_type(), node.name()))?;
        if makes.len() < node.output.len() {
            return Err(format!("{} '{}' makes {} outputs", node.op_type(), node.name(), makes.len()));
        }
        seen.extend(node.output.iter().cloned().zip(makes));
    }
    let handed_out = graph.output.iter().map(|output| {
        let is = *seen.get(output.name()).ok_or(format!("nobody makes {}", output.name()))?;
        match output.dtype() {
            Some(says) if says != is => Err(format!("output {} is {is} and says {says}", output.name())),
            _ => Ok(is),
        }
    });
    handed_out.collect()
}

fn made(node: &NodeProto, seen: &Seen) -> Result<Vec<DType>, String> {
    let given = |name: &String| match name.is_empty() {
        true => Ok(None),
        false => seen.get(name).copied().map(Some).ok_or(format!("nobody makes {name}")),
    };
    let reads = node.input.iter().map(given).collect::<Result<Vec<Option<DType>>, String>>()?;
    let read = |slot: usize| reads.get(slot).copied().flatten().ok_or(format!("input {slot} is missing"));
    let (int, truth) = (DType::Int64, DType::Bool);
    let is = |slot: usize, dtype: DType| match read(slot)? == dtype {
        true => Ok(()),
        false => Err(format!("input {slot} is {}, not {dtype}", read(slot).unwrap_or(dtype))),
    };
    let one_float = |slots: &[usize]| -> Result<DType, String> {
        let kinds = slots.iter().filter_map(|s| reads.get(*s).copied().flatten()).collect::<Vec<_>>();
        match kinds.first() {
            Some(first) if first.is_float() && kinds.iter().all(|k| k == first) => Ok(*first),
            _ => Err(format!("the float inputs are {kinds:?}")),
        }
    };
    Ok(match node.op_type() {
        "Relu" | "F" => vec![one_float(&[0])?],
        "Identity" => vec![read(0)?],
        "Add" | "MatMul" => vec![one_float(&[0, 1])?],
        "Clip" => vec![one_float(&[0, 1, 2])?],
        "Greater" => one_float(&[0, 1]).map(|_| vec![truth])?,
        "Dropout" => vec![one_float(&[0])?, truth],
        "Shape" => vec![int],
        "Reshape" | "Expand" => is(1, int).and(one_float(&[0])).map(|float| vec![float])?,
        "TopK" => is(1, int).and(one_float(&[0])).map(|float| vec![float, int])?,
        "Where" => is(0, truth).and(one_float(&[1, 2])).map(|float| vec![float])?,
        "QuantizeLinear" => one_float(&[0, 1]).map(|_| vec![DType::Uint8])?,
        "DequantizeLinear" => vec![one_float(&[1])?],
        "Cast" => {
            let to = node.attr("to").and_then(|a| DType::from_onnx(i32::try_from(a.i()).ok()?));
            read(0).and(to.ok_or("no type to cast to".to_string())).map(|to| vec![to])?
        }
        "Constant" => {
            let value = node.constant().and_then(|t| t.dtype());
            vec![value.ok_or("no value".to_string())?]
        }
        "If" => is(0, truth).and(branches(node, seen))?,
        "Loop" => is(0, int).and(is(1, truth)).and(repeated(node, seen, read(2)?))?,
        other => return Err(format!("an operator that was not drawn: {other}")),
    })
}

fn branches(node: &NodeProto, seen: &Seen) -> Result<Vec<DType>, String> {
    let makes = node.subgraphs().map(|(_, body)| outputs(body, seen, &[])).collect::<Result<Vec<_>, _>>()?;
    match makes.as_slice() {
        [one, other] if one == other => Ok(one.clone()),
        _ => Err(format!("its branches make {makes:?}")),
    }
}

fn repeated(node: &NodeProto, seen: &Seen, carried: DType) -> Result<Vec<DType>, String> {
    let (_, body) = node.subgraphs().next().ok_or("no body")?;
    let makes = outputs(body, seen, &[DType::Int64, DType::Bool, carried])?;
    match makes.as_slice() {
        [DType::Bool, out] if *out == carried => Ok(vec![*out]),
        _ => Err(format!("it carries {carried} and its body makes {makes:?}")),
    }
}
