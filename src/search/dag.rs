//! The DAG that is searched: adjacency both ways and closures over it. It holds no answers.

/// Items 0..n in topological order.
#[derive(Clone, Debug)]
pub struct Dag {
    parents: Vec<Vec<usize>>,
    children: Vec<Vec<usize>>,
}

impl Dag {
    /// `parents[i]` are the direct inputs of item i, each a number below i.
    pub fn new(mut parents: Vec<Vec<usize>>) -> Dag {
        let mut children = vec![Vec::new(); parents.len()];
        for (item, above) in parents.iter_mut().enumerate() {
            above.sort_unstable();
            above.dedup();
            debug_assert!(above.last().is_none_or(|&p| p < item), "item {item} comes before one of its parents");
            for &parent in above.iter() {
                children[parent].push(item);
            }
        }
        Dag { parents, children }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// Are there no items at all?
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// Its direct inputs, ascending, each once.
    pub fn parents(&self, item: usize) -> &[usize] {
        &self.parents[item]
    }

    /// What is computed directly from it, ascending.
    pub fn children(&self, item: usize) -> &[usize] {
        &self.children[item]
    }

    /// `items` and everything above them, as one flag an item.
    pub fn ancestors(&self, items: &[usize]) -> Vec<bool> {
        let mut inside = self.flags(items);
        for item in (0..self.len()).rev() {
            inside[item] |= self.children(item).iter().any(|&c| inside[c]);
        }
        inside
    }

    /// `items` and everything below them, as one flag an item.
    pub fn descendants(&self, items: &[usize]) -> Vec<bool> {
        let mut inside = self.flags(items);
        for item in 0..self.len() {
            inside[item] |= self.parents(item).iter().any(|&p| inside[p]);
        }
        inside
    }

    fn flags(&self, items: &[usize]) -> Vec<bool> {
        let mut flags = vec![false; self.len()];
        items.iter().for_each(|&i| flags[i] = true);
        flags
    }
}
