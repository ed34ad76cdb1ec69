//! How it was found: the run, the data, the machine, the reproducers, and the command to see it again. Each fact is said by
//! one function; the orders of them are a medium's.

use super::{Density, cure, engine, fusion, judged, placement, session};
use crate::found::words::{bytes, clean, count, plural, seconds, setting, shell, type_of};
use crate::found::{InputTensor, InputsInfo, Reduced, Report};
use crate::show::page::{Block, Fact, Facts, FactsKind, Role, Span, Words};

/// Nodes that are named.
const NAMED: usize = 6;

/// On a terminal, with what was made of the fault.
pub fn short(report: &Report) -> [Block; 2] {
    let mut facts = judged::facts(report);
    facts.extend([search(report), tolerance(report), inputs(&report.inputs)]);
    let chosen = |why: &String| format!("{}, chosen because {why}", report.candidate.told());
    facts.extend(report.candidate.why.iter().map(|why| Fact::new("candidate", chosen(why))));
    facts.extend(session::facts(report, Density::Short));
    facts.extend(placement::facts(report));
    facts.extend(engine::trust(report));
    let all = reproducers(report);
    for reduced in all {
        let role = if reduced.reproduces { Role::Dim } else { Role::Doubt };
        facts.push(Fact { role, ..Fact::new("reduced", worth(reduced, all.len())) });
        facts.push(Fact::strong("", Span::Code(command(reduced))));
        facts.extend(reduced.why.iter().map(|why| Fact::new("", why.clone())));
    }
    facts.extend(report.overrides.iter().flat_map(cure::short));
    facts.extend(engine::routes(report));
    facts.extend(fusion::facts(report));
    [Block::Gap, Block::facts(facts)]
}

/// In a ticket: how to see it again.
pub fn reproduce(report: &Report) -> Block {
    let mut facts = Vec::new();
    let all = reproducers(report);
    for reduced in all {
        let why = reduced.why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
        let path = Words::from(Span::Code(reduced.path.clone()));
        facts.push(Fact::new("reduced model", path.then(format!(": {}{why}", worth(reduced, all.len())))));
        facts.push(Fact::new("shown by", Span::Code(command(reduced))));
    }
    facts.push(inputs(&report.inputs));
    facts.extend(report.inputs.tensors.iter().map(input));
    facts.push(tolerance(report));
    facts.extend(session::facts(report, Density::Ticket));
    facts.extend(engine::trust(report));
    facts.extend(engine::routes(report));
    facts.extend(fusion::facts(report));
    facts.push(search(report));
    let command = (!report.command.is_empty()).then(|| Block::Command(shell(&report.command)));
    Block::section("How to reproduce", command.into_iter().chain([Block::facts(facts)]).collect())
}

/// In a ticket: on what.
pub fn environment(report: &Report) -> Block {
    let model = &report.model;
    let graph = format!("{}, {} of weights", graph(report), bytes(model.initializer_bytes));
    let mut rows = vec![
        Fact::new("model", model.path.clone()),
        Fact::new("", graph),
        Fact::new("sha256", model.sha256.clone()),
        Fact::new("reference", report.reference.described()),
        Fact::new("candidate", report.candidate.described()),
    ];
    rows.extend(machine(report));
    let facts = Facts { kind: FactsKind::Values, rows: told(rows), ..Facts::default() };
    Block::section("Environment", vec![Block::Facts(facts)])
}

/// Everything of it, in a browser.
pub fn found(report: &Report) -> Block {
    let mut run = vec![search(report), tolerance(report), inputs(&report.inputs)];
    run.extend(report.inputs.tensors.iter().map(input));
    run.push(Fact::new("reference", report.reference.described()));
    run.push(Fact::new("candidate", report.candidate.described()));
    run.extend(report.candidate.why.iter().map(|why| Fact::new("chosen because", why.clone())));
    run.extend(session::facts(report, Density::Full));
    run.extend(engine::trust(report));
    run.extend(engine::routes(report));
    run.extend(fusion::facts(report));
    run.push(Fact::new("whole run", seconds(report.seconds)));
    let model = &report.model;
    let mut machine_rows = vec![
        Fact::new("model", model.path.clone()),
        Fact::new("sha256", model.sha256.clone()),
        Fact::new("graph", graph(report)),
        Fact::new("weights", bytes(model.initializer_bytes)),
    ];
    machine_rows.extend(machine(report));
    machine_rows.push(Fact::new("layerdiff", report.layerdiff.clone()));
    let all = reproducers(report);
    let reproducer = all.iter().flat_map(|reduced| {
        [
            Fact::new("reduced model", worth(reduced, all.len())),
            Fact::new("file", reduced.path.clone()),
            Fact::new("shown by", Span::Code(command(reduced))),
            Fact::new("note", reduced.why.clone().unwrap_or_default()),
        ]
    });
    let several = if all.len() == 1 { "Reproducer" } else { "Reproducers" };
    let columns = [("Run", run), ("Model and machine", machine_rows), (several, reproducer.collect())];
    let columns = columns.into_iter().filter(|(_, rows)| !rows.is_empty());
    let columns = columns.map(|(title, rows)| Facts { title: title.into(), rows: told(rows), ..Facts::default() });
    Block::section("How it was found", vec![Block::Columns(columns.collect())])
}

