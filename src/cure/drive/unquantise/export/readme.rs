//! The page that says what the files are for, and what each of them cannot say.

use std::fmt::Write;

use super::Export;
use crate::show::text::story::cure::error;
use crate::terminal::{harmful, short};

pub fn page(e: &Export, unnamed: &[String]) -> String {
    let found = e.overrides;
    let mut text = String::new();
    let _ = writeln!(text, "# Nodes to leave unquantised in {}\n", one_line(&e.candidate.model.path.to_string_lossy()));
    if e.nodes.is_empty() {
        let why = found.why.as_deref().unwrap_or("none are needed");
        let _ = writeln!(text, "None: {}.\n", one_line(why));
    } else {
        let proof = if found.verified {
            "the outputs agree without their pairs, as a run showed"
        } else {
            "not verified by a run"
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{} of {} nodes; {proof}. Relative RMS error of the worst output: {} before, {} after.\n",
            e.nodes.len(),
            found.of,
            error(found.error_before),
            error(found.error_after)
        );
        for group in &found.groups {
            let _ = writeln!(text, "- {}", one_line(group));
        }
        text += &misfits(e);
        text += CURED;
    }
    if !unnamed.is_empty() {
        let names: Vec<String> = unnamed.iter().map(|n| format!("`{}`", one_line(n))).collect();
        let _ = writeln!(
            text,
            "These nodes have no name in the float model, so no quantiser can be told of them: {}. Name them first, or use \
             model.mixed.onnx.\n",
            names.join(", ")
        );
    }
    text + LOSSES
}

/// The tensors that are wrong in themselves.
fn misfits(e: &Export) -> String {
    let lines: String = e.misfits.iter().map(|m| format!("- {}\n", one_line(&m.what))).collect();
    match lines.is_empty() {
        true => lines,
        false => {
            format!("\nCalibrate these tensors again; nothing need be left unquantised for their sake then:\n\n{lines}")
        }
    }
}

const CURED: &str = "
A pair goes when every node that reads it is left unquantised; a quantiser that excludes only one of two readers keeps it.

**model.mixed.onnx** is the quantised model without those pairs; weights are those of the float model.

**ort_quantize.json** (ONNX Runtime; it quantises outputs of nodes too, unless it is told not to, hence the second entry):

    options = json.load(open(\"ort_quantize.json\"))
    quantize_static(float_model, quantised_model, calibration_reader, **options)

If you pass `extra_options` of your own, put them together with those of the file.

**modelopt_quantize.args** (add your calibration data with --calibration_data_path), in bash:

    mapfile -t args < modelopt_quantize.args && python -m modelopt.onnx.quantization \"${args[@]}\"

";

const LOSSES: &str = "**qdq_loss.json**: both errors of every quantised tensor, the largest loss first. `quantisation` is what the pair alone does
to the reference's values; `accumulated` is how far the quantised model's values are from them, null where the search did
not look. `scale_ratio` far below 1 clips, far above 1 wastes steps.

**nodes.json**: the nodes, for scripts.
";

/// No name can start a line of its own or a code span.
fn one_line(text: &str) -> String {
    short(text).chars().map(|c| if harmful(c) || c == '`' { ' ' } else { c }).collect()
}
