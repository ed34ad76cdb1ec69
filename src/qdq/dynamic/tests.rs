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
