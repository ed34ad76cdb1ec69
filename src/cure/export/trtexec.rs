//! Arguments for trtexec of TensorRT 8 and 10, one a line. Names are exact: wildcards hit more than they should.

use std::borrow::Cow;

use super::{Content, Export, Kept, Told, coded, command, line};
use crate::show::page::{Block, Words};
use crate::spec::Precision;

/// Linux takes no longer single argument.
const LONGEST_ARGUMENT: usize = 128 << 10;

struct Arguments {
    text: String,
    /// Names that trtexec has no way to write.
    refused: Vec<String>,
}

/// For trtexec, in FP16 and BF16.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "trtexec",
        file: "trtexec.args",
        content: |told| Ok(told.has_arguments().then(|| Content::Text(told_arguments(told).text))),
        section,
    }
}

fn told_arguments(told: &Told) -> Arguments {
    arguments(&told.onnx, told.o.low, &told.kept)
}

fn section(told: &Told) -> Vec<Block> {
    let begin = line("**trtexec.args** (TensorRT 8 to 10; 11 has no such flags):");
    let mut blocks = vec![begin, command("trtexec", "trtexec.args")];
    let refused = told_arguments(told).refused;
    if !refused.is_empty() {
        blocks.push(line(Words::from(REFUSED).then(coded(&refused)).then(". Use trt_network.py.")));
    }
    if told.kept.iter().map(|k| k.name.len() + 8).sum::<usize>() > LONGEST_ARGUMENT {
        blocks.push(line("The list of layers is longer than one argument may be on Linux: use trt_network.py."));
    }
    blocks
}

const REFUSED: &str = "trtexec has no way to write names with a comma, a quote, an asterisk or a control character. It is \
                       not told of: ";

fn arguments(onnx: &str, low: Precision, kept: &[Kept]) -> Arguments {
    let specs: Vec<(&Kept, Option<Cow<str>>)> = kept.iter().map(|k| (k, spelled(&k.name))).collect();
    let list = |wanted: &dyn Fn(&Kept) -> bool| {
        let each =
            specs.iter().filter(|(k, _)| wanted(k)).filter_map(|(_, spec)| Some(format!("{}:fp32", spec.as_ref()?)));
        each.collect::<Vec<_>>().join(",")
    };
    // Without --noTF32, what is "fp32" multiplies with 10 bits of mantissa.
    let mut lines = vec![format!("--onnx={onnx}"), format!("--{low}"), "--noTF32".to_string()];
    // trtexec gives a named layer's type to all its outputs: to none where one of them is an index or a flag.
    let (precisions, outputs) = (list(&|_| true), list(&|k| k.float));
    if !precisions.is_empty() {
        lines.push("--precisionConstraints=obey".to_string());
        lines.push(format!("--layerPrecisions={precisions}"));
    }
    if !outputs.is_empty() {
        lines.push(format!("--layerOutputTypes={outputs}"));
    }
    let refused = specs.iter().filter(|(_, spec)| spec.is_none()).map(|(k, _)| k.name.clone()).collect();
    Arguments { text: lines.join("\n") + "\n", refused }
}

/// A layer name as trtexec reads it back: it splits at commas first, takes what is between two quotes as it is, else ends
/// the name at the last colon, and reads `*` as a wildcard.
fn spelled(name: &str) -> Option<Cow<'_, str>> {
    if name.contains([',', '\'', '*']) || name.contains(char::is_control) {
        return None;
    }
    Some(if name.contains(':') { format!("'{name}'").into() } else { name.into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(name: &str, float: bool) -> Kept {
        let op_type = "Add".to_string();
        Kept { number: 0, name: name.into(), op_type, outputs: vec![], index: 0, subgraph: None, float }
    }

    #[test]
    fn one_argument_a_line() {
        let kept = [kept("a", true), kept("/b:0 c", true), kept("top", false), kept("d,e", true), kept("f*", true)];
        let got = arguments("m.onnx", Precision::Fp16, &kept);
        let want = "--onnx=m.onnx\n--fp16\n--noTF32\n--precisionConstraints=obey\n\
                    --layerPrecisions=a:fp32,'/b:0 c':fp32,top:fp32\n--layerOutputTypes=a:fp32,'/b:0 c':fp32\n";
        assert_eq!((got.text.as_str(), got.refused), (want, vec!["d,e".to_string(), "f*".to_string()]));
    }

    #[test]
    fn nothing_to_keep_is_no_constraint() {
        assert_eq!(arguments("m.onnx", Precision::Bf16, &[kept("*", true)]).text, "--onnx=m.onnx\n--bf16\n--noTF32\n");
    }

    /// What trtexec makes of an argument of its list (samples/common/sampleOptions.cpp, splitNameAndValue).
    fn read(spec: &str) -> (String, String) {
        let quoted: Vec<&str> = spec.split('\'').collect();
        if quoted.len() == 1 {
            let (name, value) = spec.rsplit_once(':').unwrap();
            return (name.to_string(), value.to_string());
        }
        assert_eq!(quoted.len(), 3);
        (quoted[0].to_string() + quoted[1], quoted[2][1..].to_string())
    }

    proptest! {
        #[test]
        fn trtexec_reads_the_names_back(names in prop::collection::vec("[a-c:,'* \n\"é+=./]{1,6}", 0..6)) {
            let kept: Vec<Kept> = names.iter().map(|n| kept(n, true)).collect();
            let got = arguments("m", Precision::Fp16, &kept);
            let line = got.text.lines().find_map(|l| l.strip_prefix("--layerPrecisions="));
            let back: Vec<String> = line.map_or(vec![], |l| l.split(',').map(|s| read(s).0).collect());
            let want: Vec<&String> = names.iter().filter(|n| !got.refused.contains(n)).collect();
            prop_assert_eq!(back.iter().collect::<Vec<_>>(), want);
            prop_assert!(got.refused.iter().all(|n| n.contains([',', '\'', '*', '\n'])));
            prop_assert!(got.text.lines().all(|l| l.starts_with("--")));
        }
    }
}
