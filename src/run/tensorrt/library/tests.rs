//! Finding TensorRT in folders made for the test.

use super::*;
use crate::run::ort::library::Naming;
use crate::run::tree::tree;

fn places(root: &Path) -> Places {
    Places { named: None, loader: vec![root.join("none"), root.join("lib")], sites: vec![root.join("site")] }
}

/// The files, and those that are found: the library, and the parser.
fn check(files: &[&str], expected: Option<(&str, Option<&str>)>) {
    let root = tree(files);
    let found = find_in(None, &places(root.path())).unwrap();
    let relative = |path: &Path| path.strip_prefix(root.path()).unwrap().to_string_lossy().into_owned();
    let found = found.map(|f| (relative(&f.library), f.parser.map(|p| relative(&p))));
    let expected = expected.map(|(library, parser)| (library.to_string(), parser.map(str::to_string)));
    assert_eq!(found, expected, "{files:?}");
}

#[test]
fn by_their_file_names() {
    check(&[], None);
    check(
        &["lib/libnvinfer.so.10", "lib/libnvonnxparser.so.10"],
        Some(("lib/libnvinfer.so.10", Some("lib/libnvonnxparser.so.10"))),
    );
    check(&["lib/libnvinfer.so.8"], Some(("lib/libnvinfer.so.8", None)));
    check(&["lib/libnvinfer.so.8.6.1"], Some(("lib/libnvinfer.so.8.6.1", None)));
    check(&["lib/libnvinfer.so.8.5.2"], None);
    check(&["lib/libnvinfer.so.9"], None);
    check(&["lib/libnvinfer.so.101"], None);
    check(&["lib/libnvinfer_plugin.so.10"], None);
    check(&["lib/libnvinfer.so"], Some(("lib/libnvinfer.so", None)));
    check(&["lib/libnvinfer_lean.so.11"], Some(("lib/libnvinfer_lean.so.11", None)));
    check(&["elsewhere/libnvinfer.so.10"], None);
    check(&["site/tensorrt_libs/libnvinfer.so.11"], Some(("site/tensorrt_libs/libnvinfer.so.11", None)));
    check(&["site/tensorrt_libs/lib/libnvinfer.so.11"], Some(("site/tensorrt_libs/lib/libnvinfer.so.11", None)));
    check(&["site/others/libnvinfer.so.11"], None);
}

#[test]
fn versions_are_in_the_names() {
    let check = |name: &str, library: &str, expected: Option<Option<&[u32]>>| {
        assert_eq!(version(name, library), expected.map(|v| v.map(<[u32]>::to_vec)), "{name}");
    };
    check("libnvinfer.so", "nvinfer", Some(None));
    check("libnvinfer.so.10.3.0", "nvinfer", Some(Some(&[10, 3, 0])));
    check("libnvinfer_plugin.so.10", "nvinfer", None);
    check("nvinfer_10.dll", "nvinfer", Some(Some(&[10])));
    check("nvinfer.dll", "nvinfer", Some(None));
    check("nvinfer_plugin_10.dll", "nvinfer", None);
    check("nvonnxparser_11.dll", "nvonnxparser", Some(Some(&[11])));
    check("tensorrt_rtx_1_7.dll", "tensorrt_rtx", Some(Some(&[1, 7])));
    check("nvinferno.dll", "nvinfer", None);
    check("cudart.dll", "nvinfer", None);
}

#[test]
fn the_newest_with_the_parser_of_its_version() {
    let two = [
        "lib/libnvinfer.so.10.3.0",
        "lib/libnvinfer.so.11.1.0",
        "lib/libnvonnxparser.so.10",
        "lib/libnvonnxparser.so.11",
    ];
    check(&two, Some(("lib/libnvinfer.so.11.1.0", Some("lib/libnvonnxparser.so.11"))));
    let other = ["lib/libnvinfer.so.11", "lib/libnvonnxparser.so.10"];
    check(&other, Some(("lib/libnvinfer.so.11", None)));
    let rtx = [
        "lib/libtensorrt_rtx.so.1.7.1",
        "lib/libtensorrt_onnxparser_rtx.so.1.6.0",
        "lib/libtensorrt_onnxparser_rtx.so.1.7.1",
    ];
    check(&rtx, Some(("lib/libtensorrt_rtx.so.1.7.1", Some("lib/libtensorrt_onnxparser_rtx.so.1.7.1"))));
}

#[test]
fn a_full_one_goes_before_rtx_before_a_lean_one() {
    let (lean, rtx) = ("lib/libnvinfer_lean.so.11", "lib/libtensorrt_rtx.so.1");
    check(&[lean, rtx], Some((rtx, None)));
    check(
        &[lean, rtx, "site/tensorrt_cu12_libs/libnvinfer.so.10"],
        Some(("site/tensorrt_cu12_libs/libnvinfer.so.10", None)),
    );
}

#[test]
fn what_the_user_names() {
    let root = tree(&[
        "mine/libnvinfer.so.10",
        "lib/libnvinfer.so.11",
        "sdk/lib/libtensorrt_rtx.so.1.7.1",
        "mine/double.so",
        "empty/x",
    ]);
    let at = |name: &str| root.path().join(name);
    let flag = |name: &str| find_in(Some(&at(name)), &places(root.path())).map(|found| found.unwrap());
    assert_eq!(flag("mine").unwrap().library, at("mine/libnvinfer.so.10"));
    assert_eq!(flag("sdk").unwrap().library, at("sdk/lib/libtensorrt_rtx.so.1.7.1"));
    assert_eq!(flag("mine/double.so").unwrap().kind, Kind::Full);
    let mistake = |name: &str, want: &str| {
        let e = flag(name).unwrap_err().to_string();
        assert!(e.starts_with("--trt-library names") && e.contains(want), "{e}");
    };
    let other = find_by("--candidate-trt-library", Some(&at("gone"))).unwrap_err().to_string();
    assert!(other.starts_with("--candidate-trt-library names"), "{other}");
    mistake("empty", "where no libnvinfer.so");
    mistake("gone", "not a file");

    let variable = Places { named: Some(at("mine")), ..places(root.path()) };
    let found = find_in(None, &variable).unwrap().unwrap();
    assert_eq!((found.library, found.origin), (at("mine/libnvinfer.so.10"), Origin::Environment));
    assert!(find_in(None, &Places { named: Some(at("gone")), ..variable }).is_err());
}

#[test]
fn places_come_from_the_environment() {
    let root = tree(&["venv/lib/python3.12/site-packages/x", "libs/x"]);
    let variable = |name: &str| match name {
        "VIRTUAL_ENV" => Some(root.path().join("venv").into_os_string()),
        "LD_LIBRARY_PATH" => Some(root.path().join("libs").into_os_string()),
        _ => None,
    };
    let places = Places::of(&Env {
        variable: &variable,
        python: &|_| unreachable!("python is not started"),
        naming: Naming::Elf,
    });
    assert_eq!(places.named, None);
    assert_eq!(places.loader[0], root.path().join("libs"));
    assert_eq!(places.sites[0], root.path().join("venv/lib/python3.12/site-packages"));
}
