//! An engine on the terminal.

use super::table::{bindings, row, some, titles};
use crate::inspect::engine::types;
use crate::inspect::facts::{Count, EngineFacts};
use crate::run::Layer;
use crate::show::text::paint::{Ink, Page, left};
use crate::show::text::words::{bytes, clean, plural};

/// Fusions told; `--nodes` lists all layers.
const FUSIONS: usize = 8;

pub fn draw(page: &mut Page, engine: &EngineFacts, all: bool) {
    let (layers, size) = (plural(engine.layers.len(), "layer"), bytes(engine.bytes));
    page.headline(Ink::Bold, "engine", &format!("{}, {layers}, {size}", clean(&engine.path)));
    page.field(Ink::Dim, "read by", &format!("{}, {}", clean(&engine.version), clean(&engine.library)));
    if let Some(memory) = engine.device_memory {
        page.field(
            Ink::Dim,
            "memory",
            &format!("{} on the device for a run, besides inputs, outputs and weights", bytes(memory)),
        );
    }
    page.field(Ink::Dim, "profiles", &plural(engine.profiles, "profile"));
    counts(page, "layers", &engine.kinds);
    counts(page, "precision", &engine.precisions);
    nodes(page, engine);
    bindings(page, &engine.inputs, &engine.outputs);
    if all {
        list(page, &engine.layers);
    }
}

fn counts(page: &mut Page, label: &str, counts: &[Count]) {
    if !counts.is_empty() {
        let texts: Vec<String> = counts.iter().map(|c| format!("{} {}", c.count, clean(&c.name))).collect();
        page.field(Ink::Dim, label, &texts.join(", "));
    }
}

fn nodes(page: &mut Page, engine: &EngineFacts) {
    if engine.nodes == 0 && !engine.layers.is_empty() {
        let why = "unknown: the engine was built without detailed profiling verbosity (trtexec --profilingVerbosity=detailed)";
        return page.field(Ink::Yellow, "nodes", why);
    }
    let fused: Vec<&Layer> = engine.layers.iter().filter(|l| l.nodes.len() > 1).collect();
    let (nodes, fusions) = (plural(engine.nodes, "ONNX node"), plural(fused.len(), "layer"));
    page.field(Ink::Dim, "fusions", &format!("{nodes}, several of them fused in each of {fusions}"));
    for layer in fused.iter().take(FUSIONS) {
        page.field(Ink::Dim, "", &format!("{}: {}", clean(&types(&layer.types)), some(&layer.nodes, 12)));
    }
    if fused.len() > FUSIONS {
        page.field(Ink::Dim, "", &format!("and {} more; --nodes lists all layers", fused.len() - FUSIONS));
    }
}

fn list(page: &mut Page, layers: &[Layer]) {
    let mut rows = vec![titles(["layer", "kind", "type", "nodes"].map(left).into_iter().collect())];
    rows.extend(layers.iter().map(|l| {
        row(vec![left(clean(&l.name)), left(clean(&l.kind)), left(clean(&types(&l.types))), left(some(&l.nodes, 12))])
    }));
    page.blank();
    page.table(&rows, &[0, 3]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::engine::sample;
    use crate::tensor::DType;

    #[test]
    fn an_engine_is_drawn() {
        let mut page = Page::new(false, 100);
        draw(&mut page, &sample::engine(DType::Float32, [vec![1, 3], vec![4, 3], vec![8, 3]]), true);
        let want = "\
engine: model.plan, 3 layers, 4.1 kB
  read by      TensorRT 10.16.0, libnvinfer.so.10
  memory       1.0 MB on the device for a run, besides inputs, outputs and weights
  profiles     1 profile
  layers       1 CaskConvolution, 1 MatrixMultiply, 1 Reformat
  precision    2 Float, 1 Half
  fusions      3 ONNX nodes, several of them fused in each of 1 layer
               Half: conv, relu

  input   type          profile 0: smallest, usual, largest
  x       float32[?,3]  1x3, 4x3, 8x3

  output  type
  y       float32[?,2]

  layer        kind             type   nodes
  conv + relu  CaskConvolution  Half   conv, relu
  fc           MatrixMultiply   Float  fc
  Reformat     Reformat         Float
";
        assert_eq!(page.text, want);
    }
}
