//! What differs between the families of TensorRT: where each method lies, and the numbers of flags. Reads `abi.txt`; calls nothing.

use std::collections::HashMap;
use std::fmt;

use crate::run::RunError;

/// The table, with one column a family.
const TABLE: &str = include_str!("abi.txt");

/// What `getInferLibVersion` says. TensorRT 10.16.0 is 101600, TensorRT-RTX 1.7.1 is 10701, TensorRT 8.6.1 is 8601.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number: a binary interface holds within it, with the exceptions that [`Family`] lists.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

/// Versions with one binary interface; the order is that of the columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// TensorRT 8.6: typed by the builder alone, dimensions of 32 bits, no tensor of 64-bit integers, no listener.
    Trt8_6,
    /// TensorRT 10, but for 10.8.0.
    Trt10,
    /// 10.8.0 has a method in the middle of the network's class that all others have at its end.
    Trt10_8,
    /// TensorRT 11: typed by the model alone.
    Trt11,
    /// TensorRT-RTX 1.3 and 1.4
    Rtx1_3,
    /// TensorRT-RTX 1.5 to 1.7, and newer ones until proven otherwise.
    Rtx1_5,
}

/// A switch of the builder. Not every family has every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Kernels may compute in float16.
    Fp16,
    /// Kernels may compute in int8.
    Int8,
    /// Kernels may compute in bfloat16.
    Bf16,
    /// Kernels may compute in 8-bit floats.
    Fp8,
    /// Products of float32 may take 10 bits of mantissa; TensorRT sets it by itself.
    Tf32,
    /// Kernels handle NaN strictly, whatever it costs.
    StrictNans,
    /// The precision that a layer asks for is a must.
    ObeyPrecisionConstraints,
    /// The precision that a layer asks for is a wish.
    PreferPrecisionConstraints,
    /// The engine waits after every layer and checks for errors.
    Debug,
    /// The engine runs in other versions of the library too.
    VersionCompatible,
    /// No timing cache is read or made.
    DisableTimingCache,
    /// A build fails rather than time a kernel that the cache does not know.
    ErrorOnTimingCacheMiss,
}

/// The table's column for one version.
#[derive(Debug)]
pub struct Abi {
    /// Which column it is.
    pub family: Family,
    slots: HashMap<(&'static str, &'static str), usize>,
    values: HashMap<(&'static str, &'static str), i32>,
}

impl Version {
    /// As the library says it; numbers below 0 are taken for 0.
    pub fn from_number(number: i32) -> Version {
        let n = u32::try_from(number).unwrap_or(0);
        // Up to 9.x the major version counted thousands.
        let unit = if n < 10_000 { 1_000 } else { 10_000 };
        Version { major: n / unit, minor: n % unit / 100, patch: n % 100 }
    }

    /// As the library says it: TensorRT-RTX, which began anew with 1, counts as TensorRT does from 10 on.
    pub fn number(self) -> i32 {
        let unit = if (4..10).contains(&self.major) { 1_000 } else { 10_000 };
        (self.major * unit + self.minor * 100 + self.patch) as i32
    }
}

impl Family {
    /// The family of a version, if it is one whose interface is known.
    pub fn of(version: Version) -> Option<Family> {
        match (version.major, version.minor) {
            (1, 3..=4) => Some(Family::Rtx1_3),
            (1, 5..) => Some(Family::Rtx1_5),
            (8, 6) => Some(Family::Trt8_6),
            (10, 8) => Some(Family::Trt10_8),
            (10, _) => Some(Family::Trt10),
            (11, _) => Some(Family::Trt11),
            _ => None,
        }
    }

    /// Is it one of TensorRT-RTX?
    pub fn is_rtx(self) -> bool {
        matches!(self, Family::Rtx1_3 | Family::Rtx1_5)
    }

