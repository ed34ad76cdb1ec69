//! The functions of `fuzz/`, on a stable compiler and within seconds: files of the repository that were spoilt, and models drawn
//! from random bytes. `scripts/fuzz.sh` runs them for longer; PROPTEST_CASES says how often, PROPTEST_RNG_SEED repeats a run.

#[path = "../fuzz/src/lib.rs"]
mod drive;

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::root;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Some seconds for each test: what reads files takes a millisecond, what reads bytes much less.
const CASES: u32 = 600;
const QUICK: u32 = 20_000;

/// One change of a file; positions are parts of 65536 of its length.
#[derive(Clone, Debug)]
enum Edit {
    Flip(u16, u8),
    Cut(u16),
    Put(u16, Vec<u8>),
    Insert(u16, Vec<u8>),
    Repeat(u16, u8, u16),
    Remove(u16, u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    // Numbers that are too large for something, as they are written in protobuf, zip and NumPy; and any bytes.
    let odd = prop_oneof![
        Just(vec![0xff; 9]),
        Just(vec![0xff, 0xff, 0xff, 0xff, 0x07]),
        Just(vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        Just(vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
        Just(b"99999999999999999999".to_vec()),
        Just("\u{202e}\u{1b}[2J".as_bytes().to_vec()),
        Just(vec![0]),
        Just(b"[[[[[[[[".repeat(100)),
        prop::collection::vec(any::<u8>(), 1..8),
    ];
    prop_oneof![
        (any::<u16>(), 0..8u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        any::<u16>().prop_map(Edit::Cut),
        (any::<u16>(), odd.clone()).prop_map(|(at, bytes)| Edit::Put(at, bytes)),
        (any::<u16>(), odd).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<u16>(), 1..60u8, any::<u16>()).prop_map(|(at, length, to)| Edit::Repeat(at, length, to)),
        (any::<u16>(), 1..60u8).prop_map(|(at, length)| Edit::Remove(at, length)),
    ]
}

impl Edit {
    fn apply(&self, data: &mut Vec<u8>) {
        let place = |at: u16| usize::from(at) * data.len() / 65536;
        let after = |start: usize, length: usize| (start + length).min(data.len());
        match self {
            Edit::Flip(at, bit) => {
                let at = place(*at);
                data.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
            }
            Edit::Cut(at) => data.truncate(place(*at)),
            Edit::Put(at, bytes) => {
                let start = place(*at);
                drop(data.splice(start..after(start, bytes.len()), bytes.iter().copied()));
            }
            Edit::Insert(at, bytes) => drop(data.splice(place(*at)..place(*at), bytes.iter().copied())),
            Edit::Repeat(at, length, to) => {
                let (start, to) = (place(*at), place(*to));
                let copied = data[start..after(start, usize::from(*length))].to_vec();
                drop(data.splice(to..to, copied));
            }
            Edit::Remove(at, length) => {
                let start = place(*at);
                drop(data.drain(start..after(start, usize::from(*length))));
            }
        }
    }
}

fn check(strategy: impl Strategy<Value = Vec<u8>>, cases: u32, function: fn(&[u8])) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    // What fails is printed and mended; there is no file of old failures.
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&strategy, |data| {
        function(&data);
        Ok(())
    });
    run.unwrap_or_else(|failed| panic!("{failed}"));
}

/// `function` on every file with this ending below `folders`, then on spoilt ones.
fn spoilt(folders: &[&str], ending: &str, cases: u32, function: fn(&[u8])) {
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| files(&root().join(folder), ending, &mut paths));
    paths.sort();
    assert!(!paths.is_empty(), "no .{ending} below {folders:?}");
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    seeds.iter().for_each(|seed| function(seed));
    let edits = prop::collection::vec(edit(), 1..4);
    let spoil = |(mut data, edits): (Vec<u8>, Vec<Edit>)| {
        edits.iter().for_each(|edit| edit.apply(&mut data));
        data
    };
    check((prop::sample::select(seeds), edits).prop_map(spoil), cases, function);
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}

#[test]
fn models() {
    spoilt(&["testdata"], "onnx", CASES, drive::model);
}

#[test]
fn arrays() {
    spoilt(&["tests/data"], "npy", QUICK, drive::npy);
}

#[test]
fn archives() {
    spoilt(&["testdata", "tests/data"], "npz", QUICK, drive::npz);
}

#[test]
fn polygraphys_json() {
    spoilt(&["tests/data"], "json", CASES, drive::polygraphy);
}

#[test]
fn test_data_sets() {
    spoilt(&["tests/data"], "pb", CASES, drive::test_data_set);
}

#[test]
fn reports() {
    spoilt(&["fuzz/seeds/report"], "json", CASES, drive::report);
}

#[test]
fn journals() {
    spoilt(&["fuzz/seeds/journal"], "jsonl", CASES, drive::journal);
}

#[test]
fn graphs() {
    check(prop::collection::vec(any::<u8>(), 0..400), CASES, drive::graph);
}
