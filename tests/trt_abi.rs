//! The table of TensorRT's binary interface against NVIDIA's public headers, compiled by g++.

use std::process::Command;

#[test]
fn the_table_says_what_the_headers_say() {
    if Command::new("g++").arg("--version").output().is_err() {
        eprintln!("skipped the_table_says_what_the_headers_say: there is no g++");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/check_trt_abi.sh");
    let output = Command::new("bash").arg(script).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches(" 0 wrong").count(), 7, "{said}");
}
