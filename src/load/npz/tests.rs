use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// No test takes as much.
const MOST: u64 = 1 << 30;
use crate::tensor::DType;

fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

fn identical(a: &Tensors, b: &Tensors) -> bool {
    a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| a.identical(b))
}

fn some() -> Tensors {
    Tensors::from([
        ("x".to_string(), Tensor::f32(&[2], &[1.0, f32::NAN])),
        ("/encoder/layer.0/Add:0".to_string(), Tensor::i64(&[], &[-1])),
        ("x.npy".to_string(), Tensor::f32(&[0, 3], &[])),
        (r"back\slash".to_string(), Tensor::strings(vec![1], vec!["naïve".into()]).unwrap()),
        ("../日本".to_string(), Tensor::f32(&[1], &[2.0])),
        (String::new(), Tensor::f32(&[1], &[3.0])),
    ])
}

#[test]
fn what_numpy_wrote() {
    let read = read(&data("arrays.npz")).unwrap();
    let counting = Tensor::f32(&[2, 3], &[0., 1., 2., 3., 4., 5.]);
    for name in ["f4", "big", "/encoder/layer.0/Add:0", "x.npy", "日本"] {
        assert!(read[name].identical(&counting), "{name}");
    }
    let halves: Vec<f32> = read["f2"].view::<half::f16>().iter().map(|v| v.to_f32()).collect();
    assert_eq!((read["f2"].dtype, halves), (DType::Float16, vec![0., 1., 2., 3., 4., 5.]));
    assert_eq!(read["f8"].view::<f64>().as_ref(), [0., 1., 2., 3., 4., 5.]);
    assert_eq!(read["fortran"].view::<i32>().as_ref(), (0..24).collect::<Vec<i32>>());
    assert_eq!(read["big_fortran"].view::<i16>().as_ref(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(read["big_complex"].view::<f32>().as_ref(), [1., 2.]);
    assert_eq!(read["c8"].view::<f32>().as_ref(), [1., 2., 0., -3.]);
    assert_eq!(read["c16"].view::<f64>().as_ref(), [1., 2.]);
    assert_eq!((read["b1"].dtype, read["b1"].bytes()), (DType::Bool, &[1, 0, 1][..]));
    assert_eq!(read["u1"].bytes(), [255]);
    assert!(read["i8"].identical(&Tensor::i64(&[], &[-5])));
    assert_eq!(read["u8"].view::<u64>().as_ref(), [u64::MAX]);
    assert!(read["empty"].identical(&Tensor::f32(&[0, 3], &[])));
    assert_eq!(read["U"].shape, [2, 2]);
    assert_eq!(read["U"].as_strings().unwrap(), ["naïve", "b", "", "日本"]);
    assert_eq!(read["big_U"].as_strings().unwrap(), ["añ"]);
    assert_eq!(read["S"].as_strings().unwrap(), ["ab", "c"]);
    assert!(identical(&read, &super::read(&data("compressed.npz")).unwrap()));
}

#[test]
fn what_is_written_is_read_again_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    write(&path, &some()).unwrap();
    assert!(identical(&read(&path).unwrap(), &some()));
    let bytes = Bytes::from(std::fs::read(&path).unwrap());
    let inside = bytes.as_ptr_range();
    let parsed = parse(bytes.clone(), MOST).unwrap();
    assert!(inside.contains(&parsed["x"].bytes().as_ptr()), "a stored entry was copied");
    let offset = parsed["x"].bytes().as_ptr() as usize - bytes.as_ptr() as usize;
    assert_eq!(offset % 64, 0, "not aligned in the file");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    write(&path, &some()).unwrap();
    let mut bad = some();
    bad.insert("nul\0".to_string(), Tensor::f32(&[1], &[0.0]));
    let message = format!("{:#}", write(&path, &bad).unwrap_err());
    assert!(message.contains("rename the tensor"), "{message}");
    assert!(identical(&read(&path).unwrap(), &some()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(write(&folder.path().join("none/a.npz"), &some()).is_err());
}

#[test]
fn an_archive_behind_other_bytes_is_read_in_the_right_place() {
    let archive = std::fs::read(data("arrays.npz")).unwrap();
    let shifted = [&b"#!/bin/sh\n"[..], &archive].concat();
    let read = parse(shifted.into(), MOST).unwrap();
    assert!(identical(&read, &parse(archive.into(), MOST).unwrap()));
}

#[test]
fn errors_name_the_file_and_the_array() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    write(&path, &Tensors::from([("x".to_string(), Tensor::f32(&[1], &[1.0]))])).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let value = bytes.windows(4).rposition(|w| w == [0, 0, 128, 63]).unwrap();
    bytes[value] = 1;
    std::fs::write(&path, bytes).unwrap();
    let message = format!("{:#}", read(&path).unwrap_err());
    assert!(message.contains("a.npz: array 'x': damaged"), "{message}");
    for (content, want) in [(&b""[..], "is empty"), (b"PK\x03\x04", "not an .npz archive, or truncated")] {
        std::fs::write(&path, content).unwrap();
        let message = format!("{:#}", read(&path).unwrap_err());
        assert!(message.contains("a.npz: ") && message.contains(want), "{message}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    for file in ["arrays.npz", "compressed.npz"] {
        let complete = Bytes::from(std::fs::read(data(file)).unwrap());
        for len in 0..complete.len() {
            assert!(parse(complete.slice(..len), MOST).is_err(), "{file}, {len} bytes");
        }
    }
}

proptest! {
    #[test]
    fn one_changed_byte_never_panics_and_never_invents_a_value(at in 0usize..1000, byte: u8, compressed: bool) {
        let file = if compressed { "compressed.npz" } else { "arrays.npz" };
        let valid = std::fs::read(data(file)).unwrap();
        let mut bytes = valid.clone();
        let at = at * bytes.len() / 1000;
        bytes[at] = byte;
        let Ok(tensors) = parse(bytes.into(), MOST) else { return Ok(()) };
        let right = parse(valid.into(), MOST).unwrap();
        // It may change a name, into one that is there already even.
        for (name, tensor) in &tensors {
            prop_assert!(right.values().any(|r| r.identical(tensor)), "{}", name);
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(bytes.clone().into(), MOST);
        bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x40\0\0\0\0\0\0\0\0\0");
        let _ = parse(bytes.into(), MOST);
    }
}

/// An archive of one compressed array of zeros, whose directory says that it unpacks to `claimed` bytes.
fn bomb(zeros: usize, claimed: u32) -> Bytes {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    archive.start_file("x.npy", options).unwrap();
    npy::write(&Tensor::f32(&[zeros], &vec![0.0; zeros])).write_to(&mut archive).unwrap();
    let mut bytes = archive.finish().unwrap().into_inner();
    let directory = bytes.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    bytes[directory + 24..directory + 28].copy_from_slice(&claimed.to_le_bytes());
    bytes.into()
}

#[test]
fn what_unpacks_to_more_than_there_is_room_for_is_refused() {
    let (zeros, size) = (1 << 20, (4 << 20) + 128);
    let check = |claimed: u32, most: u64, want: &str| {
        let error = format!("{:#}", parse(bomb(zeros, claimed), most).unwrap_err());
        assert!(error.contains(want), "{error}");
    };
    assert_eq!(parse(bomb(zeros, size), u64::from(size)).unwrap()["x"].elements(), zeros);
    check(size, u64::from(size) - 1, "array 'x': it takes 4194432 bytes unpacked, and --memory leaves 4194431 for it");
    check(u32::MAX - 1, MOST, "takes 4294967294 bytes unpacked");
    check(1000, MOST, "damaged");
    check(size + 1, MOST, "1 bytes follow the array");
}

#[test]
fn arrays_that_share_their_bytes_are_refused() {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for name in ["a.npy", "b.npy"] {
        archive.start_file(name, options).unwrap();
        npy::write(&Tensor::f32(&[1 << 16], &[0.0; 1 << 16])).write_to(&mut archive).unwrap();
    }
    let mut bytes = archive.finish().unwrap().into_inner();
    let entries: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"PK\x01\x02")).collect();
    // The second one begins where the first one does, and the file ends sooner.
    bytes[entries[1] + 42..entries[1] + 46].fill(0);
    let second = bytes.windows(4).rposition(|w| w == b"PK\x03\x04").unwrap();
    let cut = entries[0] - second;
    let end = bytes.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
    let start = u32::try_from(entries[0] - cut).unwrap();
    bytes[end + 16..end + 20].copy_from_slice(&start.to_le_bytes());
    bytes.drain(second..entries[0]);
    let error = format!("{:#}", parse(bytes.into(), MOST).unwrap_err());
    assert!(error.starts_with("array 'b': damaged"), "{error}");
}
