//! Hand-computed values of the ONNX standard, and a brute-force oracle for the layout of scales.

use proptest::prelude::*;

use super::*;

fn pair(dtype: DType, scale: Tensor, zero_point: Option<Tensor>, axis: Option<i64>, block: i64) -> Pair {
    Pair {
        tensor: "t".into(),
        quantize: Some(0),
        dequantize: 1,
        slots: Pair::LINEAR,
        scale: Some(scale),
        zero_point,
        quantizer: None,
        axis,
        block,
        dtype,
        stored: None,
        weight: false,
        consumers: vec![],
        channels: None,
    }
}

/// One scale and zero point: the codes of `values`.
fn check(dtype: DType, scale: f32, zero: f64, values: &[f64], want: &[f64]) {
    let zero_point = Tensor::from_vec(DType::Float64, vec![], vec![zero]);
    let p = pair(dtype, Tensor::f32(&[], &[scale]), Some(zero_point), None, 0);
    let grid = Grid::quantizer(&p, &[values.len()]).unwrap();
    let got: Vec<f64> = values.iter().map(|x| grid.code(0, *x)).collect();
    assert_eq!(got, want, "{dtype}");
}

#[test]
fn codes_by_hand() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    // Halves go to the even neighbour, before the zero point is added.
    check(DType::Int8, 0.5, 0.0, &[0.25, 0.75, -0.25, -0.75, 1.25], &[0.0, 2.0, 0.0, -2.0, 2.0]);
    check(DType::Int8, 0.5, 1.0, &[0.25, 0.75, 1.25], &[1.0, 3.0, 3.0]);
    check(
        DType::Int8,
        1.0,
        0.0,
        &[127.4, 127.6, -129.0, 1e30, inf, -inf, nan],
        &[127.0, 127.0, -128.0, 127.0, 127.0, -128.0, -128.0],
    );
    check(DType::Uint8, 2.0, 128.0, &[0.0, -256.0, -258.0, 254.0, 256.0, nan], &[128.0, 0.0, 0.0, 255.0, 255.0, 0.0]);
    check(DType::Int4, 1.0, 0.0, &[7.4, 8.0, -8.0, -9.0], &[7.0, 7.0, -8.0, -8.0]);
    check(DType::Uint4, 1.0, 8.0, &[7.4, 8.0, -8.0, -9.0], &[15.0, 15.0, 0.0, 0.0]);
    check(DType::Int16, 1.0, 0.0, &[40000.0, -40000.0, 2.5], &[32767.0, -32768.0, 2.0]);
    check(DType::Uint16, 1.0, 65535.0, &[1.0, -65535.0, -1e9], &[65535.0, 0.0, 0.0]);
    check(DType::Int2, 1.0, 0.0, &[2.0, -3.0, 0.5], &[1.0, -2.0, 0.0]);
    // 17 is halfway between 16 and 18, 19 between 18 and 20: the even code of each two.
    check(DType::Float8e4m3fn, 1.0, 0.0, &[17.0, 19.0, 500.0, -inf, 0.001], &[16.0, 20.0, 448.0, -448.0, 0.001953125]);
    check(DType::Float4e2m1, 1.0, 0.0, &[2.5, 3.5, 5.0, 7.0, 0.25], &[2.0, 4.0, 4.0, 6.0, 0.0]);
}

#[test]
fn values_come_back_by_channel_and_by_block() {
    let x = Tensor::f32(&[2, 2], &[1.0, 10.0, 1.4, 14.0]);
    let scales = Tensor::f32(&[2], &[1.0, 10.0]);
    let zeros = Tensor::from_vec(DType::Int8, vec![2], vec![0i8, 3]);
    let back = |p: &Pair| round_trip(p, &x).map(|t| t.view::<f32>().to_vec());
    assert_eq!(
        back(&pair(DType::Int8, scales.clone(), Some(zeros.clone()), Some(1), 0)).unwrap(),
        [1.0, 10.0, 1.0, 10.0]
    );
    assert_eq!(back(&pair(DType::Int8, scales.clone(), Some(zeros), Some(-2), 0)).unwrap(), [1.0, 10.0, 0.0, 10.0]);
    let blocks = Tensor::f32(&[1, 2], &[0.5, 4.0]);
    assert_eq!(back(&pair(DType::Int8, blocks, None, Some(0), 2)).unwrap(), [1.0, 8.0, 1.5, 16.0]);
    // Scales that do not fit.
    assert!(back(&pair(DType::Int8, Tensor::f32(&[3], &[1.0; 3]), None, Some(0), 0)).is_none());
    assert!(back(&pair(DType::Int8, scales.clone(), None, Some(2), 0)).is_none());
    assert!(back(&pair(DType::Int8, scales.clone(), None, None, 0)).is_none());
    assert!(back(&pair(DType::Bool, scales, None, Some(0), 0)).is_none());
}

#[test]
fn a_quantizer_of_its_own_is_used() {
    let mut p = pair(DType::Int8, Tensor::f32(&[], &[2.0]), None, None, 0);
    p.quantizer = Some((Some(Tensor::f32(&[], &[1.0])), None));
    assert_eq!(round_trip(&p, &Tensor::f32(&[1], &[3.0])).unwrap().view::<f32>().as_ref(), [6.0]);
}

#[test]
fn stored_weights_come_back() {
    let mut p = pair(DType::Int4, Tensor::f32(&[], &[0.5]), None, None, 0);
    // 1, -2, 7, packed two a byte.
    p.stored = Some(Tensor::new(DType::Int4, vec![3], vec![0xe1u8, 0x07]).unwrap());
    assert_eq!(dequantised(&p).unwrap().view::<f32>().as_ref(), [0.5, -1.0, 3.5]);
    p.scale = Some(cast(&Tensor::f32(&[], &[0.5]), DType::Float16).unwrap());
    assert_eq!(dequantised(&p).unwrap().dtype, DType::Float16);
}

proptest! {
    #[test]
    fn the_layout_is_that_of_the_standard(shape in prop::collection::vec(1usize..4, 1..4), at in 0usize..3, block in 0usize..4) {
        let axis = at % shape.len();
        let mut scale_shape = shape.clone();
        if block > 0 {
            scale_shape[axis] = shape[axis].div_ceil(block);
        } else {
            scale_shape = vec![shape[axis]];
        }
        let count: usize = scale_shape.iter().product();
        let scale = Tensor::f32(&scale_shape, &vec![1.0; count]);
        let layout = Layout::new(&scale, Some(axis as i64), block as i64, &shape).unwrap();
        for i in 0..shape.iter().product() {
            // The position of element i, then the position of its scale.
            let mut rest: usize = i;
            let mut position = vec![0; shape.len()];
            for (p, d) in position.iter_mut().zip(&shape).rev() {
                (*p, rest) = (rest % d, rest / d);
            }
            let want = match position[axis].checked_div(block) {
                None => position[axis],
                Some(along) => {
                    position[axis] = along;
                    position.iter().zip(&scale_shape).fold(0, |n, (p, d)| n * d + p)
                }
            };
            prop_assert_eq!(layout.group(i), want);
        }
    }
}
