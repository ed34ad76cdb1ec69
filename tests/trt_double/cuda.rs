//! The double of libcuda as cudarc sees it: what works, and which mistakes end the process.

use std::process::Command;

use cudarc::driver::{CudaContext, result};

use crate::common::with_doubles;
use crate::text;

/// What the process of [`cuda_child`] does with cudarc; without the variable it does nothing.
const CHILD: &str = "LAYERDIFF_TEST_CUDA";

#[test]
fn cuda_child() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let context = CudaContext::new(0).unwrap();
    assert_eq!((context.name().unwrap().as_str(), context.compute_capability().unwrap()), ("CUDA double", (9, 0)));
    let (stream, second) = (context.new_stream().unwrap(), context.new_stream().unwrap());
    let sent: Vec<i64> = (0..1000).collect();
    let device = stream.clone_htod(&sent).unwrap();
    let mut raw = [0u8; 16];
    match what.as_str() {
        "good" => {
            // The second stream waits for the first: cudarc records an event.
            assert_eq!(second.clone_dtoh(&device).unwrap(), sent);
            let copy = stream.clone_dtod(&device).unwrap();
            assert_eq!(stream.clone_dtoh(&copy).unwrap(), sent);
            let zeros = stream.alloc_zeros::<f32>(7).unwrap();
            assert_eq!(stream.clone_dtoh(&zeros).unwrap(), [0.0; 7]);
            let (free, total) = context.mem_get_info().unwrap();
            assert_eq!(total - free, 2 * 8000 + 28);
            let too_much = stream.alloc_zeros::<u8>(total + 1).unwrap_err();
            assert!(too_much.to_string().contains("OUT_OF_MEMORY"), "{too_much}");
            drop((zeros, copy, device));
            stream.synchronize().unwrap();
        }
        // SAFETY: `memory` has 16 bytes, and both copies are of 16.
        "early" => unsafe {
            let memory = result::malloc_sync(16).unwrap();
            result::memcpy_htod_async(memory, &[7u8; 16], stream.cu_stream()).unwrap();
            result::memcpy_dtoh_sync(&mut raw, memory).unwrap();
            assert_eq!(raw, [0xcd; 16]);
            stream.synchronize().unwrap();
            result::memcpy_dtoh_sync(&mut raw, memory).unwrap();
            assert_eq!(raw, [7; 16]);
        },
        // SAFETY: a real driver refuses the pointer; the double ends the process. Nothing follows it.
        "host" => unsafe {
            let _ = result::memcpy_dtoh_sync(&mut raw, sent.as_ptr() as u64);
        },
        // SAFETY: as above, for the bytes behind the allocation; `raw` itself is large enough.
        _ => unsafe {
            let memory = result::malloc_sync(8).unwrap();
            let _ = result::memcpy_dtoh_sync(&mut raw, memory);
        },
    }
}

#[test]
fn libcuda_serves_cudarc_and_catches_mistakes() {
    let dir = tempfile::tempdir().unwrap();
    for (what, succeeds, said) in [
        ("good", true, "0 bytes in 0 allocations"),
        ("early", true, "16 bytes in 1 allocations"),
        ("host", false, "is no device memory"),
        ("beyond", false, "16 bytes at 0 of an allocation of 8"),
    ] {
        let leaks = dir.path().join(what);
        let mut child = Command::new(std::env::current_exe().unwrap());
        with_doubles(&mut child, "");
        child
            .args(["cuda::cuda_child", "--exact", "--nocapture"])
            .env(CHILD, what)
            .env("LAYERDIFF_DOUBLE_LEAKS", &leaks);
        let output = child.output().unwrap();
        let printed = text(&output) + &std::fs::read_to_string(&leaks).unwrap_or_default();
        assert!(output.status.success() == succeeds && printed.contains(said), "{what}: {printed}");
    }
}
