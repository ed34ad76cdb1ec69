//! Pairs whose parameters do not fit their values: which they are, what a search has to start from for their sake, and what
//! is told of them. Errors of quantisation cancel by accident, so that outputs can agree with such a pair in place. Runs and
//! searches nothing.

use super::Quantised;
use super::losses::Loss;
use crate::cure::Units;

/// A pair whose parameters do not fit the values.
pub struct Misfit {
    /// Number in [`Quantised::pairs`].
    pub pair: usize,
    /// `'relu1_out' has a scale 10 times too large for its values`
    pub what: String,
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
        if let Some(what) = loss.losses.mismatch(pair, loss.relative, folded) {
            found.push((loss.relative, Misfit { pair: number, what: format!("'{}' {what}", pair.tensor) }));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, misfit)| misfit).collect()
}

/// Of the first misfits, the nodes that must be left unquantised for them to go; those of the largest loss first.
pub fn readers(units: &Units, quantised: &Quantised, misfits: &[Misfit]) -> Vec<usize> {
    let mut first: Vec<usize> = Vec::new();
    for node in misfits.iter().take(MOST).flat_map(|m| &quantised.owners[m.pair]) {
        if units.nodes.binary_search(node).is_ok() && !first.contains(node) {
            first.push(*node);
        }
    }
    first
}

/// Are there misfits that stay quantised?
pub fn leaves(quantised: &Quantised, misfits: &[Misfit], nodes: &[usize]) -> bool {
    let removed: Vec<usize> = quantised.removed(nodes).iter().map(|p| p.dequantize).collect();
    misfits.iter().take(MOST).any(|m| !removed.contains(&quantised.pairs[m.pair].dequantize))
}

/// What the misfits are to somebody who reads of the cure: what to calibrate again, and what is still wrong.
pub fn told(quantised: &Quantised, misfits: &[Misfit], nodes: &[usize]) -> Option<String> {
    let removed: Vec<usize> = quantised.removed(nodes).iter().map(|p| p.dequantize).collect();
    let (gone, stay): (Vec<&Misfit>, Vec<&Misfit>) =
        misfits.iter().partition(|m| removed.contains(&quantised.pairs[m.pair].dequantize));
    let gone = list(&gone).map(|what| format!("{what}: calibrate again, and the nodes may stay quantised"));
    let stay = list(&stay).map(|what| {
        format!("{what} and stays quantised: here the outputs agree all the same, with other inputs perhaps not; calibrate again")
    });
    let sentences: Vec<String> = gone.into_iter().chain(stay).collect();
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
    use crate::qdq::Pair;

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
        let misfits: Vec<Misfit> = pairs.iter().map(|pair| Misfit { pair: *pair, what: what(pair) }).collect();
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