/// The command, in a browser.
pub fn again(report: &Report) -> Option<Block> {
    let command = Block::Command(shell(&report.command));
    (!report.command.is_empty()).then(|| Block::section("Run it again", vec![command]))
}

/// Those that are known.
fn told(facts: Vec<Fact>) -> Vec<Fact> {
    facts.into_iter().filter(|fact| !fact.value.is_empty()).collect()
}

fn graph(report: &Report) -> String {
    format!("opset {}, {}", report.model.opset, plural(report.model.nodes, "node"))
}

fn machine(report: &Report) -> Vec<Fact> {
    let e = &report.environment;
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    vec![
        Fact::new("os", e.os.clone()),
        Fact::new("cpu", e.cpu.clone()),
        Fact::new("gpu", optional(&e.gpu)),
        Fact::new("ONNX Runtime", e.onnxruntime.clone()),
        Fact::new("CUDA", optional(&e.cuda)),
        Fact::new("TensorRT", optional(&e.tensorrt)),
    ]
}

/// `bisect: 4 runs of the candidate, 1 of the reference; 12 tensors compared, 1 not compared; 118 ms`.
pub fn search(report: &Report) -> Fact {
    let s = &report.search;
    let strategy = if s.strategy.is_empty() { String::new() } else { format!("{}: ", s.strategy) };
    if report.candidate.check.is_some() {
        let text = format!("{strategy}{}; {}", plural(checks(report), "check"), seconds(report.seconds));
        return Fact::new("search", text);
    }
    // Mostly a build is run once, and then its number says nothing.
    let builds = match s.candidate_builds == s.candidate_runs {
        true => String::new(),
        false => format!("{} and ", plural(s.candidate_builds, "build")),
    };
    let mut text = format!(
        "{strategy}{builds}{} of the candidate, {} of the reference; {} compared, {} not compared; {}",
        plural(s.candidate_runs, "run"),
        count(s.reference_runs as u64),
        plural(s.tensors_compared, "tensor"),
        count(s.tensors_not_compared as u64),
        seconds(s.seconds)
    );
    if s.perturbed {
        text += "; marking tensors changed the candidate's own outputs";
    }
    Fact::new("search", text)
}

/// Runs of the user's command that are told of.
pub fn checks(report: &Report) -> usize {
    let probes = reproducers(report).iter().map(|r| r.probes).sum();
    report.search.candidate_runs.max(probes)
}

/// `atol 0.005, rtol 0.01 (auto for fp16)`.
pub fn tolerance(report: &Report) -> Fact {
    let t = &report.tolerance;
    let text = match (report.candidate.check.is_some(), t.why.is_empty()) {
        (true, true) => "the command decides".into(),
        (true, false) => t.why.clone(),
        (false, true) => format!("atol {}, rtol {}", setting(t.atol.0), setting(t.rtol.0)),
        (false, false) => format!("atol {}, rtol {} ({})", setting(t.atol.0), setting(t.rtol.0), t.why),
    };
    Fact::new("tolerance", text)
}

/// `synthetic (seed 0), 1 sample`.
fn inputs(inputs: &InputsInfo) -> Fact {
    let source = if inputs.source.is_empty() { "unknown" } else { &inputs.source };
    Fact::new("inputs", format!("{source}, {}", plural(inputs.samples, "sample")))
}

fn input(input: &InputTensor) -> Fact {
    let name = Words::from(Span::Code(input.name.clone()));
    Fact::new("input", name.then(format!(" {}", type_of(&input.dtype, &input.shape))))
}

