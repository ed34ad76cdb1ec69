use prost::Message;

use super::*;
use crate::graph::lines;
use crate::inspect::file::File;
use crate::inspect::types;
use crate::load::Links;
use crate::onnx::{GraphProto, OperatorSetIdProto, ValueInfoProto};
use crate::tensor::DType;

/// What a parser does that takes everything but nodes of some operators.
#[derive(Clone, Copy, Default)]
struct Parser {
    refuses: &'static [&'static str],
    /// It does not say which node it means.
    nameless: bool,
    /// It takes no model of more nodes.
    most: usize,
}

impl Parser {
    /// It stops at the first.
    fn parse(self, model: &ModelProto) -> Vec<Complaint> {
        let graph = model.graph.as_ref().unwrap();
        let refused = graph.node.iter().find(|node| self.refuses.contains(&node.op_type()));
        let named = |name: &str| Some(name.to_string()).filter(|_| !self.nameless);
        let long = self.most > 0 && graph.node.len() > self.most;
        let first = refused.map(|node| Complaint { node: named(node.name()), words: format!("no {}", node.op_type()) });
        first.or(long.then(|| Complaint { node: None, words: "too long".into() })).into_iter().collect()
    }
}

/// Every input is a float32 of 2x4, and so is every output.
fn found(text: &str, parser: Parser) -> ParserFacts {
    let lines = lines::read(text);
    let port = |name: &String| ValueInfoProto::tensor(name, DType::Float32, &[2, 4]);
    let graph = GraphProto {
        name: Some("g".into()),
        node: lines.nodes.clone(),
        input: lines.inputs.iter().map(port).collect(),
        output: lines.ends.iter().map(port).collect(),
        ..Default::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(17) }];
    let model = ModelProto { ir_version: Some(8), opset_import, graph: Some(graph), ..Default::default() };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    let File::Model(source) = File::open(&path, Links::Inside).unwrap() else { panic!("no model") };
    let typing = types::typing(&source, None, &[]);
    refusals(&source, &model, &typing, &mut |cut| Ok(parser.parse(cut))).unwrap()
}

/// `OPERATOR: asked + alike`, what is taken, what is not asked about, and how often it was asked.
fn check(text: &str, parser: Parser, refused: &[&str], taken: usize, unasked: &[&str], questions: usize) {
    let facts = found(text, parser);
    let told = |r: &Refusal| format!("{}: {} + {}", r.op_type, r.nodes.join(" "), r.alike.join(" "));
    assert_eq!(facts.refused.iter().map(told).collect::<Vec<_>>(), refused, "{text}");
    assert_eq!((facts.taken, facts.questions), (taken, questions), "{text}");
    assert_eq!(facts.unasked, unasked, "{text}");
}

#[test]
fn what_the_first_refusal_hides_is_found() {
    let refuses = |refuses| Parser { refuses, ..Parser::default() };
    let chain = "a = Relu(x); b = Neg(a); c = Abs(b); d = Neg(c)";
    check(chain, refuses(&[]), &[], 4, &[], 1);
    check(chain, refuses(&["Neg"]), &["Neg: make_b + make_d"], 2, &[], 2);
    check(chain, refuses(&["Neg", "Abs"]), &["Neg: make_b + make_d", "Abs: make_c + "], 1, &[], 3);
    check(
        chain,
        refuses(&["Neg", "Abs", "Relu"]),
        &["Relu: make_a + ", "Neg: make_b + make_d", "Abs: make_c + "],
        0,
        &[],
        3,
    );
    // Nodes of one name are told apart.
    let same = "n: a = Neg(x); n: b = Abs(a)";
    check(same, refuses(&["Abs"]), &["Abs: n + "], 1, &[], 2);
    // Of another shape it is another question.
    check(
        "a = Neg(x); b = ReduceMean(a); c = Neg(b); d = Add(c, x)",
        refuses(&["Neg"]),
        &["Neg: make_a make_c + "],
        2,
        &[],
        3,
    );
}

#[test]
fn what_nobody_knows_the_type_of_is_not_asked_about() {
    let parser = Parser { refuses: &["Frob"], ..Parser::default() };
    check(
        "a = Relu(x); b = Frob(a); c = Abs(b); d = Neg(c); e = Neg(a)",
        parser,
        &["Frob: make_b + "],
        2,
        &["make_c", "make_d"],
        2,
    );
}

#[test]
fn a_complaint_about_no_node_is_asked_of_each_alone() {
    let nameless = Parser { refuses: &["Neg"], nameless: true, ..Parser::default() };
    let facts = found("a = Relu(x); b = Neg(a); c = Abs(b)", nameless);
    assert!(facts.refused[0].alone && facts.refused[0].nodes == ["make_b"] && facts.model.is_empty(), "{facts:?}");
    assert_eq!((facts.taken, facts.questions), (2, 5));
    // What no node alone is to blame for is said of the model.
    let facts = found("a = Relu(x); b = Neg(a); c = Abs(b)", Parser { most: 2, ..Parser::default() });
    assert_eq!((facts.refused.len(), facts.model, facts.taken), (0, vec!["too long".to_string()], 0));
}
