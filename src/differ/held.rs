//! What one slot of a node holds: a setting, a constant, a wire, or nothing; and when two of them are the same. Knows no graph.

use crate::compare::{self, Tolerance};
use crate::onnx::{AttributeProto, attribute_type};
use crate::tensor::{DType, Tensor, shape_text};

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// One integer, or several.
    Ints(Vec<i64>),
    /// One number, or several.
    Floats(Vec<f32>),
    /// One text, or several.
    Text(Vec<String>),
}

/// A value that is written in a file.
#[derive(Clone, Debug)]
pub struct Constant {
    /// As the node that reads it calls it; empty in an attribute.
    pub name: String,
    /// As the node reads it: dequantised, transposed, dense.
    pub value: Tensor,
    /// Half a step of the coarsest quantised element, where it is stored in codes: it is right up to that.
    pub half_step: f64,
}

/// What a slot holds.
#[derive(Clone, Debug)]
pub enum Held {
    /// Left out, and no default says more.
    Absent,
    /// An attribute, as it is written; `None`: it is left out, and this is its default.
    Setting(Setting, Option<Box<AttributeProto>>),
    /// A value in the file.
    Constant(Box<Constant>),
    /// What some node makes, or the caller gives: the name in the node's own graph.
    Wire(String),
}

impl Setting {
    /// From JSON, as the table of schemas has it.
    pub fn read(text: &str) -> Option<Setting> {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let list = match value {
            serde_json::Value::Array(list) => list,
            one => vec![one],
        };
        if list.iter().all(serde_json::Value::is_i64) {
            return list.iter().map(serde_json::Value::as_i64).collect::<Option<_>>().map(Setting::Ints);
        }
        if list.iter().all(serde_json::Value::is_number) {
            let floats = list.iter().map(|v| v.as_f64().map(|x| x as f32)).collect::<Option<_>>();
            return floats.map(Setting::Floats);
        }
        list.iter().map(|v| v.as_str().map(str::to_string)).collect::<Option<_>>().map(Setting::Text)
    }

