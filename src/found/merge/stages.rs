//! Shards of one pipeline as one. Values only.

use super::{
    NOTHING, Named, Swept, alike, answer, decisions_of_all, fits, inputs_of_all, of_one, samples_of_all, shards,
    sizes_of_all, worst_of_all,
};
use crate::found::shard::{Shard, Shared};
use crate::found::stages::{Against, Stage, Stages, TrueRow, Truth, together};
use crate::found::{Latency, Real, Verdict};

/// One of all shards of one run. An error says what does not fit, and which files.
pub fn merge(mut all: Vec<Named<Stages>>) -> Result<Stages, String> {
    all.sort_by_key(|named| named.report.shard.as_ref().map_or(0, |shard| shard.index));
    let shards = shards(&all, |stages| stages.shard.as_ref())?;
    fits(&shards)?;
    let names = |stages: &Stages| stages.stages.iter().map(|s| (s.name.clone(), s.spec.clone())).collect::<Vec<_>>();
    alike(&all, "models or stages", |stages| (names(stages), stages.model.sha256.clone()))?;
    let shards: Vec<Shard> = shards.into_iter().map(|named| named.report).collect();
    let all: Vec<Stages> = all.into_iter().map(|named| named.report).collect();
    let Some(first) = all.first() else { return Err(NOTHING.to_string()) };
    let sizes = shards.iter().any(|shard| shard.what == Shared::Sizes);
    let merged = if sizes { swept } else { stage };
    let stages: Vec<Stage> = (0..first.stages.len())
        .map(|number| merged(&all.iter().filter_map(|one| one.stages.get(number)).collect::<Vec<_>>(), &shards))
        .collect();
    let inputs: Vec<_> = all.iter().map(|one| &one.inputs).collect();
    let inputs = if sizes { first.inputs.clone() } else { inputs_of_all(&inputs, &shards) };
    let bad = stages.iter().find(|stage| stage.verdict == Verdict::Diverged);
    let broken = bad.map(|stage| stage.name.clone());
    // The one whose sentence is about the same size.
    let same = |one: &&Stages| {
        let own = one.stages.iter().find(|stage| Some(&stage.name) == broken.as_ref());
        one.first_broken.is_some()
            && one.first_broken == broken
            && own.map(|own| &own.first_bad_size) == bad.map(|bad| &bad.first_bad_size)
    };
    let told = all.iter().find(same);
    Ok(Stages {
        shard: None,
        verdict: together(&stages),
        inputs,
        why: told.and_then(|one| one.why.clone()),
        next: told.map(|one| one.next.clone()).unwrap_or_default(),
        bisect: told.and_then(|one| one.bisect.clone()),
        truth: truth(&all, &shards),
        seconds: all.iter().map(|one| one.seconds).sum(),
        first_broken: broken,
        stages,
        ..first.clone()
    })
}

fn stage(of: &[&Stage], shards: &[Shard]) -> Stage {
    let outputs: Vec<_> = of.iter().map(|one| one.outputs.as_slice()).collect();
    let decisions: Vec<_> = of.iter().map(|one| one.decisions.as_slice()).collect();
    let samples: Vec<_> = of.iter().map(|one| of_one(&one.outputs, &one.samples)).collect();
    let samples: Vec<_> = samples.iter().map(Vec::as_slice).collect();
    let outputs = worst_of_all(&outputs, shards);
    let silent = of.iter().find(|one| one.verdict == Verdict::Inconclusive);
    let (verdict, why) = answer(&outputs, silent.map(|one| one.why.clone()));
    let first = of.first().map(|one| (*one).clone()).unwrap_or_default();
    Stage {
        verdict,
        why,
        outputs,
        samples: samples_of_all(&samples, shards),
        decisions: decisions_of_all(&decisions, shards),
        against_previous: against(of, shards),
        latency: latency(of, shards),
        ..first
    }
}

/// A stage whose sizes are shared.
fn swept(of: &[&Stage], shards: &[Shard]) -> Stage {
    let all: Vec<Swept> = of
        .iter()
        .map(|one| Swept { sweep: &one.sweep, first_bad: one.first_bad_size.as_ref(), verdict: one.verdict })
        .collect();
    let (sweep, told) = sizes_of_all(&all);
    let told = of.get(told).map(|one| (*one).clone()).unwrap_or_default();
    let mut before = of.iter().filter_map(|one| one.against_previous.as_ref());
    let parted = before.find(|against| against.verdict == Verdict::Diverged).cloned();
    Stage { sweep, against_previous: parted.or(told.against_previous.clone()), latency: latency(of, shards), ..told }
}

fn against(of: &[&Stage], shards: &[Shard]) -> Option<Against> {
    let all: Vec<&Against> = of.iter().filter_map(|one| one.against_previous.as_ref()).collect();
    let first = all.first().filter(|_| all.len() == of.len())?;
    let outputs: Vec<_> = all.iter().map(|one| one.outputs.as_slice()).collect();
    let decisions: Vec<_> = all.iter().map(|one| one.decisions.as_slice()).collect();
    let outputs = worst_of_all(&outputs, shards);
    let silent = all.iter().find(|one| one.verdict == Verdict::Inconclusive).map(|one| one.why.clone());
    let (verdict, why) = answer(&outputs, silent);
    Some(Against { stage: first.stage.clone(), verdict, why, outputs, decisions: decisions_of_all(&decisions, shards) })
}

fn latency(of: &[&Stage], shards: &[Shard]) -> Option<Latency> {
    let each = of.iter().zip(shards).flat_map(|(one, shard)| {
        let each = one.latency.iter().flat_map(|latency| &latency.each);
        shard.members.iter().zip(each)
    });
    let mut each: Vec<(&usize, &Real)> = each.collect();
    each.sort_by_key(|(number, _)| **number);
    Latency::of(&each.into_iter().map(|(_, seconds)| seconds.0).collect::<Vec<_>>())
}

fn truth(all: &[Stages], shards: &[Shard]) -> Option<Truth> {
    let told: Option<Vec<&Truth>> = all.iter().map(|one| one.truth.as_ref()).collect();
    let told = told?;
    let mut merged = Truth { rows: Vec::new(), parting: Vec::new(), ..(*told.first()?).clone() };
    for (own, others) in
        merged.accuracy.iter_mut().enumerate().map(|(at, own)| (own, told.iter().map(move |t| t.accuracy.get(at))))
    {
        (own.top1, own.top5, own.rows) =
            others.flatten().fold((0, 0, 0), |(a, b, c), o| (a + o.top1, b + o.top5, c + o.rows));
    }
    let rows = told.iter().zip(shards).flat_map(|(truth, shard)| {
        let number = |row: &TrueRow| shard.members.get(row.sample).copied().unwrap_or(row.sample);
        truth.rows.iter().map(move |row| TrueRow { sample: number(row), ..row.clone() })
    });
    merged.rows = rows.collect();
    merged.rows.sort_by_key(|row| (row.sample, row.row));
    let parts = |row: &TrueRow| row.said.iter().any(|said| said.best.first() != row.said[0].best.first());
    merged.parting = (0..merged.rows.len()).filter(|number| parts(&merged.rows[*number])).collect();
    Some(merged)
}