    /// Can a network leave precisions to the builder? All others are typed by the model alone.
    pub fn weakly_typed(self) -> bool {
        matches!(self, Family::Trt8_6 | Family::Trt10 | Family::Trt10_8 | Family::Rtx1_3)
    }

    /// Can a network be typed by the model alone? In 8.6 the builder's flags decide, whatever the model says.
    pub fn strongly_typed(self) -> bool {
        self != Family::Trt8_6
    }

    /// Are dimensions numbers of 32 bits?
    pub fn has_narrow_dims(self) -> bool {
        self == Family::Trt8_6
    }
}

impl Flag {
    /// The name in NVIDIA's headers.
    pub fn header_name(self) -> &'static str {
        match self {
            Flag::Fp16 => "kFP16",
            Flag::Int8 => "kINT8",
            Flag::Bf16 => "kBF16",
            Flag::Fp8 => "kFP8",
            Flag::Tf32 => "kTF32",
            Flag::StrictNans => "kSTRICT_NANS",
            Flag::ObeyPrecisionConstraints => "kOBEY_PRECISION_CONSTRAINTS",
            Flag::PreferPrecisionConstraints => "kPREFER_PRECISION_CONSTRAINTS",
            Flag::Debug => "kDEBUG",
            Flag::VersionCompatible => "kVERSION_COMPATIBLE",
            Flag::DisableTimingCache => "kDISABLE_TIMING_CACHE",
            Flag::ErrorOnTimingCacheMiss => "kERROR_ON_TIMING_CACHE_MISS",
        }
    }
}

impl Abi {
    /// `None` for a version whose interface is not known.
    pub fn of(version: Version) -> Option<Abi> {
        let family = Family::of(version)?;
        let (mut slots, mut values) = (HashMap::new(), HashMap::new());
        for [what, class, name, cells @ ..] in rows() {
            match read(cells[family as usize], version) {
                Some(slot) if what == "slot" => _ = slots.insert((class, name), slot as usize),
                Some(value) => _ = values.insert((class, name), value),
                None => {}
            }
        }
        Some(Abi { family, slots, values })
    }

    /// The method's place in the class's table of virtual functions; `None` where the family has no such method.
    pub fn slot(&self, class: &'static str, method: &'static str) -> Option<usize> {
        self.slots.get(&(class, method)).copied()
    }

    /// The number of a name of an enumeration; `None` where the family has no such name.
    pub fn value(&self, enumeration: &'static str, name: &'static str) -> Option<i32> {
        self.values.get(&(enumeration, name)).copied()
    }

    /// The number of a builder flag; `None` where the family has no such flag.
    pub fn flag(&self, flag: Flag) -> Option<i32> {
        self.value("BuilderFlag", flag.header_name())
    }

    /// The name of a number, without its leading `k`.
    pub fn name_of(&self, enumeration: &str, value: i32) -> Option<&'static str> {
        let mut all = self.values.iter().filter(|((e, _), v)| *e == enumeration && **v == value);
        all.next().map(|((_, name), _)| name.trim_start_matches('k'))
    }

    /// How many slots a class that we implement must have at least.
    pub fn slots_of(&self, class: &str) -> impl Iterator<Item = (&'static str, usize)> {
        self.slots.iter().filter(move |((c, _), _)| *c == class).map(|((_, method), slot)| (*method, *slot))
    }
}

