//! The page that says what the files are for, and what each of them cannot say.

use super::Export;
use crate::cure::export::readme::{about, coded, command, listed};
use crate::found::words::error;
use crate::show::markdown;
use crate::show::page::{Block, Page, Span, Words};

pub fn page(e: &Export, unnamed: &[String]) -> String {
    let title = format!("Nodes to leave unquantised in {}", e.candidate.model.path.to_string_lossy());
    let mut blocks = found(e);
    if !unnamed.is_empty() {
        let told = Words::from("These nodes have no name in the float model, so no quantiser can be told of them: ");
        blocks.push(Block::Line(told.then(coded(unnamed)).then(". Name them first, or use model.mixed.onnx.")));
    }
    blocks.extend(losses());
    markdown::write(&Page { title: title.into(), blocks, footer: None }, 1)
}

fn found(e: &Export) -> Vec<Block> {
    let found = e.overrides;
    if e.nodes.is_empty() {
        return vec![Block::Line(format!("None: {}.", found.why.as_deref().unwrap_or("none are needed")).into())];
    }
    let proof = match found.verified {
        true => "the outputs agree without their pairs, as a run showed",
        false => "not verified by a run",
    };
    let (nodes, of) = (e.nodes.len(), found.of);
    let (before, after) = (error(found.error_before), error(found.error_after));
    let worth = "Relative RMS error of the worst output";
    let mut blocks =
        vec![Block::Line(format!("{nodes} of {of} nodes; {proof}. {worth}: {before} before, {after} after.").into())];
    blocks.extend(listed(found.groups.iter().cloned()));
    // The tensors that are wrong in themselves.
    if let Some(misfits) = listed(e.misfits.iter().map(|m| m.what.clone())) {
        let again = "Calibrate these tensors again; nothing need be left unquantised for their sake then:";
        blocks.extend([Block::Line(again.into()), misfits]);
    }
    blocks.extend(cured());
    blocks
}

fn cured() -> [Block; 7] {
    let options = Words::from("If you pass ").and(Span::Code("extra_options".into()));
    [
        Block::Line(
            "A pair goes when every node that reads it is left unquantised; a quantiser that excludes only one of two readers \
             keeps it."
                .into(),
        ),
        about(
            "model.mixed.onnx",
            " is the quantised model without those pairs; weights are those of the float model.",
        ),
        about(
            "ort_quantize.json",
            " (ONNX Runtime; it quantises outputs of nodes too, unless it is told not to, hence the second entry):",
        ),
        Block::Code(
            "options = json.load(open(\"ort_quantize.json\"))\n\
             quantize_static(float_model, quantised_model, calibration_reader, **options)"
                .into(),
        ),
        Block::Line(options.then(" of your own, put them together with those of the file.")),
        about("modelopt_quantize.args", " (add your calibration data with --calibration_data_path), in bash:"),
        command("python -m modelopt.onnx.quantization", "modelopt_quantize.args"),
    ]
}

fn losses() -> [Block; 2] {
    let code = |text: &str| Span::Code(text.to_string());
    let told = Words::from(": both errors of every quantised tensor, the largest loss first. ")
        .and(code("quantisation"))
        .then(" is what the pair alone does to the reference's values; ")
        .and(code("accumulated"))
        .then(" is how far the quantised model's values are from them, null where the search did not look. ")
        .and(code("scale_ratio"))
        .then(" far below 1 clips, far above 1 wastes steps.");
    [about("qdq_loss.json", told), about("nodes.json", ": the nodes, for scripts.")]
}
