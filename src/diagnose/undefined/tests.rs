//! Differences that ONNX allows, beside those that it does not.

use super::CODE;
use crate::diagnose::sample::{Sample, check, without};
use crate::found::Sure;
use crate::onnx::{AttributeProto, attribute_type};
use crate::spec::Precision::Fp32;
use crate::tensor::{DType, Tensor};

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        s: Some(value.as_bytes().to_vec().into()),
        r#type: Some(attribute_type::STRING),
        ..Default::default()
    }
}

/// Rows 1, 0 and 1 of three are written.
fn scatter(updates: &[f32], reference: &[f32], candidate: &[f32]) -> Sample {
    Sample::new("ScatterND", &["x", "i", "u"])
        .shaped("x", &[3, 2], &[0.0; 6])
        .value("i", Tensor::i64(&[3, 1], &[1, 0, -2]))
        .shaped("u", &[3, 2], updates)
        .outputs(Fp32, Tensor::f32(&[3, 2], reference), Tensor::f32(&[3, 2], candidate))
}

const UPDATES: [f32; 6] = [1.0, 2.0, 5.0, 6.0, 3.0, 4.0];
const LAST: [f32; 6] = [5.0, 6.0, 3.0, 4.0, 0.0, 0.0];

#[test]
fn places_written_twice() {
    let other = scatter(&UPDATES, &LAST, &[5.0, 6.0, 1.0, 2.0, 0.0, 0.0]);
    assert_eq!(other.diagnoses()[0].sure, Sure::Shown);
    assert_eq!(other.diagnoses().len(), 1, "nothing else is needed");
    check(other, CODE, "2 places of 'node' without a reduction are written more than once");
    let one = || scatter(&UPDATES, &LAST, &[5.0, 6.0, 1.0, 4.0, 0.0, 0.0]);
    check(one(), CODE, "(such as [1,0]: 1 and 3)");
    check(one(), CODE, "the one element that differs is at such places, all others agree");
    without(one().attribute(text("reduction", "add")), CODE);
    check(one().attribute(text("reduction", "none")), CODE, "written more than once");
}

#[test]
fn other_differences_beside_them() {
    let beside = scatter(&UPDATES, &LAST, &[5.0, 9.0, 1.0, 2.0, 0.0, 0.0]);
    assert!(beside.diagnoses().iter().all(|d| d.sure != Sure::Shown));
    check(beside, CODE, "2 of 3 elements that differ are at such places");
    without(scatter(&UPDATES, &LAST, &[9.0, 9.0, 1.0, 4.0, 9.0, 9.0]), CODE);
    // The same value twice is no question.
    without(scatter(&[3.0, 4.0, 5.0, 6.0, 3.0, 4.0], &LAST, &[5.0, 6.0, 1.0, 2.0, 0.0, 0.0]), CODE);
}

#[test]
fn single_elements_written_twice() {
    let along = |axis: i64, candidate: &[f32]| {
        Sample::new("ScatterElements", &["x", "i", "u"])
            .shaped("x", &[2, 3], &[0.0; 6])
            .value("i", Tensor::i64(&[1, 2], &[1, 1]))
            .shaped("u", &[1, 2], &[7.0, 8.0])
            .attribute(AttributeProto::int("axis", axis))
            .outputs(Fp32, Tensor::f32(&[2, 3], &[0.0, 8.0, 0.0, 0.0, 0.0, 0.0]), Tensor::f32(&[2, 3], candidate))
    };
    check(along(1, &[0.0, 7.0, 0.0, 0.0, 0.0, 0.0]), CODE, "(such as [0,1]: 7 and 8)");
    // Along the other axis they go to two places.
    without(along(0, &[0.0, 7.0, 0.0, 0.0, 0.0, 0.0]), CODE);
}

#[test]
fn floats_that_fit_no_integer() {
    let cast = |candidate: &[i32]| {
        let ids = |values: &[i32]| Tensor::from_vec(DType::Int32, vec![values.len()], values.to_vec());
        Sample::new("Cast", &["x"]).input("x", &[1.5, 3e9, f32::NAN]).outputs(
            Fp32,
            ids(&[1, i32::MIN, i32::MIN]),
            ids(candidate),
        )
    };
    check(cast(&[1, i32::MAX, 0]), CODE, "2 of 3 values (66.7 %) that it casts cannot be held by int32 (such as 3e9)");
    without(cast(&[2, i32::MIN, i32::MIN]), CODE);
}

#[test]
fn an_order_that_nobody_asked_for() {
    let top = |sorted: i64, candidate: &[f32]| {
        let (r, c) = (Tensor::f32(&[1, 3], &[3.0, 2.0, 1.0]), Tensor::f32(&[1, 3], candidate));
        Sample::new("TopK", &["x", "k"]).attribute(AttributeProto::int("sorted", sorted)).outputs(Fp32, r, c)
    };
    check(top(0, &[1.0, 3.0, 2.0]), CODE, "the same elements in another order");
    without(top(1, &[1.0, 3.0, 2.0]), CODE);
    without(top(0, &[1.0, 3.0, 9.0]), CODE);
}