/// The answer to a wish for something that the loaded version does not have.
pub fn missing(library: &str, what: &str) -> RunError {
    RunError::Missing(format!("{library} has no {what}; use a version that has it"))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// `what class name` and the cells of the six families.
fn rows() -> impl Iterator<Item = [&'static str; 9]> {
    let lines = TABLE.lines().filter(|line| line.starts_with("slot ") || line.starts_with("value "));
    lines.filter_map(|line| line.split_whitespace().collect::<Vec<_>>().try_into().ok())
}

/// `7`, `-`, or `79>=10.12`: from that version on.
fn read(cell: &str, version: Version) -> Option<i32> {
    let (number, since) = cell.split_once(">=").unwrap_or((cell, "0.0"));
    let (major, minor) = since.split_once('.')?;
    let since = (major.parse().ok()?, minor.parse().ok()?);
    number.parse().ok().filter(|_| (version.major, version.minor) >= since)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        let mut parts = text.split('.').map(|p| p.parse().unwrap());
        Version { major: parts.next().unwrap(), minor: parts.next().unwrap(), patch: parts.next().unwrap_or(0) }
    }

    #[test]
    fn versions_and_families() {
        let check = |number: i32, text: &str, family: Option<Family>| {
            let version = Version::from_number(number);
            assert_eq!((version.to_string().as_str(), Family::of(version)), (text, family));
            assert!(number < 0 || version.number() == number);
        };
        check(101600, "10.16.0", Some(Family::Trt10));
        check(100800, "10.8.0", Some(Family::Trt10_8));
        check(110400, "11.4.0", Some(Family::Trt11));
        check(10400, "1.4.0", Some(Family::Rtx1_3));
        check(10701, "1.7.1", Some(Family::Rtx1_5));
        check(10200, "1.2.0", None);
        check(8601, "8.6.1", Some(Family::Trt8_6));
        check(8502, "8.5.2", None);
        check(9300, "9.3.0", None);
        check(120000, "12.0.0", None);
        check(-5, "0.0.0", None);
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
        assert_eq!(rows().count(), lines);
        let is_cell = |cell: &&str| *cell == "-" || read(cell, version("99.0")).is_some();
        assert!(rows().all(|row| row[3..].iter().all(is_cell)));
    }

    /// Slots counted by g++ in 17 sets of headers, among them those that the ABI script does not have.
    #[test]
    fn slots_agree_with_seventeen_sets_of_headers() {
        let mut lines = include_str!("../../../tests/trt_abi/headers.tsv").lines();
        let sets: Vec<&str> = lines.next().unwrap().split('\t').skip(2).collect();
        let (mut compared, mut methods) = (0, Vec::new());
        for line in lines {
            let cells: Vec<&str> = line.split('\t').collect();
            let (class, method) = (cells[0], cells[1]);
            methods.push((class, method));
            for (set, cell) in sets.iter().zip(&cells[2..]) {
                let abi = Abi::of(version(set.split_once('-').unwrap().1)).unwrap();
                let ours = abi.slots.get(&(class, method)).copied();
                // The sets before 10.16 have no parser header.
                if *cell != "-" || !class.starts_with("IParser") {
                    assert_eq!(ours, cell.parse().ok(), "{set} {class}::{method}");
                    compared += 1;
                }
            }
        }
        let ours: Vec<_> = rows().filter(|row| row[0] == "slot").map(|row| (row[1], row[2])).collect();
        assert_eq!(ours, methods);
        assert!(compared > 1700, "{compared}");
    }

    #[test]
    fn what_came_later_is_absent_before() {
        let slot =
            |v: &str| Abi::of(version(v)).unwrap().slot("VNetworkDefinition", "markUnfusedTensorsAsDebugTensors");
        assert_eq!([slot("10.11"), slot("10.12"), slot("11.0"), slot("1.7.1")], [None, Some(79), Some(76), Some(74)]);
        let flag = |v: &str, flag| Abi::of(version(v)).unwrap().flag(flag);
        assert_eq!([flag("10.3", Flag::Fp16), flag("11.4", Flag::Fp16)], [Some(0), None]);
        assert_eq!([flag("8.6", Flag::Fp16), flag("8.6", Flag::Bf16)], [Some(0), None]);
        assert_eq!([flag("10.3", Flag::StrictNans), flag("11.4", Flag::StrictNans)], [None, Some(23)]);
        assert_eq!(Abi::of(version("10.16")).unwrap().name_of("LayerType", 9), Some("ELEMENTWISE"));
    }
}
