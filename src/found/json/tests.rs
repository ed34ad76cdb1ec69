//! report.json: the schema holds for full and partial reports, the round trip keeps every value, errors are sentences.

use serde_json::{Value, json};

use super::*;
use crate::found::{Metrics, Real};
use crate::show::sample::{limited_report, partial_report, sample_report};
use crate::spec::Precision;

fn value(report: &Report) -> Value {
    serde_json::from_str(&to_string(report).unwrap()).unwrap()
}

#[track_caller]
fn check_valid(value: &Value, want: bool) {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path)).collect();
    assert_eq!(errors.is_empty(), want, "{errors:?}");
}

#[track_caller]
fn check_error(text: &str, wants: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    std::fs::write(&path, text).unwrap();
    let error = format!("{:#}", read(&path).unwrap_err());
    for want in wants.iter().chain(&["report.json: "]) {
        assert!(error.contains(want), "'{error}' lacks '{want}'");
    }
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn schema_accepts_full_and_partial_reports() {
    check_valid(&value(&sample_report()), true);
    check_valid(&value(&partial_report()), true);
    check_valid(&value(&limited_report()), true);
}

#[test]
fn schema_is_named_and_pins_the_version() {
    assert_eq!(schema()["$id"], SCHEMA);
    assert_eq!(schema()["title"], SCHEMA);
    let mut other = value(&sample_report());
    other["schema"] = json!("layerdiff.report/2");
    check_valid(&other, false);
}

#[test]
fn schema_refuses_what_the_types_refuse() {
    let full = value(&limited_report());
    for (at, bad) in [
        ("/verdict", json!("maybe")),
        ("/tensors/0/max_abs", json!("nan")),
        ("/tensors/0/elements", json!(-1)),
        ("/culprits/0/kind", json!("other")),
        ("/culprits/0/node/subgraph", json!(3)),
        ("/tolerance/atol", json!(null)),
        ("/ranking/0/rho", json!("large")),
        ("/precision_limited/why", json!(null)),
    ] {
        let mut value = full.clone();
        *value.pointer_mut(at).unwrap() = bad;
        check_valid(&value, false);
        assert!(parse(value.to_string().as_bytes()).is_err(), "{at}");
    }
}

#[test]
fn metrics_are_flattened_and_absent_when_nothing_was_measured() {
    let report = value(&sample_report());
    let row = |name: &str| report["tensors"].as_array().unwrap().iter().find(|t| t["name"] == name).unwrap().clone();
    assert_eq!(row("/norm/Pow_output_0")["max_abs"], "Infinity");
    assert!(row("/mask/Cast_output_0").get("max_abs").is_none());
    assert!(row("/mask/Cast_output_0").get("metrics").is_none());
}

#[test]
fn round_trip_keeps_non_finite_numbers() {
    let mut report = sample_report();
    let odd = Metrics {
        max_abs: Real(f64::NAN),
        rmse: Real(f64::NEG_INFINITY),
        sqnr_db: Real(f64::INFINITY),
        mean_abs: Real(5e-324),
        elements: u64::MAX,
        ..Metrics::default()
    };
    report.tensors[0].metrics = Some(odd);
    let text = to_string(&report).unwrap();
    assert!(text.contains(r#""max_abs": "NaN""#) && text.contains(r#""rmse": "-Infinity""#));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/report.json");
    write(&path, &report).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let back = read(&path).unwrap();
    assert_eq!(back.culprits[0].node, report.culprits[0].node);
    assert_eq!((back.tensors.len(), &back.command), (report.tensors.len(), &report.command));
    let metrics = back.tensors[0].metrics.as_ref().unwrap();
    assert_eq!([metrics.rmse.0, metrics.sqnr_db.0], [f64::NEG_INFINITY, f64::INFINITY]);
    assert!(metrics.max_abs.0.is_nan());
    assert_eq!((metrics.mean_abs.0, metrics.elements), (5e-324, u64::MAX));
}

#[test]
fn writing_replaces_the_file_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    write(&path, &partial_report()).unwrap();
    write(&path, &sample_report()).unwrap();
    assert_eq!(read(&path).unwrap().culprits.len(), sample_report().culprits.len());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_failed_write_says_where() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let error = write(&folder.path().join("file/report.json"), &sample_report()).unwrap_err();
    assert!(format!("{error:#}").contains("file/report.json: cannot be written"), "{error:#}");
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    check_error("", &["not JSON", "EOF", "give the report.json"]);
    check_error("{ truncated", &["not JSON", "line 1 column 3"]);
    check_error("[1, 2]", &["without a 'schema' field"]);
    check_error(
        r#"{"schema": "layerdiff.report/9", "layerdiff": "7.1.0"}"#,
        &["'layerdiff.report/9'", "reads 'layerdiff.report/1'", "version 7.1.0"],
    );
    check_error(r#"{"schema": "layerdiff.report/1"}"#, &["missing field `layerdiff`", "run layerdiff again"]);
}

#[test]
fn malformed_metrics_are_not_taken_for_no_metrics() {
    let mut report = value(&sample_report());
    report["tensors"][0]["max_abs"] = json!("much");
    check_error(&report.to_string(), &["metrics of tensor 'input_ids'"]);
    let mut report = value(&sample_report());
    report["outputs"][0].as_object_mut().unwrap().remove("rmse");
    check_error(&report.to_string(), &["metrics of tensor 'logits'"]);
}

/// What an older layerdiff wrote: the fields that say it as values are not there.
fn older(change: impl FnOnce(&mut Value)) -> Report {
    let mut value = value(&sample_report());
    for (at, key) in [("/overrides", "kind"), ("/candidate", "computes"), ("/reference", "computes")] {
        value.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    }
    change(&mut value);
    parse(value.to_string().as_bytes()).unwrap()
}

#[test]
fn older_reports_say_in_words_what_is_a_value_now() {
    let kept = older(|_| ());
    assert_eq!(kept.overrides.unwrap().kind, CureKind::Fp32);
    assert_eq!((kept.reference.computes, kept.candidate.computes), (Some(Precision::Fp32), Some(Precision::Fp16)));
    let emulated =
        older(|value| value["candidate"]["precision"] = json!("tf32 (emulated: products of 10-bit mantissas)"));
    assert_eq!(
        (emulated.candidate.computes, emulated.overrides.unwrap().kind),
        (Some(Precision::Tf32), CureKind::Split)
    );
    assert_eq!(older(|value| value["candidate"]["precision"] = json!("")).candidate.computes, None);
    let unquantised = older(|value| value["overrides"]["files"] = json!({ "qdq_loss": "m/qdq_loss.json" }));
    assert_eq!(unquantised.overrides.unwrap().kind, CureKind::Unquantised);
    let checked = older(|value| {
        (value["candidate"]["backend"], value["candidate"]["spec"]) = (json!("check"), json!("check:sh ask {model}"));
    });
    assert_eq!(checked.candidate.check.as_deref(), Some("sh ask {model}"));
}

#[test]
fn what_is_told_is_not_guessed() {
    let mut report = sample_report();
    let overrides = report.overrides.as_mut().unwrap();
    (overrides.kind, overrides.files) = (CureKind::Unquantised, Default::default());
    report.candidate.precision = "fp32".into();
    let read = parse(to_string(&report).unwrap().as_bytes()).unwrap();
    assert_eq!((read.overrides.unwrap().kind, read.candidate.computes), (CureKind::Unquantised, Some(Precision::Fp16)));
}
