//! An engine on the terminal.

use super::table::{bindings, some, table};
use super::{headed, under};
use crate::found::words::{bytes, clean, plural};
use crate::inspect::engine::types;
use crate::inspect::facts::{Count, EngineFacts};
use crate::run::Layer;
use crate::show::page::{Block, ColumnKind, Fact, Role};

/// Fusions told; `--nodes` lists all layers.
const FUSIONS: usize = 8;

/// Everything that is known of the engine; `all` lists its layers.
pub fn blocks(engine: &EngineFacts, all: bool) -> Vec<Block> {
    let (layers, size) = (plural(engine.layers.len(), "layer"), bytes(engine.bytes));
    let mut facts = vec![Fact::new("read by", format!("{}, {}", engine.version, engine.library))];
    if let Some(memory) = engine.device_memory {
        let text = format!("{} on the device for a run, besides inputs, outputs and weights", bytes(memory));
        facts.push(Fact::new("memory", text));
    }
    facts.push(Fact::new("profiles", plural(engine.profiles, "profile")));
    facts.extend(counts("layers", &engine.kinds));
    facts.extend(counts("precision", &engine.precisions));
    facts.extend(nodes(engine));
    let mut blocks = vec![headed(Role::Strong, "engine", format!("{}, {layers}, {size}", clean(&engine.path)), facts)];
    blocks.extend(bindings(&engine.inputs, &engine.outputs));
    if all {
        blocks.extend(list(&engine.layers));
    }
    blocks
}

fn counts(name: &str, counts: &[Count]) -> Option<Fact> {
    let texts: Vec<String> = counts.iter().map(|c| format!("{} {}", c.count, clean(&c.name))).collect();
    (!counts.is_empty()).then(|| Fact::new(name, texts.join(", ")))
}

fn nodes(engine: &EngineFacts) -> Vec<Fact> {
    if engine.nodes == 0 && !engine.layers.is_empty() {
        let why = "unknown: the engine was built without detailed profiling verbosity (trtexec --profilingVerbosity=detailed)";
        return vec![Fact::doubtful("nodes", why)];
    }
    let fused: Vec<&Layer> = engine.layers.iter().filter(|l| l.nodes.len() > 1).collect();
    let (nodes, fusions) = (plural(engine.nodes, "ONNX node"), plural(fused.len(), "layer"));
    let first = format!("{nodes}, several of them fused in each of {fusions}");
    let told = fused.iter().take(FUSIONS).map(|l| format!("{}: {}", types(&l.types), some(&l.nodes, 12)));
    let more = fused.len().saturating_sub(FUSIONS);
    let more = (more > 0).then(|| format!("and {more} more; --nodes lists all layers"));
    under(Role::Dim, "fusions", [first].into_iter().chain(told).chain(more)).collect()
}

fn list(layers: &[Layer]) -> [Block; 2] {
    use ColumnKind::{Name, Words};
    let columns = [(Name, "layer"), (Words, "kind"), (Words, "type"), (Name, "nodes")];
    let row = |l: &Layer| [l.name.clone(), l.kind.clone(), types(&l.types), some(&l.nodes, 12)];
    table(columns, layers.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::engine::sample;
    use crate::show::page::Page;
    use crate::show::text;
    use crate::tensor::DType;

    #[test]
    fn an_engine_is_drawn() {
        let engine = sample::engine(DType::Float32, [vec![1, 3], vec![4, 3], vec![8, 3]]);
        let page = Page { blocks: blocks(&engine, true), ..Page::default() };
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
        assert_eq!(text::write(&page, false, 100), want);
    }
}
