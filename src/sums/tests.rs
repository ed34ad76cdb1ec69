//! Against sums that are taken one by one, in the order that the documentation says, and against values worked out by hand.

use super::*;
use crate::onnx::AttributeProto;
use ::half::f16;

fn low(x: f32) -> f32 {
    f16::from_f32(x).to_f32()
}

/// Numbers of FP16 that look like chance.
fn noise(count: usize, size: f32, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 2.0
    };
    (0..count).map(|_| low(next() * size)).collect()
}

fn node(op_type: &str, ints: &[(&str, &[i64])]) -> NodeProto {
    let mut node = NodeProto::new(op_type, "n", &["a", "b"], &["y"]);
    for (name, values) in ints {
        let mut attribute = AttributeProto::int(name, values[0]);
        if values.len() > 1 || ["axes", "pads", "strides", "dilations"].contains(name) {
            attribute = AttributeProto {
                name: Some(name.to_string()),
                r#type: Some(7),
                ints: values.to_vec(),
                ..Default::default()
            };
        }
        node.attribute.push(attribute);
    }
    node
}

fn given<'a>(all: &[(&[usize], &'a [f32])]) -> Vec<Option<Values<'a>>> {
    let one = |(shape, values): &(&[usize], &'a [f32])| Values { shape: shape.to_vec(), values: (*values).into() };
    all.iter().map(|v| Some(one(v))).collect()
}

fn run(node: &NodeProto, all: &[(&[usize], &[f32])]) -> Values<'static> {
    compute(node, &given(all), &Half).unwrap().remove(0)
}

/// A sum of products, as it is documented: 16 at a time in FP32, the accumulator in FP16.
fn dot(pairs: &[(f32, f32)]) -> f32 {
    let mut sum = 0.0f32;
    for step in pairs.chunks(16) {
        sum = low(sum + step.iter().fold(0.0f32, |some, (a, b)| some + a * b));
    }
    sum
}

/// A tree of 16, as it is documented.
fn tree(values: &[f32]) -> f32 {
    let sums: Vec<f32> = values.chunks(16).map(|some| low(some.iter().fold(0.0, |sum, x| sum + x))).collect();
    if sums.len() > 1 { tree(&sums) } else { sums[0] }
}

#[test]
fn products_of_matrices() {
    for (m, k, n) in [(1, 1, 1), (3, 17, 5), (9, 100, 19), (70, 33, 8), (2, 0, 3)] {
        for size in [1.0, 300.0] {
            let (a, b) = (noise(m * k, size, 1), noise(k * n, size, 2));
            let made = run(&node("MatMul", &[]), &[(&[m, k], &a), (&[k, n], &b)]);
            let want: Vec<f32> = (0..m * n)
                .map(|at| dot(&(0..k).map(|t| (a[at / n * k + t], b[t * n + at % n])).collect::<Vec<_>>()))
                .collect();
            assert_eq!((made.shape, made.values.as_ref()), (vec![m, n], want.as_slice()), "{m}x{k}x{n}");
            // The same operands, turned.
            let turned = [transposed(&a, &[m, k], &[1, 0]), transposed(&b, &[k, n], &[1, 0])];
            let gemm = node("Gemm", &[("transA", &[1]), ("transB", &[1])]);
            assert_eq!(run(&gemm, &[(&[k, m], &turned[0]), (&[n, k], &turned[1])]).values.as_ref(), want);
        }
    }
}

#[test]
fn batches_are_broadcast() {
    let (a, b) = (noise(2 * 3 * 4 * 5, 1.0, 3), noise(3 * 5 * 2, 1.0, 4));
    let all = run(&node("MatMul", &[]), &[(&[2, 3, 4, 5], &a), (&[3, 5, 2], &b)]);
    assert_eq!(all.shape, [2, 3, 4, 2]);
    for at in 0..6 {
        let one = run(&node("MatMul", &[]), &[(&[4, 5], &a[at * 20..][..20]), (&[5, 2], &b[at % 3 * 10..][..10])]);
        assert_eq!(one.values.as_ref(), &all.values[at * 8..][..8]);
    }
    let vector = run(&node("MatMul", &[]), &[(&[5], &a[..5]), (&[3, 5, 2], &b)]);
    assert_eq!((vector.shape, vector.values[0]), (vec![3, 2], all.values[0]));
    assert!(compute(&node("MatMul", &[]), &given(&[(&[4, 5], &a[..20]), (&[4, 2], &b[..8])]), &Half).is_err());
}