    /// Of an attribute; `None` for graphs, tensors and types.
    pub fn of(a: &AttributeProto) -> Option<Setting> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(match a.r#type() {
            attribute_type::INT => Setting::Ints(vec![a.i()]),
            attribute_type::FLOAT => Setting::Floats(vec![a.f()]),
            attribute_type::STRING => Setting::Text(vec![text(a.s.as_deref().unwrap_or_default())]),
            attribute_type::INTS => Setting::Ints(a.ints.clone()),
            attribute_type::FLOATS => Setting::Floats(a.floats.clone()),
            attribute_type::STRINGS => Setting::Text(a.strings.iter().map(|s| text(s)).collect()),
            _ => return None,
        })
    }

    /// As the attribute `name`; `list` says that the operator wants several.
    pub fn attribute(&self, name: &str, list: bool) -> AttributeProto {
        let mut a = AttributeProto { name: Some(name.to_string()), ..Default::default() };
        match self {
            Setting::Ints(v) if v.len() == 1 && !list => (a.i, a.r#type) = (Some(v[0]), Some(attribute_type::INT)),
            Setting::Ints(v) => (a.ints, a.r#type) = (v.clone(), Some(attribute_type::INTS)),
            Setting::Floats(v) if v.len() == 1 && !list => (a.f, a.r#type) = (Some(v[0]), Some(attribute_type::FLOAT)),
            Setting::Floats(v) => (a.floats, a.r#type) = (v.clone(), Some(attribute_type::FLOATS)),
            Setting::Text(v) if v.len() == 1 && !list => {
                (a.s, a.r#type) = (Some(v[0].clone().into_bytes().into()), Some(attribute_type::STRING));
            }
            Setting::Text(v) => {
                let strings = v.iter().map(|s| s.clone().into_bytes().into()).collect();
                (a.strings, a.r#type) = (strings, Some(attribute_type::STRINGS));
            }
        }
        a
    }

    /// As the value of an input; `like` is the element type that the operator wants of floats. Texts are none.
    pub fn tensor(&self, scalar: bool, like: DType) -> Option<Tensor> {
        let shape = |n: usize| if scalar && n == 1 { Vec::new() } else { vec![n] };
        match self {
            Setting::Ints(v) => Some(Tensor::i64(&shape(v.len()), v)),
            Setting::Floats(v) => {
                let value = Tensor::f32(&shape(v.len()), v);
                if like == DType::Float32 || !like.is_float() {
                    Some(value)
                } else {
                    crate::precision::cast(&value, like)
                }
            }
            Setting::Text(_) => None,
        }
    }

    /// What a small constant would be as an attribute.
    pub fn of_tensor(value: &Tensor) -> Option<Setting> {
        match value.dtype {
            DType::Int64 => Some(Setting::Ints(value.view::<i64>().to_vec())),
            DType::Int32 => Some(Setting::Ints(value.view::<i32>().iter().map(|i| i64::from(*i)).collect())),
            dtype if dtype.is_float() => {
                Some(Setting::Floats(compare::to_f64(value).into_iter().map(|x| x as f32).collect()))
            }
            _ => None,
        }
    }

    /// In words.
    pub fn text(&self) -> String {
        let list = |items: Vec<String>| match items.as_slice() {
            [one] => one.clone(),
            _ => format!("[{}]", items.join(", ")),
        };
        match self {
            Setting::Ints(v) => list(v.iter().map(i64::to_string).collect()),
            Setting::Floats(v) => list(v.iter().map(|x| exact(f64::from(*x))).collect()),
            Setting::Text(v) => list(v.clone()),
        }
    }

    /// Negative axes counted from the end of `rank` axes; other settings stay.
    pub fn resolved(&self, name: &str, rank: Option<usize>) -> Setting {
        let (Setting::Ints(v), Some(rank), "axis" | "axes") = (self, rank, name) else { return self.clone() };
        Setting::Ints(v.iter().map(|i| if *i < 0 { i + rank as i64 } else { *i }).collect())
    }
}

/// All digits that a float32 has: `6`, `1.4`, `1e-5`.
pub fn exact(x: f64) -> String {
    let text = format!("{:?}", x as f32);
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

/// What is left out means these in every version: nothing is padded, nothing strides, nothing is cut off.
pub fn is_neutral(name: &str, setting: &Setting) -> bool {
    if let ("min" | "max", Setting::Floats(v)) = (name, setting) {
        return v.iter().all(|x| x.abs() == f32::MAX);
    }
    let Setting::Ints(v) = setting else { return false };
    match name {
        "strides" | "dilations" => v.iter().all(|i| *i == 1),
        "pads" | "output_padding" => v.iter().all(|i| *i == 0),
        _ => false,
    }
}

/// Do the two hold the same? Wires are compared by who knows the graphs.
pub fn same(name: &str, mine: &Held, theirs: &Held, rank: Option<usize>) -> bool {
    match (mine, theirs) {
        (Held::Absent, Held::Absent) => true,
        (Held::Setting(a, _), Held::Setting(b, _)) => a.resolved(name, rank) == b.resolved(name, rank),
        // Left out here, and not known there: versions add settings that leave alone what was.
        (Held::Absent, Held::Setting(_, None)) | (Held::Setting(_, None), Held::Absent) => true,
        (Held::Absent, Held::Setting(s, _)) | (Held::Setting(s, _), Held::Absent) => is_neutral(name, s),
        (Held::Constant(a), Held::Constant(b)) => same_values(a, b),
        (Held::Setting(s, _), Held::Constant(c)) | (Held::Constant(c), Held::Setting(s, _)) => {
            Setting::of_tensor(&c.value).is_some_and(|c| c.resolved(name, rank) == s.resolved(name, rank))
        }
        _ => false,
    }
}

/// Are they equal, as far as their types and codes can hold them?
pub fn same_values(a: &Constant, b: &Constant) -> bool {
    distance(a, b).is_some_and(|d| d.differing == 0)
}

/// How far two constants are apart.
pub struct Distance {
    /// Elements that differ by more than storing them may change.
    pub differing: u64,
    /// All of them.
    pub elements: u64,
    /// The largest difference.
    pub largest: f64,
}

/// `None` where the shapes differ, or the kinds of elements.
pub fn distance(a: &Constant, b: &Constant) -> Option<Distance> {
    let (x, y) = (&a.value, &b.value);
    let scalars = x.elements() == 1 && y.elements() == 1;
    if (x.shape != y.shape && !scalars) || x.dtype.is_float() != y.dtype.is_float() {
        return None;
    }
    if x.dtype == y.dtype && x.identical(y) {
        return Some(Distance { differing: 0, elements: x.elements() as u64, largest: 0.0 });
    }
    if x.as_strings().is_some() || y.as_strings().is_some() {
        let differing = u64::from(x.as_strings() != y.as_strings());
        return Some(Distance { differing, elements: x.elements() as u64, largest: 0.0 });
    }
    let mut other = y.clone();
    other.shape.clone_from(&x.shape);
    let mut tolerance = rounding(x.dtype, y.dtype);
    tolerance.atol += 1.01 * a.half_step.max(b.half_step);
    let m = compare::compare(x, &other, tolerance).metrics?;
    Some(Distance { differing: m.mismatched, elements: m.elements, largest: m.max_abs.0 })
}

/// What every element of `a` is multiplied by in `b`, where that explains nearly all of what is between them.
pub fn factor(a: &Constant, b: &Constant) -> Option<f64> {
    let (x, y) = (compare::to_f64(&a.value), compare::to_f64(&b.value));
    let sum = |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(&y).map(|(x, y)| f(*x, *y)).sum::<f64>();
    let own = sum(&|x, _| x * x);
    let factor = sum(&|x, y| x * y) / own;
    let (left, all) = (sum(&|x, y| (y - factor * x).powi(2)), sum(&|x, y| (y - x).powi(2)));
    let explains = x.len() > 4 && (factor - 1.0).abs() > 0.01 && left < 0.01 * all;
    (x.len() == y.len() && factor.is_finite() && explains).then_some(factor)
}

/// Shape and type, in words.
pub fn described(value: &Tensor) -> String {
    format!("{} {}", value.dtype, shape_text(&value.shape))
}

/// What storing in the coarser of the two types may change.
fn rounding(a: DType, b: DType) -> Tolerance {
    match [a, b] {
        types if types.contains(&DType::Bfloat16) => Tolerance { atol: 1e-38, rtol: 1.01 * 2f64.powi(-8) },
        types if types.contains(&DType::Float16) => Tolerance { atol: 2f64.powi(-25), rtol: 1.01 * 2f64.powi(-11) },
        _ if a.is_float() => Tolerance { atol: 0.0, rtol: 1e-6 },
        _ => Tolerance { atol: 0.0, rtol: 0.0 },
    }
}
