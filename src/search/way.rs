//! Does a bad item's error reach a bad target? Only along items that are not good: a good one has lost it. No measuring.

use super::{Answer, Dag};

/// The items from which a way of items that are not good leads to a bad one of `targets`, as one flag an item. What was not
/// asked for counts as passable: more answers can only cut ways.
pub(super) fn alive(dag: &Dag, answers: &[Option<Answer>], targets: &[usize]) -> Vec<bool> {
    let mut alive = vec![false; dag.len()];
    targets.iter().filter(|&&t| answers[t] == Some(Answer::Bad)).for_each(|&t| alive[t] = true);
    for item in (0..dag.len()).rev() {
        let passable = |&&c: &&usize| answers[c] != Some(Answer::Good);
        alive[item] |= dag.children(item).iter().filter(passable).any(|&c| alive[c]);
    }
    alive
}

/// The nearest good items below `item`, behind items that are not good: where its error is lost. Sorted.
pub(super) fn lost_in(dag: &Dag, answers: &[Option<Answer>], item: usize) -> Vec<usize> {
    let mut reached = vec![false; dag.len()];
    reached[item] = true;
    let mut good = Vec::new();
    for below in item + 1..dag.len() {
        if !dag.parents(below).iter().any(|&p| reached[p]) {
            continue;
        }
        match answers[below] {
            Some(Answer::Good) => good.push(below),
            _ => reached[below] = true,
        }
    }
    good
}

/// The items that are still to be measured on the way from `item` to a bad one of `targets` that has the fewest of them,
/// sorted. Empty: the way was measured as far as it can be. `None`: every way leads through a good item.
pub fn open_way(dag: &Dag, answers: &[Option<Answer>], targets: &[usize], item: usize) -> Option<Vec<usize>> {
    // By item: what it takes from there to a target, and the next step.
    let mut least: Vec<Option<(usize, usize)>> = vec![None; dag.len()];
    targets.iter().filter(|&&t| answers[t] == Some(Answer::Bad)).for_each(|&t| least[t] = Some((0, t)));
    for at in (item..dag.len()).rev().filter(|&at| answers[at] != Some(Answer::Good)) {
        let open = usize::from(answers[at].is_none());
        let below = dag.children(at).iter().filter_map(|&c| Some((least[c]?.0 + open, c)));
        // A target is the end of its own way.
        least[at] = least[at].or(below.min());
    }
    let mut way = Vec::new();
    let mut at = item;
    least[at]?;
    while let Some((_, next)) = least[at].filter(|&(_, next)| next != at) {
        at = next;
        way.extend(answers[at].is_none().then_some(at));
    }
    Some(way)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Answer::{Bad, Good, Unknown};

    /// 0 leads to 5 by 1 and 2, and by 3 and 4.
    fn ladder() -> Dag {
        Dag::new(vec![vec![], vec![0], vec![1], vec![0], vec![3], vec![2, 4]])
    }

    #[test]
    fn a_way_asks_for_what_nobody_measured() {
        let check = |answers: [Option<Answer>; 6], want: Option<&[usize]>| {
            assert_eq!(open_way(&ladder(), &answers, &[5], 0).as_deref(), want, "{answers:?}");
        };
        let (bad, good, unseen) = (Some(Bad), Some(Good), Some(Unknown));
        check([bad, None, None, None, None, bad], Some(&[1, 2]));
        check([bad, None, None, bad, None, bad], Some(&[4]));
        check([bad, None, bad, bad, unseen, bad], Some(&[]));
        check([bad, good, None, None, None, bad], Some(&[3, 4]));
        check([bad, good, None, None, good, bad], None);
        check([bad, bad, bad, bad, bad, good], None);
        check([bad, good, good, good, good, bad], None);
    }

    #[test]
    fn a_target_is_its_own_way() {
        let dag = Dag::new(vec![vec![], vec![0]]);
        assert_eq!(open_way(&dag, &[Some(Bad), Some(Good)], &[0, 1], 0), Some(vec![]));
    }

    #[test]
    fn an_error_is_lost_in_the_nearest_good_items() {
        let answers = [Some(Bad), Some(Good), Some(Bad), Some(Unknown), Some(Good), Some(Bad)];
        assert_eq!(lost_in(&ladder(), &answers, 0), [1, 4]);
        assert_eq!(alive(&ladder(), &answers, &[5]), [false, true, true, false, true, true]);
    }
}
