//! TensorRT's element types and ours: the same numbers in all families (`abi.txt` has them).

use crate::tensor::DType;

const TYPES: [(i32, DType); 12] = [
    (0, DType::Float32),
    (1, DType::Float16),
    (2, DType::Int8),
    (3, DType::Int32),
    (4, DType::Bool),
    (5, DType::Uint8),
    (6, DType::Float8e4m3fn),
    (7, DType::Bfloat16),
    (8, DType::Int64),
    (9, DType::Int4),
    (10, DType::Float4e2m1),
    (11, DType::Float8e8m0),
];

/// The type of a number of `DataType`; `None` for one that layerdiff does not know.
pub fn dtype(number: i32) -> Option<DType> {
    TYPES.iter().find(|(n, _)| *n == number).map(|(_, dtype)| *dtype)
}

/// `None` for a type that TensorRT does not have.
pub fn number(dtype: DType) -> Option<i32> {
    TYPES.iter().find(|(_, d)| *d == dtype).map(|(n, _)| *n)
}

#[cfg(test)]
mod tests {
    use super::super::abi::{Abi, Version};
    use super::*;

    #[test]
    fn numbers_are_those_of_the_table() {
        let abi = Abi::of(Version::from_number(110400)).unwrap();
        let names = ["FLOAT", "HALF", "INT8", "INT32", "BOOL", "UINT8", "FP8", "BF16", "INT64", "INT4", "FP4", "E8M0"];
        for ((number, dtype), name) in TYPES.iter().zip(names) {
            assert_eq!(abi.name_of("DataType", *number), Some(name));
            assert_eq!(super::number(*dtype), Some(*number));
        }
        assert_eq!((dtype(12), number(DType::Float64)), (None, None));
    }
}
