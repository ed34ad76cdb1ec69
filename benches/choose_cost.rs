//! What the TensorRT path costs where there is no TensorRT: looking for it, and choosing a candidate for whoever named none.
//! Both look at files and start nothing; neither prints.
//!
//! usage: cargo bench --bench choose_cost [-- REPETITIONS]     prints the medians in milliseconds, and what was found

use std::time::Instant;

use layerdiff::open::choose;
use layerdiff::run::tensorrt::library;

fn main() -> anyhow::Result<()> {
    // `cargo bench` hands every program a `--bench`.
    let asked = std::env::args().skip(1).find(|argument| argument != "--bench");
    let repetitions: usize = asked.map_or(Ok(1000), |text| text.parse())?;
    anyhow::ensure!(repetitions > 0, "usage: choose_cost [REPETITIONS]");
    // The first call of a process, with what it has yet to allocate.
    let started = Instant::now();
    let found = library::find(None)?;
    let first = started.elapsed().as_secs_f64() * 1e3;
    let find = median(repetitions, || library::find(None).map(drop))?;
    let choose = median(repetitions, || choose::best(None).map(drop))?;
    println!("find {find:.4}\nfirst {first:.4}\nchoose {choose:.4}");
    println!("found {}", found.map_or("nothing".to_string(), |found| found.library.display().to_string()));
    Ok(())
}

/// Milliseconds.
fn median<E>(repetitions: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut times = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let started = Instant::now();
        work()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[repetitions / 2])
}