/// One for each independent fault.
fn reproducers(report: &Report) -> &[Reduced] {
    if report.reproducers.is_empty() { report.reduced.as_slice() } else { &report.reproducers }
}

/// `1 node ("erf_3"), 12.3 kB; reproduces from disk: yes; 1-minimal; 17 probes, 1.32 s`. Among several, each says of which
/// tensor it is.
fn worth(reduced: &Reduced, among: usize) -> String {
    let mut parts = vec![size(reduced)];
    parts.push(if reduced.reproduces { "reproduces from disk: yes" } else { "reproduces from disk: NO" }.to_string());
    if reduced.minimal {
        parts.push("1-minimal".to_string());
    }
    parts.push(format!("{}, {}", plural(reduced.probes, "probe"), seconds(reduced.seconds)));
    let which = reduced.culprit.as_ref().filter(|_| among > 1);
    which.map_or(String::new(), |tensor| format!("of \"{}\": ", clean(tensor))) + &parts.join("; ")
}

fn size(reduced: &Reduced) -> String {
    let named: Vec<String> = reduced.names.iter().take(NAMED).map(|name| format!("\"{}\"", clean(name))).collect();
    let more = if reduced.names.len() > NAMED { ", …" } else { "" };
    let names = if named.is_empty() { String::new() } else { format!(" ({}{more})", named.join(", ")) };
    let size = if reduced.bytes > 0 { format!(", {}", bytes(reduced.bytes)) } else { String::new() };
    plural(reduced.nodes, "node") + &names + &size
}

/// `sh model.layerdiff/reduced/repro.sh`
fn command(reduced: &Reduced) -> String {
    let folder = reduced.path.strip_suffix("model.onnx").unwrap_or(&reduced.path).trim_end_matches(['/', '\\']);
    let script = match folder {
        "" if reduced.path.starts_with('/') => "/repro.sh".to_string(),
        "" => "repro.sh".to_string(),
        folder => format!("{folder}/repro.sh"),
    };
    clean(&shell(&["sh".to_string(), script]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduced() -> Reduced {
        Reduced {
            path: "m.layerdiff/reduced/model.onnx".into(),
            nodes: 1,
            reproduces: true,
            probes: 17,
            seconds: 1.32,
            names: vec!["erf_3".into()],
            bytes: 12_300,
            minimal: true,
            culprit: Some("erf_out".into()),
            why: None,
        }
    }

    #[test]
    fn all_of_them_or_the_only_one() {
        let only = Report { reduced: Some(reduced()), ..Report::default() };
        assert_eq!(reproducers(&only).len(), 1);
        assert_eq!(reproducers(&Report { reproducers: vec![reduced(), reduced()], ..only }).len(), 2);
        assert!(reproducers(&Report::default()).is_empty());
    }

    #[test]
    fn what_is_known_is_said() {
        let want = "1 node (\"erf_3\"), 12.3 kB; reproduces from disk: yes; 1-minimal; 17 probes, 1.32 s";
        assert_eq!(worth(&reduced(), 1), want);
        assert_eq!(worth(&reduced(), 2), format!("of \"erf_out\": {want}"));
        let lost = Reduced { reproduces: false, minimal: false, ..reduced() };
        assert_eq!(worth(&lost, 1), "1 node (\"erf_3\"), 12.3 kB; reproduces from disk: NO; 17 probes, 1.32 s");
        let many = Reduced { nodes: 9, names: (0..9).map(|n| n.to_string()).collect(), ..reduced() };
        assert!(worth(&many, 1).starts_with("9 nodes (\"0\", \"1\", \"2\", \"3\", \"4\", \"5\", …), 12.3 kB;"));
        let old = Reduced { nodes: 2, ..Reduced::default() };
        assert_eq!(worth(&old, 1), "2 nodes; reproduces from disk: NO; 0 probes, 0 ms");
    }

    #[test]
    fn the_command_can_be_pasted() {
        let at = |path: &str| command(&Reduced { path: path.into(), ..Reduced::default() });
        assert_eq!(at("m.layerdiff/reduced/model.onnx"), "sh m.layerdiff/reduced/repro.sh");
        assert_eq!(
            [at("model.onnx"), at("/model.onnx"), at("old/reduced")],
            ["sh repro.sh", "sh /repro.sh", "sh old/reduced/repro.sh"]
        );
        assert_eq!(at("it's\n/model.onnx"), r"sh $'it\'s\n/repro.sh'");
    }
}
