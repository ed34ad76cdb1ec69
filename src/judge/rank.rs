//! The best of a row of values: which they are, and whether others are as good. Knows no tensor, no name and no rule.

/// The places of the `k` largest values, the largest first; of equal values the first, as NumPy's argmax and ONNX's TopK
/// have it. NaN has no place among them, so there may be fewer.
pub fn best(row: &[f64], k: usize) -> Vec<usize> {
    if k == 1 {
        let numbers = (0..row.len()).filter(|i| !row[*i].is_nan());
        return numbers.reduce(|best, i| if row[i] > row[best] { i } else { best }).into_iter().collect();
    }
    let mut places: Vec<usize> = (0..row.len()).filter(|i| !row[*i].is_nan()).collect();
    // Adding zero makes one of the two zeros.
    let order = |a: &usize, b: &usize| (row[*b] + 0.0).total_cmp(&(row[*a] + 0.0)).then(a.cmp(b));
    if k < places.len() {
        places.select_nth_unstable_by(k, order);
        places.truncate(k);
    }
    places.sort_by(order);
    places
}

/// Are these places the best of the row? Where values are equal, either choice is right; NaN is never among the best.
pub fn are_best(row: &[f64], places: &[usize]) -> bool {
    if places.iter().any(|i| row[*i].is_nan()) {
        return false;
    }
    let Some(least) = places.iter().map(|i| row[*i]).reduce(f64::min) else { return true };
    let above = row.iter().filter(|x| **x > least).count();
    above == places.iter().filter(|i| row[**i] > least).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few different values, so that many are equal; NaN and infinities are among them.
    fn rows() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            6 => (-2i32..3).prop_map(f64::from),
            1 => Just(f64::NAN),
            1 => Just(f64::INFINITY),
            1 => Just(f64::NEG_INFINITY),
            1 => Just(-0.0),
        ];
        prop::collection::vec(value, 0..8)
    }

    /// Every set of places, as bits.
    fn sets(width: usize) -> impl Iterator<Item = Vec<usize>> {
        (0..1usize << width).map(move |bits| (0..width).filter(|i| bits >> i & 1 == 1).collect())
    }

    /// By the definition: no value outside is larger than one inside.
    fn is_right(row: &[f64], set: &[usize]) -> bool {
        set.iter().all(|i| !row[*i].is_nan())
            && (0..row.len()).filter(|i| !set.contains(i)).all(|out| !set.iter().any(|i| row[out] > row[*i]))
    }

    proptest! {
        #[test]
        fn every_set_is_judged_as_by_its_definition(row in rows()) {
            for set in sets(row.len()) {
                prop_assert_eq!(are_best(&row, &set), is_right(&row, &set), "{:?}", set);
            }
        }

        #[test]
        fn the_best_are_one_right_set_and_the_first_of_equals(row in rows(), k in 0usize..9) {
            let numbers = row.iter().filter(|x| !x.is_nan()).count();
            let got = best(&row, k);
            prop_assert_eq!(got.len(), k.min(numbers));
            prop_assert!(is_right(&row, &got));
            prop_assert!(got.windows(2).all(|two| row[two[0]] > row[two[1]] || row[two[0]] == row[two[1]] && two[0] < two[1]));
            let later = |i: &usize| (0..*i).filter(|j| row[*j] == row[*i]).all(|j| got.contains(&j));
            prop_assert!(got.iter().all(later), "{:?}", got);
        }
    }
}
