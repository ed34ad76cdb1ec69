//! Small quantised graphs, and what they are with units left unquantised.
use super::*;
#[test]
fn debug_it() {
    let model = crate::load::Model::load(std::path::Path::new("/tmp/w/dynk/dynamic/quantised.onnx")).unwrap();
    let graph = crate::graph::Graph::new(&model.proto).unwrap();
    for u in units(&model, &graph) {
        println!("{} {:?}", graph.nodes[u.node].name, u.float);
        for (s, w) in u.weights() {
            println!("  {s} {} {:?} {:?}", w.name, w.shape(), w.floats().is_some());
        }
    }
}
#[test]
fn debug_two() {
    let load = |n: &str| crate::load::Model::load(std::path::Path::new(n)).unwrap();
    let (model, float) = (load("/tmp/w/dynk/dynamic/quantised.onnx"), load("/tmp/w/dynk/dynamic/model.onnx"));
    let graph = crate::graph::Graph::new(&model.proto).unwrap();
    let theirs = crate::graph::Graph::new(&float.proto).unwrap();
    let u = units(&model, &graph);
    let r = Partners::new(&float, &theirs).restored(&u, (&model, &graph));
    let all: Vec<_> = u.iter().zip(&r).filter_map(|(u, r)| Some((u, r.as_ref()?))).collect();
    for n in &without_units(&model.proto, &graph, &all).graph.unwrap().node {
        println!("{} {} {:?} {:?}", n.op_type(), n.name(), n.input, n.output);
    }
}
