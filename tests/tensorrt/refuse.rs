//! What a library is and can, and what is refused: plans and libraries.

use super::*;

#[test]
fn what_it_is_and_what_it_can() {
    let Some(rtx) = rtx("what_it_is_and_what_it_can") else { return };
    let library = &rtx.library;
    assert_eq!((library.name().as_str(), library.family()), ("TensorRT-RTX 1.7.1", Family::Rtx1_5));
    assert!(library.builds() && library.has_unfused() && !library.weakly_typed() && !library.has_flag(Flag::Fp16));

    let builder = rtx.builder();
    let error = builder.network(Typing::Weak).err().unwrap().to_string();
    assert!(error.contains("precisions from the model only"), "{error}");
    let mut config = builder.config().unwrap();
    assert!(config.get(Flag::Tf32) && !config.get(Flag::StrictNans));
    config.set(Flag::Tf32, false).unwrap();
    config.set(Flag::StrictNans, true).unwrap();
    assert!(!config.get(Flag::Tf32) && config.get(Flag::StrictNans));
    config.pool(Pool::Workspace, 1 << 28);
    let error = config.set(Flag::Fp16, true).unwrap_err().to_string();
    assert!(error.contains("TensorRT-RTX 1.7.1 has no builder flag kFP16"), "{error}");
    let error = config.compute_capability(90).unwrap_err().to_string();
    assert!(error.contains("compute capability 90") && !error.contains("/_src/"), "{error}");
}

#[test]
fn a_plan_that_cannot_run_here_is_refused() {
    let Some(rtx) = rtx("a_plan_that_cannot_run_here_is_refused") else { return };
    let builder = rtx.builder();
    let mut config = quick(&builder);
    // No machine of ours has this GPU. (For 75 it refuses to multiply in FP32.)
    config.compute_capability(86).unwrap();
    let plan = builder.build(&rtx.parsed(&builder, "gelu_chain_amplify"), &config).unwrap();
    let runtime = match Runtime::new(&rtx.library) {
        Ok(runtime) => runtime,
        Err(error) => return assert!(error.to_string().contains("no NVIDIA driver"), "{error}"),
    };
    for plan in [&*plan, b"no plan at all", b""] {
        let error = runtime.engine(plan).err().unwrap().to_string();
        assert!(
            error.starts_with("TensorRT-RTX 1.7.1 failed while running the model: it refuses the plan: "),
            "{error}"
        );
        assert!(!error.contains("cudaError 35") && !error.contains("/_src/"), "{error}");
    }
}

#[test]
fn the_lean_runtime_builds_nothing_and_refuses_a_bad_plan() {
    let name = "the_lean_runtime_builds_nothing_and_refuses_a_bad_plan";
    let Some(lean) = load(name, "tensorrt_lean_libs") else { return };
    assert_eq!(
        (lean.library.name().as_str(), lean.library.family()),
        ("TensorRT 11.4.0 (lean runtime)", Family::Trt11)
    );
    assert!(!lean.library.builds());
    let error = Builder::new(&lean.library).err().unwrap().to_string();
    assert!(error.contains("only runs plans; install the full TensorRT"), "{error}");
    let error = Runtime::new(&lean.library).and_then(|runtime| runtime.engine(b"no plan").map(|_| ())).unwrap_err();
    assert!(error.to_string().starts_with("TensorRT 11.4.0 (lean runtime) failed"), "{error}");
    assert!(!error.to_string().contains("cudaError 35"), "{error}");
}

#[test]
fn libraries_that_are_not_driven() {
    let dir = tempfile::tempdir().unwrap();
    let error_of =
        |library: PathBuf| Library::open(&library::find(Some(&library)).unwrap().unwrap()).err().unwrap().to_string();
    let text = dir.path().join("libnvinfer.so.10");
    std::fs::write(&text, "no library").unwrap();
    assert!(error_of(text).contains("does not load: "));

    let compile = |name: &str, code: &str| {
        let (library, source) = (dir.path().join(name), dir.path().join("source.cpp"));
        std::fs::write(&source, code).unwrap();
        let compiled = Command::new("g++").arg("-shared").arg("-fPIC").arg(&source).arg("-o").arg(&library).status();
        compiled.is_ok_and(|status| status.success()).then_some(library)
    };
    let Some(other) = compile("other.so", "int nothing;") else {
        return eprintln!("skipped part of libraries_that_are_not_driven: there is no g++");
    };
    assert!(error_of(other).contains("is no TensorRT library"));
    let says = |number: i32, part: &str| {
        let code = format!("extern \"C\" int getInferLibVersion() {{ return {number}; }}");
        let error = error_of(compile(&format!("v{number}.so"), &code).unwrap());
        assert!(error.contains(part), "{error}");
    };
    says(120003, "is version 12.0.3; layerdiff drives TensorRT 8.6, 10 and 11");
    says(10200, "is version 1.2.0; layerdiff drives TensorRT 8.6, 10 and 11");
    says(8502, "is TensorRT 8.5.2, of whose interface layerdiff knows 8.6 alone; install that or TensorRT 10, or run");
    says(9300, "is TensorRT 9.3.0, of whose interface layerdiff knows 8.6 alone");
}
