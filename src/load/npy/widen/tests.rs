use super::*;
use crate::load::npz;

const SMALL: [(DType, &str); 10] = [
    (DType::Float8e4m3fn, "float8_e4m3fn"),
    (DType::Float8e4m3fnuz, "float8_e4m3fnuz"),
    (DType::Float8e5m2, "float8_e5m2"),
    (DType::Float8e5m2fnuz, "float8_e5m2fnuz"),
    (DType::Float8e8m0, "float8_e8m0fnu"),
    (DType::Float4e2m1, "float4_e2m1fn"),
    (DType::Int4, "int4"),
    (DType::Uint4, "uint4"),
    (DType::Int2, "int2"),
    (DType::Uint2, "uint2"),
];

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// A tensor of every code of `dtype`.
fn all(dtype: DType) -> Tensor {
    let codes: Vec<u8> = (0..=mask(dtype)).collect();
    packed(dtype, vec![codes.len()], &codes).unwrap()
}

#[test]
fn every_code_has_the_value_of_ml_dtypes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small_types.npz");
    let tables = npz::read(path.as_ref()).unwrap();
    for (dtype, name) in SMALL {
        let table = tables[name].view::<f32>().into_owned();
        assert_eq!(table.len(), 1 << dtype.bits(), "{name}");
        for (code, want) in table.iter().enumerate() {
            let have = value(dtype, code as u8);
            assert!(same(have, *want), "{name} {code:#x}: {have} instead of {want}");
        }
    }
}

#[test]
fn widened_and_narrowed_again_is_the_same() {
    for (dtype, name) in SMALL {
        let tensor = all(dtype);
        let wide = widened(&tensor);
        assert_eq!(wide.dtype, super::wide(dtype));
        let back = narrowed(&wide, dtype).unwrap();
        // A type has several NaNs; their values are compared.
        if wide.dtype == DType::Float32 {
            let (a, b) = (widened(&back), wide.view::<f32>());
            assert!(a.view::<f32>().iter().zip(b.iter()).all(|(a, b)| same(*a, *b)), "{name}");
        } else {
            assert!(back.identical(&tensor), "{name}");
        }
    }
}

#[test]
fn bfloat16_round_trips() {
    let tensor = Tensor::from_vec(DType::Bfloat16, vec![4], vec![0x3f80u16, 0x8000, 0x7f80, 0x0001]);
    let wide = widened(&tensor);
    assert_eq!(wide.view::<f32>()[..3], [1.0, -0.0, f32::INFINITY]);
    assert!(narrowed(&wide, DType::Bfloat16).unwrap().identical(&tensor));
}

#[test]
fn what_is_not_exact_is_not_narrowed() {
    assert!(narrowed(&Tensor::f32(&[2], &[1.0, 1.001]), DType::Bfloat16).is_none());
    assert!(narrowed(&Tensor::f32(&[2], &[1.0, 500.0]), DType::Float8e4m3fn).is_none());
    assert!(narrowed(&Tensor::from_vec(DType::Int8, vec![2], vec![7i8, 8]), DType::Int4).is_none());
    assert!(narrowed(&Tensor::from_vec(DType::Int8, vec![2], vec![7i8, -8]), DType::Int4).is_some());
    assert!(narrowed(&Tensor::f32(&[1], &[1.0]), DType::Float16).is_none(), "NumPy has float16: no conversion");
    assert!(narrowed(&Tensor::f32(&[1], &[1.0]), DType::Float32).is_none());
}

#[test]
fn the_first_element_is_in_the_lowest_bits() {
    assert_eq!(packed(DType::Int4, vec![3], &[1, 14, 3]).unwrap().bytes(), [0xe1, 0x03]);
    assert_eq!(packed(DType::Uint2, vec![5], &[0, 1, 2, 3, 1]).unwrap().bytes(), [0b1110_0100, 1]);
}

#[test]
fn the_nearest_code_by_brute_force() {
    for (dtype, name) in SMALL {
        let nearest = Nearest::new(dtype);
        let finite = |code: &u8| value(dtype, *code).is_finite();
        for step in -2000..2000 {
            let x = f64::from(step) * 0.37;
            let distance = |code: u8| (f64::from(value(dtype, code)) - x).abs();
            let best = (0..=mask(dtype)).filter(finite).map(distance).fold(f64::INFINITY, f64::min);
            assert_eq!(distance(nearest.code(x)), best, "{name} {x}");
        }
    }
}
