//! The stage that broke: what the numbers say of it, and the command that searches between it and the last good one.

use crate::cli::{GlobalArgs, SetArgs};
use crate::found::stages::Stage;
use crate::found::{Status, Verdict};
use crate::names::few;
use crate::open::line::Line;

/// The reference that needs no word.
const USUAL: &str = "ort";
/// Outputs that are named; of more, how many.
const NAMED: usize = 4;

/// What the numbers say of the stage that broke.
pub fn because(stages: &[Stage], at: usize) -> String {
    let stage = &stages[at];
    let (name, place) = (&stage.name, stage.place());
    format!("stage '{name}' diverges from the reference{}{place}{}", outputs(stage), since(stages, at))
}

/// In which outputs; of what no output shows (a row of a batch, a drift), why.
fn outputs(stage: &Stage) -> String {
    let off = stage.outputs.iter().filter(|output| output.status == Status::Diverges);
    let off: Vec<String> = off.map(|output| format!("'{}'", output.name)).collect();
    match (off.len(), &stage.why) {
        (0, Some(why)) => format!(" ({why})"),
        (0, None) => String::new(),
        _ => format!(" in {}", few(off, NAMED)),
    }
}

/// What is known of the stages before it: none of them diverges.
fn since(stages: &[Stage], at: usize) -> String {
    let good = stages[..at].iter().rposition(|stage| stage.verdict == Verdict::Agreed);
    let silent = &stages[good.map_or(0, |good| good + 1)..at];
    let silent: Vec<String> = silent.iter().map(|stage| format!("'{}'", stage.name)).collect();
    let unknown = match silent.as_slice() {
        [] => String::new(),
        _ => format!("; {} between them gave no answer, and may be where it breaks", silent.join(", ")),
    };
    // Within the wide tolerance of a coarser stage much is.
    let near = stages[at].against_previous.as_ref();
    let near = near.filter(|against| against.verdict == Verdict::Agreed && !coarser(&stages[at - 1], &stages[at]));
    match (good.map(|good| &stages[good]), near) {
        (Some(good), Some(against)) => {
            format!(
                "; it is within tolerance of '{}' before it, so the error grew over several stages; '{}' still agrees",
                against.stage, good.name
            )
        }
        (Some(good), None) => format!("; '{}' before it still agrees{unknown}", good.name),
        (None, _) => format!("; no stage before it agrees, so the break is between the reference and it{unknown}"),
    }
}

/// May the first stage be further off than the second one?
fn coarser(stage: &Stage, than: &Stage) -> bool {
    stage.tolerance.rtol.0 > than.tolerance.rtol.0
}

/// The command that searches between the last good stage and the first bad one, on the same data, sizes and steps. The last good
/// stage that can be run with tensors marked, and that is no coarser than the bad one, stands in the reference's place: what is
/// rounded there would be found in its stead.
pub fn next(set: &SetArgs, global: &GlobalArgs, line: &Line, stages: &[Stage], broken: usize) -> Vec<String> {
    let coarse = |stage: &Stage| coarser(stage, &stages[broken]);
    let before = line.stages.iter().zip(stages).take(broken).rev();
    let mut good = before.filter(|(ran, stage)| stage.verdict == Verdict::Agreed && ran.is_open() && !coarse(stage));
    let reference = good.next().map_or(&set.reference, |(ran, _)| &ran.spec).to_string();
    let mut sides = vec![("--candidate", line.stages[broken].spec.to_string())];
    sides.extend((reference != USUAL).then_some(("--reference", reference)));
    set.words("bisect", global, &sides)
}