#[test]
fn sums_overflow_and_stagnate() {
    // 300 x 300 once is finite in FP32, and infinite in FP16; what is taken off again comes too late.
    let (a, b) = ([vec![300.0; 16], vec![-300.0; 16]].concat(), vec![300.0; 32]);
    let made = run(&node("MatMul", &[]), &[(&[1, 32], &a), (&[32, 1], &b)]);
    assert_eq!(made.values.as_ref(), [f32::INFINITY]);
    // Within one step it is not too late.
    let (a, b) = ([300.0, -300.0], [300.0, 299.0]);
    assert_eq!(run(&node("MatMul", &[]), &[(&[1, 2], &a), (&[2, 1], &b)]).values.as_ref(), [300.0]);
    // The steps of FP16 are 2 from 2048 on: single ones no longer count behind a product of 2048.
    let (a, b) = ([vec![2048.0], vec![0.0; 15], vec![1.0], vec![0.0; 15], vec![1.0]].concat(), vec![1.0; 33]);
    assert_eq!(run(&node("MatMul", &[]), &[(&[1, 33], &a), (&[33, 1], &b)]).values.as_ref(), [2048.0]);
    // A tree goes on counting: 70000 ones are beyond FP16, 60000 are not.
    assert_eq!(run(&node("ReduceSum", &[]), &[(&[60_000], &vec![1.0; 60_000])]).values.as_ref(), [60_000.0]);
    assert_eq!(run(&node("ReduceSum", &[]), &[(&[70_000], &vec![1.0; 70_000])]).values.as_ref(), [f32::INFINITY]);
    assert_eq!(run(&node("ReduceMean", &[]), &[(&[70_000], &vec![1.0; 70_000])]).values.as_ref(), [f32::INFINITY]);
}

/// Every window by itself: `[N, C, H, W]` by `[M, C / g, h, w]`.
fn window(x: (&[usize; 4], &[f32]), w: (&[usize; 4], &[f32]), how: [usize; 4], at: [usize; 4]) -> f32 {
    let ([_, channels, height, width], [made, into, kh, kw]) = (*x.0, *w.0);
    let ([groups, stride, pad, dilation], [n, m, row, column]) = (how, at);
    let mut pairs = Vec::new();
    for c in 0..into {
        for (i, j) in (0..kh).flat_map(|i| (0..kw).map(move |j| (i, j))) {
            let y = (row * stride + i * dilation).checked_sub(pad).filter(|y| *y < height);
            let z = (column * stride + j * dilation).checked_sub(pad).filter(|z| *z < width);
            let channel = m / (made / groups) * into + c;
            let pixel = y.zip(z).map_or(0.0, |(y, z)| x.1[((n * channels + channel) * height + y) * width + z]);
            pairs.push((w.1[((m * into + c) * kh + i) * kw + j], pixel));
        }
    }
    dot(&pairs)
}

