//! `layerdiff inspect DATA.npz --against OTHER.npz`: how two inputs differ.

mod common;
#[path = "common/said.rs"]
mod said;

use std::path::{Path, PathBuf};

use common::{real_model, testdata};
use layerdiff::load::npz;
use layerdiff::tensor::{DType, Tensor, Tensors};
use said::{Said, inspect};

fn against(one: &Path, other: &Path, args: &[&str]) -> Said {
    let other = other.to_string_lossy();
    inspect(one, &[&["--against", &other], args].concat())
}

fn written(dir: &Path, name: &str, array: &str, tensor: Tensor) -> PathBuf {
    let path = dir.join(name);
    npz::write(&path, &Tensors::from([(array.to_string(), tensor)])).unwrap();
    path
}

/// `x` of a real model's data, 1x3x48x192, put into another shape by where each element comes from.
fn remade(shape: &[usize], from: impl Fn([usize; 4]) -> [usize; 3], value: impl Fn(usize, f32) -> f32) -> Tensor {
    let data = npz::read(&real_model("cls.npz")).unwrap();
    let source = data["x"].view::<f32>().into_owned();
    let mut values = Vec::new();
    for at in 0..shape.iter().product() {
        let (mut index, mut rest) = ([0; 4], at);
        for (i, size) in index.iter_mut().zip(shape).rev() {
            (*i, rest) = (rest % size, rest / size);
        }
        let [c, y, x] = from(index);
        values.push(value(c, source[(c * 48 + y) * 192 + x]));
    }
    Tensor::f32(shape, &values)
}

#[test]
fn a_preparation_of_images_is_told_step_by_step() {
    let dir = tempfile::tempdir().unwrap();
    let own = real_model("cls.npz");
    let check = |name: &str, array: &str, tensor: Tensor, words: &str| {
        let said = against(&own, &written(dir.path(), name, array, tensor), &[]);
        assert!(said.status == 1 && said.flat().contains(words), "{}{}", said.stdout, said.stderr);
    };
    let bgr = remade(&[1, 3, 48, 192], |[_, c, y, x]| [2 - c, y, x], |_, v| v);
    check("bgr.npz", "x", bgr, "'x': equal after: channels reversed on axis 1 (max abs 0)");
    let nhwc = remade(&[1, 48, 192, 3], |[_, y, x, c]| [c, y, x], |_, v| v * 255.0);
    check("nhwc.npz", "x", nhwc, "layout NCHW to NHWC, then times 255 (max abs");
    // One array each: another name is no hindrance.
    let means = [0.485f32, 0.456, 0.406];
    let stds = [0.229f32, 0.224, 0.225];
    let normal = remade(&[1, 3, 48, 192], |[_, c, y, x]| [c, y, x], |c, v| (v - means[c]) / stds[c]);
    check(
        "normal.npz",
        "images",
        normal,
        "'x' and 'images': equal after: ImageNet's mean and standard deviation taken off",
    );
    let squared = remade(&[1, 3, 48, 192], |[_, c, y, x]| [c, y, x], |_, v| v * v);
    check("squared.npz", "x", squared, "nothing that was tried explains it");
}

#[test]
fn the_same_data_is_equal() {
    let data = testdata("string_model/inputs.npz");
    assert_eq!(against(&data, &data, &[]).status, 0);
    assert_eq!(inspect(&data, &["--json"]).subject()["samples"], 1);
    let said = against(&real_model("cls.npz"), &real_model("cls.npz"), &["--json"]);
    let pair = &said.json()["differences"]["arrays"][0];
    assert_eq!((said.status, &pair["verdict"], &pair["max_abs"]), (0, &"equal".into(), &0.0.into()));
}

#[test]
fn ids_that_are_padded_on_the_other_side() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<i64> = (0..20).map(|i| 1000 + i * 977 % 613).collect();
    let row = |left: usize| [vec![0; left], ids.clone(), vec![0; 12 - left]].concat();
    let of = |name: &str, left| written(dir.path(), name, "input_ids", Tensor::i64(&[1, 32], &row(left)));
    let said = against(&of("right.npz", 0), &of("left.npz", 12), &[]);
    assert!(said.status == 1 && said.flat().contains("moved by 12 along axis 1 (max abs 0)"), "{}", said.stdout);
    let narrow = row(0).iter().map(|id| *id as i32).collect();
    let narrow = written(dir.path(), "n.npz", "input_ids", Tensor::from_vec(DType::Int32, vec![1, 32], narrow));
    let said = against(&of("right.npz", 0), &narrow, &[]);
    assert!(said.status == 1 && said.flat().contains("equal after: int64 made int32"), "{}", said.stdout);
}

#[test]
fn data_and_a_model_are_not_set_against_each_other() {
    let said = against(&real_model("cls.npz"), &real_model("cls.onnx"), &[]);
    assert!(said.status == 2 && said.stderr.contains("one is data and the other is not"), "{}", said.stderr);
}
