//! Pairs whose parameters do not fit their values: which they are, what a search has to start from for their sake, and what
//! is told of them. Errors of quantisation cancel by accident, so that outputs can agree with such a pair in place. Runs and
//! searches nothing.

use super::Quantised;
use super::losses::Loss;
use crate::cure::Units;
use crate::qdq::Pair;

/// A pair whose parameters do not fit the values.
pub struct Misfit {
    /// Number in [`Quantised::pairs`].
    pub pair: usize,
    /// `'relu1_out' has a scale 10 times too large for its values`
    pub what: String,
    /// No calibration would give it another: a sentinel is among its values.
    pub sentinel: bool,
}

/// Misfits that the search starts from: with more of them it is the calibration as a whole.
const MOST: usize = 8;
/// Misfits that are told of in a sentence.
const TOLD: usize = 2;

/// The largest loss first.
pub fn misfits(quantised: &Quantised, losses: &[Option<Loss>]) -> Vec<Misfit> {
    let mut found: Vec<(f64, Misfit)> = Vec::new();
    for (number, (pair, loss)) in quantised.pairs.iter().zip(losses).enumerate() {
        let Some(loss) = loss else { continue };
        let folded = quantised.activations.contains_key(&pair.dequantize);
        let sentinel = loss.sentinel;
        let what = match sentinel {
            true => Some("has a range that a sentinel sets".to_string()),
            false if is_fixed(quantised, pair) => None,
            false => loss.losses.mismatch(pair, loss.relative, folded),
        };
        if let Some(what) = what {
            let what = format!("'{}' {what}", pair.tensor);
            found.push((loss.relative, Misfit { pair: number, what, sentinel }));
        }
    }
    // Sentinels first: without them nothing else can be told.
    let place = |misfit: &Misfit| if misfit.sentinel { quantised.pairs[misfit.pair].dequantize } else { 0 };
    found.sort_by(|a, b| b.1.sentinel.cmp(&a.1.sentinel).then(place(&a.1).cmp(&place(&b.1))).then(b.0.total_cmp(&a.0)));
    found.into_iter().map(|(_, misfit)| misfit).collect()
}

/// Is the range the operator's, whatever data it is calibrated with? ONNX Runtime's quantiser gives Softmax 0 to 1.
fn is_fixed(quantised: &Quantised, pair: &Pair) -> bool {
    let float = &quantised.float;
    let maker = float.tensor(&pair.tensor).filter(|_| !pair.weight).map(|t| float.producer(t));
    maker.is_some_and(|node| matches!(node.op_type.as_str(), "Softmax" | "Sigmoid"))
}

/// The pairs whose range a sentinel sets.
pub fn sentinels(misfits: &[Misfit]) -> Vec<usize> {
    misfits.iter().filter(|m| m.sentinel).map(|m| m.pair).collect()
}

/// Of the first misfits, the nodes that must be left unquantised for them to go; those of the largest loss first.
///
/// `sentinels`: of those whose range a sentinel sets alone.
pub fn readers(units: &Units, quantised: &Quantised, misfits: &[Misfit], sentinels: bool) -> Vec<usize> {
    let mut first: Vec<usize> = Vec::new();
    for node in starting(misfits).filter(|m| m.sentinel || !sentinels).flat_map(|m| &quantised.owners[m.pair]) {
        if units.nodes.binary_search(node).is_ok() && !first.contains(node) {
            first.push(*node);
        }
    }
    first
}

/// All sentinels, which have one reason, and a few others.
fn starting(misfits: &[Misfit]) -> impl Iterator<Item = &Misfit> {
    let (sentinels, others): (Vec<&Misfit>, Vec<&Misfit>) = misfits.iter().partition(|m| m.sentinel);
    sentinels.into_iter().chain(others.into_iter().take(MOST))
}

/// Are there misfits that stay quantised?
pub fn leaves(quantised: &Quantised, misfits: &[Misfit], nodes: &[usize]) -> bool {
    let removed: Vec<usize> = quantised.removed(nodes).iter().map(|p| p.dequantize).collect();
    starting(misfits).any(|m| !removed.contains(&quantised.pairs[m.pair].dequantize))
}

