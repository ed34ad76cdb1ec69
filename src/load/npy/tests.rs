use proptest::prelude::*;

use super::*;
use crate::tensor::DType;

fn data(file: &str) -> Bytes {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/").to_string() + file).unwrap().into()
}

/// A version 1 file with this dictionary and body, as any writer might make it.
fn file(dictionary: &str, body: &[u8]) -> Bytes {
    let len = (dictionary.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], dictionary.as_bytes(), body].concat().into()
}

fn whole(tensor: &Tensor) -> Bytes {
    let mut out = Vec::new();
    write(tensor).write_to(&mut out).unwrap();
    assert_eq!(out.len(), write(tensor).len());
    out.into()
}

#[test]
fn every_numpy_type_round_trips_without_a_copy() {
    for dtype in DType::ALL.into_iter().filter(|d| header::descr(*d).is_some()) {
        for shape in [vec![], vec![3], vec![2, 3], vec![0, 4]] {
            let len = dtype.byte_len(shape.iter().product()).unwrap();
            let tensor = Tensor::new(dtype, shape, (0..len).map(|b| b as u8).collect::<Vec<u8>>()).unwrap();
            let written = whole(&tensor);
            let body = written.len() - len;
            assert_eq!(body % 64, 0);
            let back = parse(written.clone()).unwrap();
            assert!(back.identical(&tensor), "{back:?} {tensor:?}");
            assert!(len == 0 || std::ptr::eq(back.bytes().as_ptr(), written[body..].as_ptr()), "{dtype} was copied");
        }
    }
}

#[test]
fn strings_round_trip() {
    let words = ["", "a", "naïve", "日本語"].map(str::to_string).to_vec();
    let tensor = Tensor::strings(vec![2, 2], words).unwrap();
    assert!(parse(whole(&tensor)).unwrap().identical(&tensor));
    let none = Tensor::strings(vec![0], vec![]).unwrap();
    assert!(parse(whole(&none)).unwrap().identical(&none));
}

#[test]
fn versions_2_and_3_and_the_bfloat16_of_ml_dtypes() {
    let counting = Tensor::f32(&[2, 3], &[0., 1., 2., 3., 4., 5.]);
    assert!(parse(data("version2.npy")).unwrap().identical(&counting));
    assert!(parse(data("version3.npy")).unwrap().identical(&counting));
    let bfloat16 = parse(data("bfloat16.npy")).unwrap();
    assert_eq!(bfloat16.dtype, DType::Bfloat16);
    assert!(widen::widened(&bfloat16).identical(&counting));
}

#[test]
fn a_header_longer_than_version_1_allows_is_version_2() {
    let tensor = Tensor::f32(&[1; 30_000], &[1.0]);
    let written = whole(&tensor);
    assert_eq!((written[6], written.len() % 64), (2, 4));
    assert!(parse(written).unwrap().identical(&tensor));
}

