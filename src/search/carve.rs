//! Where to put marks so that they cut a set of items into even parts. No answers, no order of search.

use super::Dag;

/// Columns of ancestor bits that one pass over the items carries.
const COLUMNS: usize = 256;
type Bits = [u64; COLUMNS / 64];

/// At most `count` of the `open` items in `set` (sorted, and with every path between its items inside it), whose
/// ancestors cut the open items evenly; on a chain the parts differ by one at most.
/// What no mark is below is the last part.
///
/// The parts are peeled off one by one. Ancestors are counted exactly for every item, in memory linear in the set: a
/// few columns of the ancestor matrix at a time, and each column twice, when it is added and when it is peeled off.
pub(super) fn carve(dag: &Dag, set: &[usize], open: impl Fn(usize) -> bool, count: usize) -> Vec<usize> {
    let parents = local_parents(dag, set);
    let mut left: Vec<usize> = (0..set.len()).filter(|&i| open(set[i])).collect();
    let mut size = vec![0; set.len()];
    count_ancestors(&parents, &left, |item, n| size[item] += n);

    let mut marks = Vec::new();
    while marks.len() < count && !left.is_empty() {
        // One more than is open: the bad item at the end, which is a suspect too.
        let (rest, parts) = (left.len() + 1, count - marks.len());
        // The largest part that this mark would leave if the remainder were cut evenly.
        let largest = |part: usize| part.max((rest - part).div_ceil(parts));
        let best = left.iter().copied().min_by_key(|&i| (largest(size[i]), std::cmp::Reverse(size[i])));
        let Some(mark) = best else { break };
        marks.push(set[mark]);

        let above = ancestors(&parents, mark);
        let (peeled, kept): (Vec<usize>, Vec<usize>) = left.iter().partition(|&&i| above[i]);
        count_ancestors(&parents, &peeled, |item, n| size[item] -= n);
        left = kept;
    }
    marks.sort_unstable();
    marks
}

/// The parents of each item of `set` that are in the set too, both as positions in it.
fn local_parents(dag: &Dag, set: &[usize]) -> Vec<Vec<usize>> {
    let inside = |parent: &usize| set.binary_search(parent).ok();
    set.iter().map(|&item| dag.parents(item).iter().filter_map(inside).collect()).collect()
}

fn ancestors(parents: &[Vec<usize>], item: usize) -> Vec<bool> {
    let mut above = vec![false; item + 1];
    above[item] = true;
    for i in (0..=item).rev() {
        if above[i] {
            parents[i].iter().for_each(|&p| above[p] = true);
        }
    }
    above.resize(parents.len(), false);
    above
}

/// Tells `add` for each item how many of `columns` (sorted) are ancestors of it or itself, in several portions.
fn count_ancestors(parents: &[Vec<usize>], columns: &[usize], mut add: impl FnMut(usize, usize)) {
    let mut rows = vec![Bits::default(); parents.len()];
    for chunk in columns.chunks(COLUMNS) {
        let mut next = 0;
        for item in chunk[0]..parents.len() {
            let mut row = Bits::default();
            // Rows above the first column are left over from the chunk before.
            for &parent in parents[item].iter().filter(|&&p| p >= chunk[0]) {
                row.iter_mut().zip(&rows[parent]).for_each(|(word, above)| *word |= above);
            }
            if chunk.get(next) == Some(&item) {
                row[next / 64] |= 1 << (next % 64);
                next += 1;
            }
            rows[item] = row;
            add(item, row.iter().map(|word| word.count_ones() as usize).sum());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(n: usize) -> Dag {
        Dag::new((0..n).map(|i| i.checked_sub(1).into_iter().collect()).collect())
    }

    #[test]
    fn a_chain_is_cut_into_parts_that_differ_by_one() {
        for n in 2..700 {
            for count in [1, 2, 3, 8, 40] {
                let set: Vec<usize> = (0..n).collect();
                let marks = carve(&chain(n), &set, |i| i != n - 1, count);
                let ends = marks.iter().copied().chain([n - 1]);
                let starts = [0].into_iter().chain(marks.iter().map(|m| m + 1));
                let parts: Vec<usize> = ends.zip(starts).map(|(end, start)| end + 1 - start).collect();
                assert_eq!(marks.len(), count.min(n - 1));
                assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1, "{n} {count}: {parts:?}");
            }
        }
    }

    #[test]
    fn ancestors_are_counted_as_one_by_one() {
        // Wider than one chunk of columns, so that leftovers of a chunk would show.
        let parents: Vec<Vec<usize>> =
            (0..600usize).map(|i| (1..4).filter_map(|s| i.checked_sub(s * s)).collect()).collect();
        let columns: Vec<usize> = (0..600).filter(|i| i % 7 != 3).collect();
        let mut counted = vec![0; 600];
        count_ancestors(&parents, &columns, |item, n| counted[item] += n);
        for (item, &n) in counted.iter().enumerate() {
            let above = ancestors(&parents, item);
            assert_eq!(n, columns.iter().filter(|&&c| above[c]).count(), "item {item}");
        }
    }

    #[test]
    fn only_open_items_are_marked() {
        let set: Vec<usize> = (0..20).collect();
        assert_eq!(carve(&chain(20), &set, |i| i == 4 || i == 11, 8), [4, 11]);
    }

    #[test]
    fn parallel_branches_get_a_mark_each() {
        // Three branches of four items each into item 12.
        let mut parents: Vec<Vec<usize>> = (0..12).map(|i: usize| if i < 3 { vec![] } else { vec![i - 3] }).collect();
        parents.push(vec![9, 10, 11]);
        let set: Vec<usize> = (0..13).collect();
        assert_eq!(carve(&Dag::new(parents), &set, |i| i != 12, 3), [7, 8, 9], "parts of 4, 3, 3 and 3");
    }
}
