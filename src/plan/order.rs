//! In which order are tables loaded, so that a parent comes before its children?

/// The load order of a set of tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOrder {
    /// Every table once, by its number.
    pub order: Vec<usize>,
    /// Groups of two or more tables that refer to each other in a circle, each in catalogue order.
    pub cycles: Vec<Vec<usize>>,
}

/// Orders tables 0 to `tables` - 1 by their foreign keys, each a pair of child and parent.
///
/// Tables without parents come first, then those whose parents are all among these, and so on; catalogue
/// order within a level. Tables of a cycle count as one. A reference to itself or to a number out of range
/// orders nothing.
#[must_use]
pub fn load_order(tables: usize, references: &[(usize, usize)]) -> LoadOrder {
    let mut parents: Vec<Vec<usize>> = vec![Vec::new(); tables];
    for &(child, parent) in references {
        if child != parent
            && parent < tables
            && let Some(list) = parents.get_mut(child)
        {
            list.push(parent);
        }
    }
    let (component, count) = components(&parents);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (table, &c) in component.iter().enumerate() {
        members[c].push(table);
    }
    // Components are numbered parents first, so one pass sees every parent's level before it is needed.
    let mut level: Vec<usize> = vec![0; count];
    for (c, tables) in members.iter().enumerate() {
        level[c] = tables
            .iter()
            .flat_map(|&t| &parents[t])
            .filter(|&&p| component[p] != c)
            .map(|&p| level[component[p]] + 1)
            .max()
            .unwrap_or(0);
    }
    let mut order: Vec<usize> = (0..tables).collect();
    order.sort_by_key(|&t| (level[component[t]], t));
    let mut cycles: Vec<Vec<usize>> = members.into_iter().filter(|m| m.len() > 1).collect();
    cycles.sort();
    LoadOrder { order, cycles }
}

/// Tarjan's strongly connected components, with a stack of its own: a chain of foreign keys may be as long as
/// the schema. Gives each node its component's number, and the number of components; a component is numbered
/// after all it leads to.
fn components(edges: &[Vec<usize>]) -> (Vec<usize>, usize) {
    const UNSEEN: usize = usize::MAX;
    let n = edges.len();
    let mut index = vec![UNSEEN; n];
    let mut low = vec![0; n];
    let mut component = vec![UNSEEN; n];
    let mut open: Vec<usize> = Vec::new();
    let mut path: Vec<(usize, usize)> = Vec::new();
    let mut seen = 0;
    let mut count = 0;
    for start in 0..n {
        if index[start] != UNSEEN {
            continue;
        }
        path.push((start, 0));
        while let Some((node, edge)) = path.pop() {
            if edge == 0 {
                index[node] = seen;
                low[node] = seen;
                seen += 1;
                open.push(node);
            }
            match edges[node].get(edge) {
                Some(&next) if index[next] == UNSEEN => {
                    path.push((node, edge + 1));
                    path.push((next, 0));
                }
                Some(&next) => {
                    // A node that is seen and has no component yet is on the open stack.
                    if component[next] == UNSEEN {
                        low[node] = low[node].min(index[next]);
                    }
                    path.push((node, edge + 1));
                }
                None => {
                    if low[node] == index[node] {
                        while let Some(member) = open.pop() {
                            component[member] = count;
                            if member == node {
                                break;
                            }
                        }
                        count += 1;
                    }
                    if let Some(&(before, _)) = path.last() {
                        low[before] = low[before].min(low[node]);
                    }
                }
            }
        }
    }
    (component, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(order: &[usize]) -> Vec<usize> {
        let mut position = vec![0; order.len()];
        for (i, &t) in order.iter().enumerate() {
            position[t] = i;
        }
        position
    }

    #[test]
    fn parents_come_first_and_catalogue_order_decides_within_a_level() {
        // 0 -> 3 -> 4, 1 alone, 2 -> 4, and 4 refers to itself.
        let order = load_order(5, &[(0, 3), (3, 4), (2, 4), (4, 4)]);
        assert_eq!(order, LoadOrder { order: vec![1, 4, 2, 3, 0], cycles: vec![] });
    }

    #[test]
    fn a_cycle_comes_after_what_it_needs_and_before_what_needs_it() {
        let order = load_order(5, &[(0, 1), (1, 2), (2, 1), (2, 4), (3, 3)]);
        assert_eq!(order, LoadOrder { order: vec![3, 4, 1, 2, 0], cycles: vec![vec![1, 2]] });
    }

    #[test]
    fn a_chain_of_ten_thousand_tables_does_not_overflow_the_stack() {
        let n = 10_000;
        let chain: Vec<(usize, usize)> = (0..n - 1).map(|i| (i, i + 1)).collect();
        let run = || (load_order(n, &chain), load_order(n, &[chain.clone(), vec![(n - 1, 0)]].concat()));
        let small = std::thread::Builder::new().stack_size(128 * 1024).spawn({
            let chain = chain.clone();
            move || load_order(n, &chain).order
        });
        assert_eq!(small.unwrap().join().unwrap(), (0..n).rev().collect::<Vec<_>>());
        assert_eq!(run().1.cycles, vec![(0..n).collect::<Vec<_>>()]);
    }

    proptest! {
        #[test]
        fn an_acyclic_graph_is_ordered_topologically(
            n in 1_usize..40, raw in prop::collection::vec((0_usize..40, 0_usize..40), 0..120), seed in any::<u64>(),
        ) {
            // A random numbering, in which every edge goes from a larger to a smaller rank.
            let mut rank: Vec<usize> = (0..n).collect();
            let mut state = seed | 1;
            for i in (1..n).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                rank.swap(i, (state >> 33) as usize % (i + 1));
            }
            let edges: Vec<(usize, usize)> = raw.iter().map(|&(a, b)| (a % n, b % n))
                .filter(|&(a, b)| rank[a] >= rank[b]).collect();
            let result = load_order(n, &edges);
            prop_assert!(result.cycles.is_empty());
            let at = position(&result.order);
            for &(child, parent) in edges.iter().filter(|(a, b)| a != b) {
                prop_assert!(at[parent] < at[child]);
            }
        }

        #[test]
        fn any_graph_is_ordered_up_to_its_cycles(
            n in 1_usize..12, raw in prop::collection::vec((0_usize..12, 0_usize..12), 0..30),
        ) {
            let edges: Vec<(usize, usize)> = raw.iter().map(|&(a, b)| (a % n, b % n)).collect();
            let result = load_order(n, &edges);
            let mut sorted = result.order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            // The oracle: reachability by repeated squaring's slow brother.
            let mut reach = vec![vec![false; n]; n];
            for &(a, b) in &edges { reach[a][b] = true; }
            for k in 0..n { for i in 0..n { for j in 0..n {
                reach[i][j] |= reach[i][k] && reach[k][j];
            } } }
            let at = position(&result.order);
            for a in 0..n { for b in 0..n {
                let together = result.cycles.iter().any(|c| c.contains(&a) && c.contains(&b));
                prop_assert_eq!(a != b && reach[a][b] && reach[b][a], a != b && together);
                if reach[a][b] && !reach[b][a] { prop_assert!(at[b] < at[a]); }
            } }
        }
    }
}