#[test]
fn convolutions() {
    for (groups, stride, pad, dilation) in [(1, 1, 0, 1), (2, 2, 1, 1), (4, 1, 2, 2), (1, 3, 1, 2)] {
        let (x, w) = ([2, 4, 7, 9], [8, 4 / groups, 3, 2]);
        let (values, weights) = (noise(2 * 4 * 63, 40.0, 5), noise(w.iter().product(), 40.0, 6));
        let n = |n: usize| n as i64;
        let conv = node(
            "Conv",
            &[
                ("group", &[n(groups)]),
                ("strides", &[n(stride); 2]),
                ("pads", &[n(pad); 4]),
                ("dilations", &[n(dilation); 2]),
            ],
        );
        let made = run(&conv, &[(&x, &values), (&w, &weights)]);
        let size = |size: usize, kernel: usize| (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
        let (rows, columns) = (size(7, 3), size(9, 2));
        assert_eq!(made.shape, [2, 8, rows, columns]);
        let how = [groups, stride, pad, dilation];
        for (i, got) in made.values.iter().enumerate() {
            let at = [i / columns / rows / 8, i / columns / rows % 8, i / columns % rows, i % columns];
            assert_eq!(*got, window((&x, &values), (&w, &weights), how, at), "{how:?} {at:?}");
        }
    }
}

#[test]
fn a_transposed_convolution_undoes_the_strides() {
    // One pixel of 2 through a kernel of 1, 2, 3: 2, 4, 6; the next one two further on.
    let made = run(
        &node("ConvTranspose", &[("strides", &[2])]),
        &[(&[1, 1, 2], &[2.0, 10.0]), (&[1, 1, 3], &[1.0, 2.0, 3.0])],
    );
    assert_eq!((made.shape, made.values.as_ref()), (vec![1, 1, 5], &[2.0, 4.0, 16.0, 20.0, 30.0][..]));
    let padded = node("ConvTranspose", &[("strides", &[2]), ("pads", &[1, 1])]);
    let made = run(&padded, &[(&[1, 1, 2], &[2.0, 10.0]), (&[1, 1, 3], &[1.0, 2.0, 3.0])]);
    assert_eq!(made.values.as_ref(), [4.0, 16.0, 20.0]);
}

#[test]
fn reductions_are_trees() {
    let values = noise(3 * 300 * 2, 100.0, 7);
    let made = run(&node("ReduceSum", &[("axes", &[1]), ("keepdims", &[0])]), &[(&[3, 300, 2], &values)]);
    assert_eq!(made.shape, [3, 2]);
    for (at, got) in made.values.iter().enumerate() {
        let row: Vec<f32> = (0..300).map(|i| values[(at / 2 * 300 + i) * 2 + at % 2]).collect();
        assert_eq!(*got, tree(&row));
    }
    let squares = run(&node("ReduceSumSquare", &[("axes", &[-1])]), &[(&[1, 3], &[100.0, 100.0, 3.0])]);
    assert_eq!((squares.shape, squares.values.as_ref()), (vec![1, 1], &[low(20_009.0)][..]));
    let over = run(&node("ReduceL2", &[("axes", &[-1])]), &[(&[1, 2], &[300.0, 1.0])]);
    assert_eq!(over.values.as_ref(), [f32::INFINITY]);
    let pooled =
        run(&node("GlobalAveragePool", &[]), &[(&[1, 2, 2, 2], &[1.0, 2.0, 3.0, 4.0, 30.0, 30.0, 30.0, 30.0])]);
    assert_eq!((pooled.shape, pooled.values.as_ref()), (vec![1, 2, 1, 1], &[2.5, 30.0][..]));
}

#[test]
fn normalisations_round_their_statistics() {
    let norm = node("LayerNormalization", &[]);
    let ones = [1.0; 4];
    let fine = run(&norm, &[(&[1, 4], &[1.0, 2.0, 3.0, 4.0]), (&[4], &ones)]);
    let root = low((1.25f32 + low(1e-5)).sqrt());
    let want: Vec<f32> = [-1.5, -0.5, 0.5, 1.5].map(|x| low(x / root)).into();
    assert_eq!(fine.values.as_ref(), want);
    // The squares are beyond FP16: everything over infinity is nothing.
    let far = run(&norm, &[(&[1, 4], &[300.0, -300.0, 300.0, -300.0]), (&[4], &ones)]);
    assert_eq!(far.values.as_ref(), [0.0; 4]);
    // Each square is not, their sum is.
    let sum = run(&norm, &[(&[1, 32], &[100.0, -100.0].repeat(16)), (&[1], &[1.0])]);
    assert_eq!(sum.values.as_ref(), [0.0; 32]);
    let rms = node("RMSNormalization", &[]);
    assert_eq!(run(&rms, &[(&[1, 2], &[3.0, 3.0]), (&[2], &[2.0, 1.0])]).values.as_ref(), [2.0, 1.0]);
    let instance = node("InstanceNormalization", &[]);
    let made = run(&instance, &[(&[1, 2, 2], &[1.0, 3.0, 500.0, 0.0]), (&[2], &[1.0, 1.0]), (&[2], &[0.0, 7.0])]);
    assert_eq!(made.values.as_ref(), [-1.0, 1.0, 7.0, 7.0]);
}

#[test]
fn what_is_watched_is_not_rounded() {
    let watch = Watch::default();
    let (a, b) = ([vec![300.0; 16], vec![-300.0; 16]].concat(), vec![300.0; 32]);
    let made = compute(&node("MatMul", &[]), &given(&[(&[1, 32], &a), (&[32, 1], &b)]), &watch).unwrap();
    assert_eq!((made[0].values.as_ref(), watch.peak()), (&[0.0][..], 16.0 * 9e4));
}

#[test]
fn a_softmax_sums_its_powers() {
    let made = run(&node("Softmax", &[]), &[(&[1, 3], &[0.0, 1.0, 2.0])]);
    let powers = [-2.0f32, -1.0, 0.0].map(|x| low(x.exp()));
    let sum = low(powers.iter().sum());
    assert_eq!(made.values.as_ref(), powers.map(|x| x / sum));
    // 70000 equal scores: the sum of the powers is infinite.
    let many = run(&node("Softmax", &[]), &[(&[1, 70_000], &vec![0.5; 70_000])]);
    assert_eq!(many.values[0], 0.0);
    let columns = run(&node("Softmax", &[("axis", &[0])]), &[(&[2, 2], &[0.0, 5.0, 0.0, 5.0])]);
    assert_eq!(columns.values.as_ref(), [0.5; 4]);
}
