//! The page that says what the files are for, and what each of them cannot say.

use super::Export;
use crate::cure::export::readme::{coded, command, line, one_line};
use crate::found::words::error;
use crate::show::markdown;
use crate::show::page::{Block, Page, Words};

/// The page as Markdown; `unnamed` are nodes that no quantiser can be told of.
pub fn page(e: &Export, unnamed: &[String]) -> String {
    let title = format!("Nodes to leave unquantised in {}", e.candidate.model.path.to_string_lossy());
    let mut blocks = found(e);
    if !unnamed.is_empty() {
        let told = "These nodes have no name in the float model, so no quantiser can be told of them: ";
        blocks.push(line(Words::from(told).then(coded(unnamed)).then(". Name them first, or use model.mixed.onnx.")));
    }
    blocks.push(line(LOSSES));
    blocks.push(line("**nodes.json**: the nodes, for scripts."));
    markdown::write(&Page { title: title.into(), blocks, footer: None }, 1)
}

fn found(e: &Export) -> Vec<Block> {
    let found = e.overrides;
    if e.nodes.is_empty() {
        return vec![line(format!("None: {}.", one_line(found.why.as_deref().unwrap_or("none are needed"))))];
    }
    let proof = match found.verified {
        true => "the outputs agree without their pairs, as a run showed",
        false => "not verified by a run",
    };
    let (nodes, of, measure) = (e.nodes.len(), found.of, "Relative RMS error of the worst output");
    let (before, after) = (error(found.error_before), error(found.error_after));
    let worth = format!("{nodes} of {of} nodes; {proof}. {measure}: {before} before, {after} after.");
    let mut blocks = vec![line(worth)];
    blocks.extend(Block::list(found.groups.iter().map(|group| one_line(group))));
    // The tensors that are wrong in themselves.
    if let Some(misfits) = Block::list(e.misfits.iter().map(|m| one_line(&m.what))) {
        let again = "Calibrate these tensors again; nothing need be left unquantised for their sake then:";
        blocks.extend([line(again), misfits]);
    }
    blocks.extend(cured());
    blocks
}

fn cured() -> [Block; 7] {
    [
        line(
            "A pair goes when every node that reads it is left unquantised; a quantiser that excludes only one of two readers \
             keeps it.",
        ),
        line("**model.mixed.onnx** is the quantised model without those pairs; weights are those of the float model."),
        line(
            "**ort_quantize.json** (ONNX Runtime; it quantises outputs of nodes too, unless it is told not to, hence the \
             second entry):",
        ),
        Block::Code(QUANTIZE.into()),
        line("If you pass `extra_options` of your own, put them together with those of the file."),
        line("**modelopt_quantize.args** (add your calibration data with --calibration_data_path), in bash:"),
        command("python -m modelopt.onnx.quantization", "modelopt_quantize.args"),
    ]
}

const QUANTIZE: &str = "options = json.load(open(\"ort_quantize.json\"))
quantize_static(float_model, quantised_model, calibration_reader, **options)";

const LOSSES: &str = "**qdq_loss.json**: both errors of every quantised tensor, the largest loss first. `quantisation` is what \
                      the pair alone does to the reference's values; `accumulated` is how far the quantised model's values \
                      are from them, null where the search did not look. `scale_ratio` far below 1 clips, far above 1 wastes \
                      steps.";