#[test]
fn headers_of_other_writers() {
    let check = |dictionary: &str| parse(file(dictionary, &[0, 0, 128, 63, 0, 0, 0, 64])).unwrap();
    let want = Tensor::f32(&[2], &[1.0, 2.0]);
    assert!(check("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }  \n").identical(&want));
    assert!(check(r#"{"shape":(2L,),"fortran_order":True,"descr":"float32"}"#).identical(&want));
    assert!(check("{ 'descr':'=f4','shape':( 2 ),'fortran_order':False}").identical(&want));
}

#[test]
fn no_strings_of_any_width() {
    let text = "{'descr': '<U15101863793606217981', 'fortran_order': False, 'shape': (0, 3)}";
    assert_eq!(parse(file(text, &[])).unwrap().as_strings(), Some(&[][..]));
}

#[test]
fn fortran_order_is_transposed() {
    // NumPy's array [[1, 2, 3], [4, 5, 6]], column by column.
    let columns = file("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}", &[1, 4, 2, 5, 3, 6]);
    assert_eq!(parse(columns).unwrap().bytes(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_cannot_be_read_is_told_with_advice() {
    let with = |descr: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (2,)}}");
    let check = |bytes: Bytes, want: &str| {
        let message = parse(bytes).unwrap_err().to_string();
        assert!(message.contains(want), "{message:?} lacks {want:?}");
    };
    check(Bytes::new(), "not a .npy array");
    check(data("object.npy"), "Python objects");
    check(file(&with("'|V1'"), &[0; 2]), "8-bit or 4-bit type of ml_dtypes");
    check(file(&with("'<f16'"), &[0; 32]), "'<f16' is none of ONNX");
    check(file(&with("'<M8[ns]'"), &[0; 16]), "astype('float32')");
    check(file(&with("[('a', '<f4')]"), &[0; 8]), "structured array");
    check(file(&with("'<f4'"), &[0; 7]), "truncated: the shape [2] takes 8 bytes, but 7 are there");
    check(file(&with("'<f4'"), &[0; 9]), "1 bytes follow the array");
    check(file(&with("'<U0'"), &[]), "strings have no width");
    check(file(&with("'<U1'"), &[255; 8]), "string 0 is not valid text");
    check(file(&with("'|S1'"), &[b'a', 255]), "string 1 is not valid text");
    check(file("{'descr': '<f4', 'fortran_order': False}", &[]), "no 'shape'");
    check(file("{'descr': '<f4', 'fortran_order': 0}", &[]), "makes no sense at its byte");
    check(file("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", &[]), "makes no sense");
    let huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4)}";
    check(file(huge, &[]), "larger than any memory");
    check(Bytes::from_static(b"\x93NUMPY\x09\x00\x00\x00"), "version 9 is unknown");
    check(Bytes::from_static(b"\x93NUMPY\x02\x00\xff\xff\xff\xff"), "makes no sense");
    check(Bytes::from_static(b"\x93NUMPY\x01\x00\x80"), "truncated within the .npy header");
}

#[test]
fn every_truncation_is_an_error() {
    let complete = data("version2.npy");
    for len in 0..complete.len() {
        assert!(parse(complete.slice(..len)).is_err(), "{len} bytes");
    }
}

/// Element `index` of an array in Fortran order, by the definition.
fn fortran_offset(index: &[usize], shape: &[usize]) -> usize {
    let strides = (0..shape.len()).map(|axis| shape[..axis].iter().product::<usize>());
    index.iter().zip(strides).map(|(i, s)| i * s).sum()
}

proptest! {
    #[test]
    fn fortran_order_by_its_definition(shape in prop::collection::vec(1usize..5, 1..4)) {
        let elements: usize = shape.iter().product();
        let body: Vec<u8> = (0..elements as u16).flat_map(u16::to_le_bytes).collect();
        let ordered = in_c_order(&body, &shape, 2);
        for flat in 0..elements {
            let mut rest = flat;
            let mut index = vec![0; shape.len()];
            for axis in (0..shape.len()).rev() {
                index[axis] = rest % shape[axis];
                rest /= shape[axis];
            }
            let want = (fortran_offset(&index, &shape) as u16).to_le_bytes();
            prop_assert_eq!(&ordered[2 * flat..2 * flat + 2], &want);
        }
    }

    #[test]
    fn random_dictionaries_never_panic(text in "[{}'a-z0-9<>|,:()\\[\\] TrueFals_]{0,80}") {
        let _ = parse(file(&text, &[0; 8]));
    }

    #[test]
    fn random_fields_never_panic(
        descr in "[<>|=]?[fiubcUSOVM?][0-9]{0,20}",
        fortran in any::<bool>(),
        shape in prop::collection::vec(prop_oneof![0usize..4, any::<usize>()], 0..5),
        body in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let dims: String = shape.iter().map(|d| format!("{d},")).collect();
        let fortran = if fortran { "True" } else { "False" };
        let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({dims})}}");
        if let Ok(tensor) = parse(file(&text, &body)) {
            prop_assert_eq!(tensor.shape, shape);
        }
    }

    #[test]
    fn one_changed_byte_never_panics(at in 0usize..152, byte: u8) {
        let mut bytes = data("version3.npy").to_vec();
        bytes[at] = byte;
        let _ = parse(bytes.into());
    }
}
