//! How far the partial sums of a node go from zero: first a bound that costs little, then, where that is beyond FP16, the sums.

use super::half::{INFINITE, Watch};
use super::{Call, Values, compute};
use crate::onnx::NodeProto;

/// The furthest that a partial sum inside the node goes, where that is beyond FP16's range and a number. Products take at most `most`
/// multiplications, which are taken off it.
pub fn beyond(node: &NodeProto, inputs: &[Option<Values>], most: &mut u64) -> Option<f32> {
    let call = Call { node, inputs };
    if let Some((bound, work)) = product(&call) {
        if bound < INFINITE || work > *most {
            return None;
        }
        *most -= work;
    }
    let watch = Watch::default();
    compute(node, inputs, &watch).ok()?;
    Some(watch.peak()).filter(|peak| *peak >= INFINITE && peak.is_finite())
}

/// Of a product: what no partial sum exceeds, and how many multiplications it is.
fn product(call: &Call) -> Option<(f32, u64)> {
    let (a, b) = (call.given(0)?, call.given(1)?);
    let (last, turned) = (b.rank().checked_sub(1)?, call.is_on("transB"));
    let size = |axis: usize| b.shape[axis];
    // The second operand as terms among what is made of them, and how often each term counts.
    let (terms, inner, often) = match call.node.op_type() {
        "MatMul" | "FusedMatMul" | "TransposeMatMul" | "Gemm" if turned || last == 0 => (size(last), 1, 1),
        "MatMul" | "FusedMatMul" | "TransposeMatMul" | "Gemm" => (size(last - 1), size(last), 1),
        "Conv" => (b.behind(1), 1, 1),
        "ConvTranspose" => (size(0), b.behind(1), b.behind(2)),
        _ => return None,
    };
    let furthest = a.values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let bound = furthest * longest(&b.values, terms, inner) * often as f32 * ABOVE;
    let work = match call.node.op_type() {
        "Conv" | "ConvTranspose" => a.behind(2) as u64 * a.shape[0] as u64 * b.values.len() as u64,
        _ => a.values.len() as u64 * (b.values.len() / terms.max(1)).max(1) as u64,
    };
    Some((bound, work))
}

/// The rounding of a bound.
const ABOVE: f32 = 1.001;

/// The largest sum of sizes of so many terms.
fn longest(values: &[f32], terms: usize, inner: usize) -> f32 {
    let mut most = 0.0f32;
    for block in values.chunks((terms * inner).max(1)) {
        let mut sums = vec![0.0f32; inner];
        block.chunks(inner.max(1)).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x.abs()));
        most = sums.into_iter().fold(most, f32::max);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(op_type: &str, a: (&[usize], &[f32]), b: (&[usize], &[f32]), most: &mut u64) -> Option<f32> {
        let given = |(shape, values): (&[usize], &[f32])| Values::made(shape.to_vec(), values.to_vec());
        beyond(&NodeProto::new(op_type, "n", &["a", "b"], &["y"]), &[Some(given(a)), Some(given(b))], most)
    }

    #[test]
    fn a_bound_clears_and_a_sum_tells() {
        let far = [vec![300.0; 16], vec![-300.0; 16]].concat();
        let mut most = 100;
        let product = |x: f32, most: &mut u64| reach("MatMul", (&[1, 32], &far), (&[32, 1], &[x; 32]), most);
        assert_eq!(product(300.0, &mut most), Some(16.0 * 9e4));
        // That was 32 multiplications; what is cleared is none.
        assert_eq!((product(1.0, &mut most), most), (None, 68));
        assert_eq!((product(300.0, &mut 10), most), (None, 68));
        // The bound is beyond, no sum is.
        let turns: Vec<f32> = (0..32).map(|i| if i % 2 == 0 { 300.0 } else { -300.0 }).collect();
        assert_eq!(reach("MatMul", (&[1, 32], &turns), (&[32, 1], &[300.0; 32]), &mut 100), None);
        // What is infinite itself is told elsewhere.
        assert_eq!(reach("MatMul", (&[1, 1], &[f32::INFINITY]), (&[1, 1], &[1.0]), &mut 100), None);
    }

    #[test]
    fn a_convolution_is_bounded_by_its_kernels() {
        let mut most = 1000;
        let x = [200.0; 9];
        let far = reach("Conv", (&[1, 1, 3, 3], &x), (&[1, 1, 3, 3], &[50.0; 9]), &mut most);
        assert_eq!((far, most), (Some(9.0 * 1e4), 1000 - 81));
        assert_eq!(reach("Conv", (&[1, 1, 3, 3], &x), (&[1, 1, 3, 3], &[30.0; 9]), &mut most), None);
    }
}
