//! Keywords of ONNX Runtime's quantiser, which makes a QDQ model of the float one without these nodes.

use serde_json::json;

use super::Told;
use crate::cure::export::{Content, Export, line, pretty};
use crate::qdq::Exclusions;
use crate::show::page::Block;

/// For `onnxruntime.quantization.quantize_static`, where there is a cure.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "onnxruntime",
        file: "ort_quantize.json",
        content: |told| match told.cured() {
            true => Ok(Some(Content::Text(keywords(&told.excluded)?))),
            false => Ok(None),
        },
        section: |_| vec![line(SECTION), Block::Code(QUANTIZE.into()), line(OPTIONS)],
    }
}

const SECTION: &str = "**ort_quantize.json** (ONNX Runtime; it quantises outputs of nodes too, unless it is told not to, \
                       hence the second entry):";

const QUANTIZE: &str = "\
options = json.load(open(\"ort_quantize.json\"))
quantize_static(float_model, quantised_model, calibration_reader, **options)";

const OPTIONS: &str = "If you pass `extra_options` of your own, put them together with those of the file.";

/// Keywords of `onnxruntime.quantization.quantize_static`.
fn keywords(told: &Exclusions) -> anyhow::Result<String> {
    pretty(&json!({
        "nodes_to_exclude": told.ort,
        "extra_options": {"OpTypesToExcludeOutputQuantization": told.makers},
    }))
}
