//! Checks on operators: modes of training, eps that FP16 loses, resizing that runtimes do differently, shapes that depend on data.

use super::Found;
use super::graph::each_named;
use crate::inspect::facts::Severity;
use crate::inspect::file::Source;
use crate::inspect::types::Typing;
use crate::onnx::NodeProto;
use crate::tensor::DType;

/// Half of the smallest subnormal FP16 rounds to 0; what is this small has one digit left. The usual 1e-5 has three.
const VANISHES: f32 = 2.980_232_2e-8;
const SMALL: f32 = 1.01e-6;
/// Results whose size is known only when they are there.
const DYNAMIC: [&str; 6] = ["NonZero", "Unique", "NonMaxSuppression", "Compress", "StringSplit", "SequenceAt"];

/// Nodes by operator and attributes.
pub fn checks(source: &Source, typing: &Typing, found: &mut Found) {
    let Some(main) = source.main() else { return };
    let mut all: Vec<(String, String, &NodeProto)> = Vec::new();
    each_named(main, "", &mut |name, prefix, node| all.push((name, prefix.to_string(), node)));
    let named = |is: &dyn Fn(&NodeProto) -> bool| -> Vec<String> {
        all.iter().filter(|(_, _, node)| is(node)).map(|(name, ..)| name.clone()).collect()
    };
    training(&named, found);
    eps(&named, found);
    resizing(&named, found);
    found.places(
        (Severity::Info, "dynamic_output"),
        named(&|n| DYNAMIC.contains(&n.op_type()) || n.is("Loop")),
        "the size of its result depends on data: engines reserve for the worst case, or run it elsewhere",
        "take it out of the model, or give it a fixed number of results",
    );
    let doubles = all.iter().filter(|(_, prefix, node)| {
        let made = node.output.iter().filter(|o| !o.is_empty());
        !node.is("Constant") && made.into_iter().any(|o| typing.of(prefix, o) == Some(DType::Float64))
    });
    found.places(
        (Severity::Warning, "float64_node"),
        doubles.map(|(name, ..)| name.clone()).collect(),
        "it computes in float64: devices make float32 of it, or run it on the CPU",
        "export that part in float32",
    );
    let foreign = |n: &NodeProto| {
        let own = source.proto.functions.iter().any(|f| f.name() == n.op_type() && f.domain() == n.domain());
        !matches!(n.domain(), "" | "ai.onnx") && !own
    };
    let foreign = all.iter().filter(|(_, _, n)| foreign(n)).map(|(_, _, n)| format!("{}.{}", n.domain(), n.op_type()));
    found.places(
        (Severity::Warning, "foreign_operator"),
        foreign.collect(),
        "an operator that is not ONNX's own: only runtimes that know it take the model",
        "export without it, or bring a plugin",
    );
}

type Named<'a> = &'a dyn Fn(&dyn Fn(&NodeProto) -> bool) -> Vec<String>;

fn training(named: Named, found: &mut Found) {
    let mode = |n: &NodeProto| n.attr("training_mode").is_some_and(|a| a.i() != 0);
    // Before opset 14 the other outputs are those of training.
    let outputs = |n: &NodeProto| n.output.iter().filter(|o| !o.is_empty()).count();
    found.places(
        (Severity::Error, "batch_norm_training"),
        named(&|n| n.is("BatchNormalization") && (mode(n) || outputs(n) > 1)),
        "BatchNormalization in training mode: it normalises by the batch at hand, so results depend on what else is in it",
        "export with model.eval()",
    );
    found.places(
        (Severity::Warning, "dropout_training"),
        named(&|n| n.is("Dropout") && n.input.get(2).is_some_and(|mode| !mode.is_empty())),
        "Dropout with a training mode: where that is true, results are random",
        "export with model.eval()",
    );
    let random = |n: &NodeProto| n.op_type().starts_with("Random") || n.is("Bernoulli") || n.is("Multinomial");
    found.places(
        (Severity::Warning, "random"),
        named(&random),
        "results are random: no two runs agree, whatever the runtime",
        "feed the numbers as an input",
    );
}

fn eps(named: Named, found: &mut Found) {
    let eps = |n: &NodeProto| n.attr("epsilon").map(|a| a.f()).filter(|eps| *eps > 0.0);
    found.places(
        (Severity::Warning, "eps_vanishes"),
        named(&|n| eps(n).is_some_and(|eps| eps <= VANISHES)),
        "its eps is 0 in FP16: a variance of 0 gives Inf or NaN",
        "export with an eps of 1e-5, or keep the node in FP32",
    );
    found.places(
        (Severity::Info, "eps_small"),
        named(&|n| eps(n).is_some_and(|eps| eps > VANISHES && eps < SMALL)),
        "its eps is subnormal in FP16: a device that flushes such numbers to 0 makes 0 of it",
        "keep the node in FP32 where variances are small",
    );
}

fn resizing(named: Named, found: &mut Found) {
    let text = |n: &NodeProto, name: &str| n.attr(name).map(|a| String::from_utf8_lossy(a.s()).into_owned());
    let is = |n: &NodeProto| n.is("Resize") || n.is("Upsample");
    let transformation = |n: &NodeProto| text(n, "coordinate_transformation_mode").unwrap_or_default();
    found.places(
        (Severity::Warning, "resize_crop"),
        named(&|n| is(n) && transformation(n).starts_with("tf_")),
        "Resize with tf_crop_and_resize or another mode of TensorFlow's: many runtimes do not have it, or do it differently",
        "crop before the model, or export with half_pixel or asymmetric",
    );
    found.places(
        (Severity::Warning, "resize_antialias"),
        named(&|n| is(n) && n.attr("antialias").is_some_and(|a| a.i() != 0)),
        "Resize with antialias: most device runtimes ignore it, and results differ where sizes shrink",
        "resize before the model",
    );
    found.places(
        (Severity::Info, "resize_cubic"),
        named(&|n| is(n) && text(n, "mode").as_deref() == Some("cubic")),
        "Resize by cubic interpolation: coefficients and borders differ between runtimes",
        "compare it on the device, or use linear",
    );
    let nearest = |n: &NodeProto| matches!(text(n, "mode").as_deref(), None | Some("nearest"));
    let usual =
        |n: &NodeProto| transformation(n) == "asymmetric" && text(n, "nearest_mode").as_deref() == Some("floor");
    found.places(
        (Severity::Info, "resize_nearest"),
        named(&|n| n.is("Resize") && nearest(n) && !usual(n)),
        "Resize to the nearest element in another way than asymmetric and floor: ties fall on other sides elsewhere",
        "export with asymmetric and floor where the result is the same",
    );
}
