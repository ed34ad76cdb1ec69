//! Arrays made of one another in the ways that preparations of images differ.

use super::*;

/// 1x3x10x12, smooth and nowhere symmetric; 0..1.
fn image() -> Vec<f32> {
    let at = |c: usize, y: usize, x: usize| {
        let (c, y, x) = (c as f64, y as f64, x as f64);
        (0.5 + 0.3 * (0.7 * x + c).sin() + 0.15 * (0.9 * y * (c + 1.0) + 0.2 * x).cos()) as f32
    };
    (0..3).flat_map(|c| (0..10).flat_map(move |y| (0..12).map(move |x| at(c, y, x)))).collect()
}

const SHAPE: [usize; 4] = [1, 3, 10, 12];

fn one() -> Tensor {
    Tensor::f32(&SHAPE, &image())
}

/// An array of this shape with what `f` says at each index.
fn made(shape: &[usize], f: impl Fn(&[usize], &dyn Fn(usize, usize, usize) -> f32) -> f32) -> Tensor {
    let source = image();
    let at = |c: usize, y: usize, x: usize| source[(c * 10 + y) * 12 + x];
    let mut index = vec![0; shape.len()];
    let mut values = Vec::new();
    for _ in 0..shape.iter().product::<usize>() {
        values.push(f(&index, &at));
        advance(&mut index, shape);
    }
    Tensor::f32(shape, &values)
}

fn check(other: Tensor, verdict: Relation, words: &[&str]) {
    let got = relate(&one(), &other);
    assert_eq!(got.verdict, verdict, "{}", got.text);
    words.iter().for_each(|word| assert!(got.text.contains(word), "{word}: {}", got.text));
}

#[test]
fn nothing_and_one_step() {
    check(one(), Relation::Equal, &["equal"]);
    let explained = |other, words: &[&str]| check(other, Relation::Explained, words);
    explained(made(&SHAPE, |i, at| at(2 - i[1], i[2], i[3])), &["channels reversed on axis 1 (max abs 0)"]);
    explained(made(&[1, 10, 12, 3], |i, at| at(i[3], i[1], i[2])), &["after: layout NCHW to NHWC (max abs 0)"]);
    explained(made(&SHAPE, |i, at| at(i[1], i[2], i[3]) * 255.0), &["after: times 255 (max abs"]);
    explained(made(&SHAPE, |i, at| at(i[1], i[2], 11 - i[3])), &["flipped on axis 3"]);
    explained(made(&[1, 3, 12, 10], |i, at| at(i[1], i[3], i[2])), &["axes 2 and 3 swapped"]);
    explained(made(&[3, 10, 12], |i, at| at(i[0], i[1], i[2])), &["axis 0 of one taken away"]);
}

#[test]
fn two_steps_and_more() {
    let explained = |other, words: &[&str]| check(other, Relation::Explained, words);
    let other = made(&SHAPE, |i, at| at(2 - i[1], i[2], i[3]) * 255.0);
    explained(other, &["channels reversed on axis 1, then times 255 (max abs"]);
    let (means, stds) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let other = made(&[10, 12, 3], |i, at| (at(i[2], i[0], i[1]) - means[i[2]]) / stds[i[2]]);
    explained(other, &["taken away, then layout CHW to HWC, then ImageNet's mean"]);
    let other = made(&SHAPE, |i, at| 2.0 * at(2 - i[1], i[2], 11 - i[3]) - 1.0);
    explained(other, &["channels reversed on axis 1", "flipped on axis 3", "times 2, minus 1"]);
    let fitted = made(&SHAPE, |i, at| at(i[1], i[2], i[3]) * [1.5, 2.5, 3.5][i[1]] + 0.25);
    explained(fitted, &["divided by [0.667, 0.400, 0.286] (fitted) on axis 1"]);
}

#[test]
fn a_letterbox_elsewhere() {
    let padded = |top: usize| {
        move |i: &[usize], at: &dyn Fn(usize, usize, usize) -> f32| {
            let inside = i[2].checked_sub(top).filter(|y| *y < 6);
            inside.map_or(0.447, |y| at(i[1], y, i[3]))
        }
    };
    let got = relate(&made(&SHAPE, padded(0)), &made(&SHAPE, padded(2)));
    assert!(got.text.contains("moved by 2 along axis 2 (max abs 0), on the 80.0 %"), "{}", got.text);
    assert!(got.text.contains("what comes in is 0.447 throughout"), "{}", got.text);
}

#[test]
fn bytes_and_floats() {
    let bytes: Vec<u8> = image().iter().map(|x| (x * 255.0).round() as u8).collect();
    let bytes = Tensor::new(DType::Uint8, SHAPE.to_vec(), bytes).unwrap();
    check(bytes.clone(), Relation::Explained, &["times 255, then rounded to whole numbers, then float32 made uint8"]);
    let floats: Vec<f32> = bytes.bytes().iter().map(|b| f32::from(*b) / 255.0).collect();
    let got = relate(&bytes, &Tensor::f32(&SHAPE, &floats));
    assert!(got.text.starts_with("equal after: divided by 255, then uint8 made float32"), "{}", got.text);
}

#[test]
fn what_nothing_explains_is_said_so() {
    check(
        made(&SHAPE, |i, at| at(i[1], i[2], i[3]).powi(2)),
        Relation::Different,
        &["nothing that was tried", "correlation 0.9"],
    );
    check(Tensor::f32(&[2], &[1.0, 2.0]), Relation::Different, &["not the same number of elements"]);
    let ids = |values: &[i64]| Tensor::i64(&[1, values.len()], values);
    let got = relate(&ids(&[101, 7592, 2088, 102]), &ids(&[101, 7592, 2089, 102]));
    assert_eq!((got.verdict, got.equal), (Relation::Different, Some(3)), "{}", got.text);
    let text = |t: &str| Tensor::strings(vec![1], vec![t.into()]).unwrap();
    assert_eq!(relate(&text("a"), &text("a")).verdict, Relation::Equal);
    assert_eq!(relate(&text("a"), &text("b")).verdict, Relation::Different);
}

#[test]
fn large_integers_and_complex_numbers_are_equal_by_their_bits() {
    let ids = |last: i64| Tensor::i64(&[9], &[1, 2, 3, 4, 5, 6, 7, 8, last]);
    assert_eq!(relate(&ids(1 << 60), &ids(1 << 60)).verdict, Relation::Equal);
    let got = relate(&ids(1 << 60), &ids((1 << 60) + 1));
    assert_eq!((got.verdict, got.text.as_str()), (Relation::Different, "they differ in digits that no float64 has"));
    let complex = |re: f32, im: f32| Tensor::from_vec(DType::Complex64, vec![1], vec![re, im]);
    assert_eq!(relate(&complex(3.0, 4.0), &complex(3.0, 4.0)).verdict, Relation::Equal);
    assert_eq!(relate(&complex(3.0, 4.0), &complex(4.0, 3.0)).verdict, Relation::Different);
}
