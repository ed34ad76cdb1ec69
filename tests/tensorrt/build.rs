//! Building: profiles, timing caches, progress, cancelling, dropping, leaks.

use super::*;

#[test]
fn dynamic_shapes_need_a_profile() {
    let Some(rtx) = rtx("dynamic_shapes_need_a_profile") else { return };
    let builder = rtx.builder();
    let network = rtx.parsed(&builder, "dynamic_batch");
    assert_eq!(network.inputs()[0].shape(), Some(vec![-1, 8]));
    let error = build(&builder, &network).err().unwrap().to_string();
    assert!(error.contains("no optimization profile has been defined"), "{error}");

    let with = |fill: &dyn Fn(&mut Profile) -> Result<(), RunError>| {
        let (mut profile, mut config) = (builder.profile().unwrap(), quick(&builder));
        fill(&mut profile)?;
        config.add_profile(profile)?;
        builder.build(&network, &config)
    };
    assert!(with(&|p| p.shape("x", &[1, 8], &[2, 8], &[4, 8])).unwrap().len() > 1000);
    let fails = |fill: &dyn Fn(&mut Profile) -> Result<(), RunError>, expected: &str| {
        let error = with(fill).err().unwrap().to_string();
        assert!(error.contains(expected) && !error.contains("/_src/"), "{error}");
    };
    fails(&|p| p.shape("x", &[4, 8], &[2, 8], &[1, 8]), "MIN<=OPT<=MAX");
    fails(&|p| p.shape("x", &[1; 9], &[1; 9], &[1; 9]), "8 at most");
    fails(&|p| p.shape("y", &[1, 8], &[2, 8], &[4, 8]), "x");
}

#[test]
fn a_timing_cache_goes_from_build_to_build() {
    let Some(rtx) = rtx("a_timing_cache_goes_from_build_to_build") else { return };
    let builder = rtx.builder();
    let network = rtx.parsed(&builder, "gelu_chain_amplify");
    let build = |cache: &[u8]| {
        let mut config = builder.config().unwrap();
        assert_eq!(config.saved_timing_cache(), None);
        config.timing_cache(cache).unwrap();
        builder.build(&network, &config).unwrap();
        config.saved_timing_cache().unwrap()
    };
    let first = build(&[]);
    assert!(!first.is_empty());
    assert!(build(&first).len() >= first.len());
}

#[test]
fn a_build_tells_how_far_it_is() {
    let Some(rtx) = rtx("a_build_tells_how_far_it_is") else { return };
    let builder = rtx.builder();
    let network = rtx.parsed(&builder, "gelu_chain_amplify");
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut config = quick(&builder);
    let ear = told.clone();
    config
        .progress(move |step| {
            ear.lock().unwrap().push((step.phase.to_string(), step.parent.map(str::to_string), step.step, step.of));
            true
        })
        .unwrap();
    builder.build(&network, &config).unwrap();
    let told = told.lock().unwrap();
    assert!(told.len() > 2 && told.iter().all(|(_, _, step, of)| step <= of), "{told:?}");
    let (phase, parent, step, of) = told.last().unwrap();
    assert!(parent.is_none() && step == of && told.iter().any(|(_, p, ..)| p.as_ref() == Some(phase)), "{told:?}");
}

#[test]
fn a_build_stops_when_it_is_told_to() {
    let Some(rtx) = rtx("a_build_stops_when_it_is_told_to") else { return };
    let builder = rtx.builder();
    let network = rtx.parsed(&builder, "gelu_chain_amplify");
    let mut config = quick(&builder);
    config.progress(|_| false).unwrap();
    assert_eq!(builder.build(&network, &config).err(), Some(RunError::Interrupted));
    // The same objects build again once nobody objects.
    config.progress(|_| true).unwrap();
    assert!(builder.build(&network, &config).is_ok());
}

#[test]
fn a_panic_does_not_leave_a_callback() {
    let Some(rtx) = rtx("a_panic_does_not_leave_a_callback") else { return };
    let builder = rtx.builder();
    let network = rtx.parsed(&builder, "gelu_chain_amplify");
    let (calls, mut config) = (Arc::new(AtomicUsize::new(0)), quick(&builder));
    let counted = calls.clone();
    config
        .progress(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("a panic in a progress monitor")
        })
        .unwrap();
    let error = builder.build(&network, &config).err().unwrap().to_string();
    assert!(error.contains("Build canceled"), "{error}");
    assert!(calls.load(Ordering::SeqCst) > 0);
}

#[test]
fn objects_may_go_in_any_order() {
    let Some(rtx) = rtx("objects_may_go_in_any_order") else { return };
    let plan = {
        let builder = rtx.builder();
        let network = rtx.parsed(&builder, "gelu_chain_amplify");
        let (mut config, profile) = (quick(&builder), builder.profile().unwrap());
        config.timing_cache(&[]).unwrap();
        config.progress(|_| true).unwrap();
        let plan = builder.build(&network, &config).unwrap();
        drop(builder);
        assert!(network.layers().len() > 5 && config.get(Flag::Tf32) && profile.is_valid());
        drop(config);
        drop(network);
        assert!(profile.is_valid());
        plan
    };
    assert!(plan.len() > 1000);
    std::thread::spawn(move || drop(plan)).join().unwrap();
}

#[test]
fn a_hundred_builds_leak_nothing() {
    let Some(rtx) = rtx("a_hundred_builds_leak_nothing") else { return };
    let once = || {
        let builder = rtx.builder();
        let network = rtx.parsed(&builder, "gelu_chain_amplify");
        network.tensors().iter().for_each(|tensor| _ = network.mark_debug(tensor));
        let mut config = quick(&builder);
        config.timing_cache(&[]).unwrap();
        config.progress(|_| true).unwrap();
        builder.build(&network, &config).unwrap();
        assert!(parse(&builder, &testdata("bad/unknown_op.onnx")).is_err());
    };
    // The first builds fill the library's own caches.
    (0..20).for_each(|_| once());
    let before = resident_bytes();
    (0..100).for_each(|_| once());
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "100 builds left {} KiB", grown >> 10);
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
