//! Where the time of an engine goes: layer by layer, as its profiler tells, with the nodes of the model that each was made of.

use indexmap::IndexMap;

use super::session::Session;
use crate::run::{Layer, NodeTime};
use crate::tensor::Tensors;

/// Runs that are profiled.
const PROFILED: usize = 5;

/// What a layer took in one run, in milliseconds.
type Heard = (String, f32);

/// Every layer of the engine. One that tells nothing has none: its runs were measured all the same.
pub fn nodes(session: &mut Session, feed: &Tensors, layers: &[Layer]) -> Vec<NodeTime> {
    session.layer_times(feed, PROFILED).map_or(Vec::new(), |runs| medians(&runs, layers))
}

/// The median of all runs, layer by layer. What has one name is added up within a run.
fn medians(runs: &[Vec<Heard>], layers: &[Layer]) -> Vec<NodeTime> {
    let mut found: IndexMap<&str, Vec<f64>> = IndexMap::new();
    for (run, heard) in runs.iter().enumerate() {
        for (layer, milliseconds) in heard {
            let of_runs = found.entry(layer).or_insert_with(|| vec![0.0; runs.len()]);
            of_runs[run] += f64::from(*milliseconds) * 1e-3;
        }
    }
    found.into_iter().map(|(layer, of_runs)| told(layer, of_runs, layers)).collect()
}

fn told(name: &str, mut of_runs: Vec<f64>, layers: &[Layer]) -> NodeTime {
    of_runs.sort_by(f64::total_cmp);
    let layer = layers.iter().find(|layer| layer.name == name).cloned().unwrap_or_default();
    NodeTime {
        node: name.to_string(),
        op_type: layer.kind,
        from: layer.nodes,
        provider: String::new(),
        seconds: of_runs[of_runs.len() / 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_run_of_each_layer_with_its_nodes() {
        let heard = |a: f32, b: f32| vec![("a + b".to_string(), a), ("c".to_string(), b), ("c".to_string(), b)];
        let layer = Layer {
            name: "a + b".to_string(),
            kind: "gemm".to_string(),
            nodes: vec!["a".to_string(), "b".to_string()],
            ..Layer::default()
        };
        let told = medians(&[heard(9.0, 1.0), heard(2.0, 0.5), heard(1.0, 0.25)], &[layer]);
        let seen: Vec<_> = told.iter().map(|n| (n.node.as_str(), n.op_type.as_str(), n.from.len())).collect();
        assert_eq!(seen, [("a + b", "gemm", 2), ("c", "", 0)]);
        // Twice in a run: added up.
        assert_eq!(told.iter().map(|n| n.seconds).collect::<Vec<_>>(), [2e-3, 1e-3]);
        assert!(medians(&[Vec::new(), Vec::new()], &[]).is_empty());
    }
}