/// What the misfits are to somebody who reads of the cure: what to calibrate again, and what is still wrong.
pub fn told(quantised: &Quantised, misfits: &[Misfit], nodes: &[usize]) -> Option<String> {
    let removed: Vec<usize> = quantised.removed(nodes).iter().map(|p| p.dequantize).collect();
    let (gone, stay): (Vec<&Misfit>, Vec<&Misfit>) =
        misfits.iter().partition(|m| removed.contains(&quantised.pairs[m.pair].dequantize));
    let (masked, gone): (Vec<&Misfit>, Vec<&Misfit>) = gone.into_iter().partition(|m| m.sentinel);
    let masked =
        list(&masked).map(|what| format!("{what}: no calibration with the same mask gives the other values codes"));
    let gone = list(&gone).map(|what| format!("{what}: calibrate again, and the nodes may stay quantised"));
    let (_, stay): (Vec<&Misfit>, Vec<&Misfit>) = stay.into_iter().partition(|m| m.sentinel);
    let stay = list(&stay).map(|what| {
        format!("{what} and stays quantised: here the outputs agree all the same, with other inputs perhaps not; calibrate again")
    });
    let sentences: Vec<String> = masked.into_iter().chain(gone).chain(stay).collect();
    (!sentences.is_empty() && !nodes.is_empty()).then(|| sentences.join("; "))
}

fn list(misfits: &[&Misfit]) -> Option<String> {
    let mut named: Vec<String> = misfits.iter().take(TOLD).map(|m| m.what.clone()).collect();
    if misfits.len() > TOLD {
        named.push(format!("{} more like it (see qdq_loss.json)", misfits.len() - TOLD));
    }
    (!named.is_empty()).then(|| named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::onnx::{GraphProto, ModelProto};

    /// A pair for each name; the one of number n is read by node n alone.
    fn quantised(names: &[&str]) -> Quantised {
        let pair = |(n, name): (usize, &&str)| Pair {
            tensor: name.to_string(),
            quantize: None,
            dequantize: 10 + n,
            slots: Pair::LINEAR,
            scale: None,
            zero_point: None,
            quantizer: None,
            axis: None,
            block: 0,
            dtype: crate::tensor::DType::Int8,
            channels: None,
            stored: None,
            weight: false,
            consumers: vec![n],
        };
        let empty = ModelProto { graph: Some(GraphProto::default()), ..Default::default() };
        Quantised {
            pairs: names.iter().enumerate().map(pair).collect(),
            owners: (0..names.len()).map(|n| vec![n]).collect(),
            float: Graph::new(&empty).unwrap(),
            weights: Default::default(),
            activations: Default::default(),
        }
    }

    #[track_caller]
    fn check(pairs: &[usize], nodes: &[usize], want: Option<&str>) {
        let quantised = quantised(&["a", "b", "c", "d", "e"]);
        let what = |pair: &usize| format!("'{}' is wrong", quantised.pairs[*pair].tensor);
        let misfits: Vec<Misfit> =
            pairs.iter().map(|pair| Misfit { pair: *pair, what: what(pair), sentinel: false }).collect();
        assert_eq!(told(&quantised, &misfits, nodes).as_deref(), want);
        let stays = pairs.iter().any(|pair| !nodes.contains(pair));
        assert_eq!(leaves(&quantised, &misfits, nodes), stays);
    }

    #[test]
    fn what_goes_and_what_stays() {
        check(&[], &[1], None);
        // Without a cure there is nothing to add to why there is none.
        check(&[1], &[], None);
        check(&[1], &[1, 2], Some("'b' is wrong: calibrate again, and the nodes may stay quantised"));
        let stays =
            "and stays quantised: here the outputs agree all the same, with other inputs perhaps not; calibrate again";
        check(&[1], &[2], Some(&format!("'b' is wrong {stays}")));
        let both = format!("'a' is wrong: calibrate again, and the nodes may stay quantised; 'b' is wrong {stays}");
        check(&[0, 1], &[0], Some(&both));
        let many = "'a' is wrong, 'b' is wrong, 2 more like it (see qdq_loss.json): calibrate again, and the nodes may stay quantised";
        check(&[0, 1, 2, 3], &[0, 1, 2, 3], Some(many));
    }
}
