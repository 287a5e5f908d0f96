//! Where the boxes and lines of a graph of foreign keys go: layers from left to right in load order.
//!
//! The method is Sugiyama's: a layer is one past the deepest parent's, at most [`Shape::tallest`] boxes high;
//! a line that skips layers gets a bend in each, which it shares with the others from the same box; the order
//! within layers is improved by barycentres, back and forth, and the best one seen is kept; heights then come
//! from the neighbours' mean, by isotonic regression, which never swaps two boxes. A key to a table that is
//! loaded later closes a circle: it is laid out as if turned round, and marked.

use std::collections::HashMap;

/// Measures, in the drawing's units.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Height of a box.
    pub box_height: f64,
    /// Free height between two boxes of a layer.
    pub gap: f64,
    /// Boxes in a layer at most.
    pub tallest: usize,
}

/// Upper left corner, and size, of one box.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoxPlace {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// The way of one line, from the right edge of its parent's box to the left edge of its child's.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The number of the edge.
    pub edge: usize,
    /// It closes a circle: what stands at its beginning is the child.
    pub is_turned: bool,
    /// An even number of points. Between the first and second of each pair the line is curved, between pairs
    /// straight.
    pub points: Vec<(f64, f64)>,
}

/// A drawing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Of the whole.
    pub width: f64,
    /// Of the whole.
    pub height: f64,
    /// By box.
    pub places: Vec<BoxPlace>,
    /// In the order of the edges.
    pub lines: Vec<Line>,
}

/// A box, or the bend of a line in a layer that it crosses.
struct Vertex {
    layer: usize,
    height: f64,
    /// To the layer before and after.
    before: Vec<usize>,
    after: Vec<usize>,
    is_bend: bool,
}

const SWEEPS: usize = 24;

/// Lays out boxes of the given widths, numbered in load order, and edges, each a pair of parent and child.
/// Edges must be distinct; those from a box to itself or out of range are not drawn.
pub fn layout(widths: &[f64], edges: &[(usize, usize)], shape: Shape) -> Layout {
    let boxes = widths.len();
    if boxes == 0 {
        return Layout::default();
    }
    let ends: Vec<(usize, usize, usize)> = edges
        .iter()
        .enumerate()
        .filter(|(_, (p, c))| p != c && *p < boxes && *c < boxes)
        .map(|(edge, &(p, c))| (edge, p.min(c), p.max(c)))
        .collect();
    let layer_of = layers(boxes, &ends, shape.tallest.max(1));
    let mut vertices: Vec<Vertex> = layer_of
        .iter()
        .map(|&layer| Vertex {
            layer,
            height: shape.box_height,
            before: vec![],
            after: vec![],
            is_bend: false,
        })
        .collect();
    // Every edge as the chain of its vertices, from left to right.
    let mut chains: Vec<Vec<usize>> = Vec::with_capacity(ends.len());
    // Lines from one box run as one until they part, so that a table that everybody refers to is no skein.
    let mut bends: HashMap<(usize, usize, bool), usize> = HashMap::new();
    for &(edge, from, to) in &ends {
        let is_turned = edges.get(edge).is_some_and(|&(parent, _)| parent != from);
        let mut chain = vec![from];
        for layer in layer_of[from] + 1..layer_of[to] {
            let bend = *bends.entry((from, layer, is_turned)).or_insert_with(|| {
                vertices.push(Vertex { layer, height: 4.0, before: vec![], after: vec![], is_bend: true });
                vertices.len() - 1
            });
            chain.push(bend);
        }
        chain.push(to);
        for pair in chain.windows(2) {
            if let [a, b] = *pair
                && !vertices[a].after.contains(&b)
            {
                vertices[a].after.push(b);
                vertices[b].before.push(a);
            }
        }
        chains.push(chain);
    }
    let order = arranged(&vertices);
    let mut middle = heights(&vertices, &order, shape.gap);
    close_bands(&vertices, &mut middle, shape.gap * 2.0);
    drawn(widths, &ends, edges, &vertices, &chains, &order, &middle, shape)
}

/// One past the deepest neighbour to the left, further where that layer is full.
fn layers(boxes: usize, ends: &[(usize, usize, usize)], tallest: usize) -> Vec<usize> {
    let mut parents: Vec<Vec<usize>> = vec![vec![]; boxes];
    for &(_, from, to) in ends {
        parents[to].push(from);
    }
    let mut layer_of = vec![0; boxes];
    let mut filled: Vec<usize> = Vec::new();
    for (v, parents) in parents.iter().enumerate() {
        let mut layer = parents.iter().map(|&p| layer_of[p] + 1).max().unwrap_or(0);
        while filled.get(layer).is_some_and(|&n| n >= tallest) {
            layer += 1;
        }
        if filled.len() <= layer {
            filled.resize(layer + 1, 0);
        }
        filled[layer] += 1;
        layer_of[v] = layer;
    }
    layer_of
}

/// The vertices of each layer from top to bottom, with few crossings.
fn arranged(vertices: &[Vertex]) -> Vec<Vec<usize>> {
    let count = vertices.iter().map(|v| v.layer + 1).max().unwrap_or(0);
    let mut order: Vec<Vec<usize>> = vec![vec![]; count];
    for (v, vertex) in vertices.iter().enumerate() {
        order[vertex.layer].push(v);
    }
    let mut at = vec![0; vertices.len()];
    for layer in &order {
        note_places(layer, &mut at);
    }
    let mut best = (crossings(vertices, &order, &at), order.clone());
    for sweep in 0..SWEEPS {
        let to_the_right = sweep % 2 == 0;
        for step in 0..count {
            let layer = &mut order[if to_the_right { step } else { count - 1 - step }];
            let mut keyed: Vec<(f64, usize)> = layer
                .iter()
                .map(|&v| {
                    let near = if to_the_right { &vertices[v].before } else { &vertices[v].after };
                    (mean(near.iter().map(|&n| at[n] as f64)).unwrap_or(at[v] as f64), v)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(at[a.1].cmp(&at[b.1])));
            *layer = keyed.into_iter().map(|(_, v)| v).collect();
            note_places(layer, &mut at);
        }
        for _ in 0..2 {
            for layer in &mut order {
                exchange(vertices, layer, &mut at);
            }
        }
        let now = crossings(vertices, &order, &at);
        if now < best.0 {
            best = (now, order.clone());
        }
        if best.0 == 0 {
            break;
        }
    }
    best.1
}

fn note_places(layer: &[usize], at: &mut [usize]) {
    for (i, &v) in layer.iter().enumerate() {
        at[v] = i;
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    (n > 0.0).then(|| sum / n)
}

/// Swaps neighbours of a layer where that removes crossings.
fn exchange(vertices: &[Vertex], layer: &mut [usize], at: &mut [usize]) {
    for i in 1..layer.len() {
        let (a, b) = (layer[i - 1], layer[i]);
        let (va, vb) = (&vertices[a], &vertices[b]);
        let kept = pairs_above(&vb.before, &va.before, at) + pairs_above(&vb.after, &va.after, at);
        let swapped = pairs_above(&va.before, &vb.before, at) + pairs_above(&va.after, &vb.after, at);
        if swapped < kept {
            layer.swap(i - 1, i);
            at[a] = i;
            at[b] = i - 1;
        }
    }
}

/// Pairs of a member of `upper` and one of `lower` in which the first is above the second.
fn pairs_above(upper: &[usize], lower: &[usize], at: &[usize]) -> usize {
    upper.iter().map(|&u| lower.iter().filter(|&&l| at[u] < at[l]).count()).sum()
}

/// Pairs of lines that cross between neighbouring layers, counted with a Fenwick tree.
fn crossings(vertices: &[Vertex], order: &[Vec<usize>], at: &[usize]) -> usize {
    let mut total = 0;
    for (i, layer) in order.iter().enumerate() {
        let width = order.get(i + 1).map_or(0, Vec::len);
        let mut tree = vec![0; width + 1];
        let mut seen = 0;
        for &v in layer {
            let mut ends: Vec<usize> = vertices[v].after.iter().map(|&n| at[n]).collect();
            ends.sort_unstable();
            for &end in &ends {
                let mut not_below = 0;
                let mut k = end + 1;
                while k > 0 {
                    not_below += tree[k];
                    k &= k - 1;
                }
                total += seen - not_below;
            }
            for end in ends {
                let mut k = end + 1;
                while k <= width {
                    tree[k] += 1;
                    k += k & k.wrapping_neg();
                }
                seen += 1;
            }
        }
    }
    total
}

/// The middle of each vertex: near its neighbours' mean, apart from those above and below.
fn heights(vertices: &[Vertex], order: &[Vec<usize>], gap: f64) -> Vec<f64> {
    let mut middle = vec![0.0; vertices.len()];
    for layer in order {
        let mut y = 0.0;
        for &v in layer {
            middle[v] = y + vertices[v].height / 2.0;
            y += vertices[v].height + gap;
        }
    }
    let count = order.len();
    for round in 0..40 {
        for step in 0..count {
            let layer = &order[if round % 2 == 0 { step } else { count - 1 - step }];
            let mut offset = 0.0;
            let mut offsets = Vec::with_capacity(layer.len());
            let mut wanted = Vec::with_capacity(layer.len());
            for (i, &v) in layer.iter().enumerate() {
                let vertex = &vertices[v];
                if i > 0 {
                    offset += (vertices[layer[i - 1]].height + vertex.height) / 2.0 + gap;
                }
                offsets.push(offset);
                let near = vertex.before.iter().chain(&vertex.after);
                // A line that runs straight through its bends is worth more than one that ends in the middle
                // of things.
                let (sum, weight) = near.fold((0.0, 0.0), |(sum, weight), &n| {
                    let w = if vertex.is_bend && vertices[n].is_bend { 6.0 } else { 1.0 };
                    (sum + middle[n] * w, weight + w)
                });
                let goal = if weight > 0.0 { sum / weight } else { middle[v] };
                wanted.push((goal - offset, if vertex.is_bend { 2.0 } else { 1.0 }));
            }
            for ((&v, offset), y) in layer.iter().zip(&offsets).zip(isotonic(&wanted)) {
                middle[v] = y + offset;
            }
        }
    }
    let top = vertices.iter().zip(&middle).map(|(v, m)| m - v.height / 2.0).fold(f64::INFINITY, f64::min);
    middle.iter().map(|m| m - top).collect()
}

/// Moves what stands below a band without any vertex up, so that the band is at most `most` high.
fn close_bands(vertices: &[Vertex], middle: &mut [f64], most: f64) {
    let mut by_height: Vec<usize> = (0..vertices.len()).collect();
    let upper = |v: usize, middle: &[f64]| middle[v] - vertices[v].height / 2.0;
    by_height.sort_by(|&a, &b| upper(a, middle).total_cmp(&upper(b, middle)).then(a.cmp(&b)));
    let mut lowest = 0.0_f64;
    let mut shift = 0.0;
    for v in by_height {
        shift += (upper(v, middle) - shift - lowest - most).max(0.0);
        middle[v] -= shift;
        lowest = lowest.max(middle[v] + vertices[v].height / 2.0);
    }
}

/// The non-decreasing sequence nearest to the given values with their weights (pool adjacent violators).
fn isotonic(wanted: &[(f64, f64)]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::with_capacity(wanted.len());
    for &(value, weight) in wanted {
        let mut pool = (value, weight, 1);
        while let Some(&(above, its_weight, n)) = pools.last() {
            if above <= pool.0 {
                break;
            }
            let sum = its_weight + pool.1;
            pool = ((above * its_weight + pool.0 * pool.1) / sum, sum, n + pool.2);
            pools.pop();
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(value, _, n)| std::iter::repeat_n(value, n)).collect()
}

#[allow(clippy::too_many_arguments)] // all that was found so far
fn drawn(
    widths: &[f64],
    ends: &[(usize, usize, usize)],
    edges: &[(usize, usize)],
    vertices: &[Vertex],
    chains: &[Vec<usize>],
    order: &[Vec<usize>],
    middle: &[f64],
    shape: Shape,
) -> Layout {
    // Columns are as wide as their widest box; the way between them grows with the lines that share it.
    let mut columns = Vec::with_capacity(order.len());
    let mut x = 0.0;
    let mut width = 0.0;
    for layer in order {
        let widest = layer.iter().filter_map(|&v| widths.get(v)).copied().fold(24.0, f64::max);
        columns.push((x, widest));
        width = x + widest;
        let lines: usize = layer.iter().map(|&v| vertices[v].after.len()).sum();
        x = width + (44.0 + 3.0 * lines as f64).min(110.0);
    }
    let places: Vec<BoxPlace> = widths
        .iter()
        .enumerate()
        .map(|(v, _)| {
            let (x, width) = columns[vertices[v].layer];
            let height = vertices[v].height;
            BoxPlace { x, y: middle[v] - height / 2.0, width, height }
        })
        .collect();
    // The ends of a box's lines are spread over its edge in the order of where they come from; those that
    // begin as one share an end.
    let mut from_right: Vec<Vec<End>> = vec![vec![]; widths.len()];
    let mut from_left: Vec<Vec<End>> = vec![vec![]; widths.len()];
    for (i, chain) in chains.iter().enumerate() {
        if let ([first, second, ..], [.., last_but_one, last]) = (chain.as_slice(), chain.as_slice()) {
            let bend = vertices[*second].is_bend.then_some(*second);
            from_right[*first].push(End { height: middle[*second], bend, line: i });
            from_left[*last].push(End { height: middle[*last_but_one], bend: None, line: i });
        }
    }
    let room = shape.box_height - 14.0;
    let right = spread(&mut from_right, chains.len(), room);
    let left = spread(&mut from_left, chains.len(), room);
    let mut lines = Vec::with_capacity(chains.len());
    for (i, (chain, &(edge, from, _))) in chains.iter().zip(ends).enumerate() {
        let mut points = Vec::with_capacity(chain.len() * 2);
        for (k, &v) in chain.iter().enumerate() {
            let (x, width) = columns[vertices[v].layer];
            if k > 0 {
                let port = if k + 1 == chain.len() { left[i] } else { 0.0 };
                points.push((x, middle[v] + port));
            }
            if k + 1 < chain.len() {
                let port = if k == 0 { right[i] } else { 0.0 };
                points.push((x + width, middle[v] + port));
            }
        }
        let is_turned = edges.get(edge).is_some_and(|&(parent, _)| parent != from);
        lines.push(Line { edge, is_turned, points });
    }
    let height = vertices.iter().zip(middle).map(|(v, m)| m + v.height / 2.0).fold(0.0, f64::max);
    Layout { width, height, places, lines }
}

/// Where a line meets a box.
#[derive(Clone)]
struct End {
    /// Of the line's next or last vertex.
    height: f64,
    /// The bend that it shares with other lines of the box.
    bend: Option<usize>,
    line: usize,
}

/// How far each line's end is from the middle of its box.
fn spread(boxes: &mut [Vec<End>], lines: usize, room: f64) -> Vec<f64> {
    let mut port = vec![0.0; lines];
    for ends in boxes {
        let key = |e: &End| (e.bend.is_none(), e.bend.unwrap_or(e.line));
        ends.sort_by(|a, b| a.height.total_cmp(&b.height).then(key(a).cmp(&key(b))));
        let groups: Vec<&[End]> = ends.chunk_by(|a, b| a.bend.is_some() && a.bend == b.bend).collect();
        let n = groups.len() as f64;
        let step = 7.0_f64.min(room / n);
        for (k, group) in groups.iter().enumerate() {
            for end in *group {
                port[end.line] = (k as f64 - (n - 1.0) / 2.0) * step;
            }
        }
    }
    port
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHAPE: Shape = Shape { box_height: 40.0, gap: 12.0, tallest: 8 };

    fn laid(n: usize, edges: &[(usize, usize)]) -> Layout {
        layout(&vec![100.0; n], edges, SHAPE)
    }

    fn overlap(a: &BoxPlace, b: &BoxPlace) -> bool {
        a.x < b.x + b.width
            && b.x < a.x + a.width
            && a.y + 0.001 < b.y + b.height
            && b.y + 0.001 < a.y + a.height
    }

    #[test]
    fn a_tree_has_no_crossing_and_a_chain_is_straight() {
        let chain = laid(4, &[(0, 1), (1, 2), (2, 3)]);
        assert!(chain.places.iter().all(|p| (p.y - chain.places[0].y).abs() < 0.01), "{chain:?}");
        // Two parents whose children alternate in load order.
        let mut vertices = laid(6, &[(0, 2), (1, 3), (0, 4), (1, 5)]).places;
        let children = vertices.split_off(2);
        let above = |i: usize, j: usize| children[i].y < children[j].y;
        assert!(above(0, 1) == above(2, 1) && above(0, 3) == above(2, 3), "{children:?}");
    }

    #[test]
    fn a_circle_is_drawn_and_marked() {
        let drawn = laid(3, &[(0, 1), (1, 2), (2, 0)]);
        let turned: Vec<usize> = drawn.lines.iter().filter(|l| l.is_turned).map(|l| l.edge).collect();
        assert_eq!(turned, [2]);
        assert_eq!(laid(1, &[(0, 0), (0, 7)]).lines, []);
    }

    proptest! {
        #[test]
        fn parents_stand_left_of_children_and_nothing_overlaps(
            n in 1_usize..60, raw in prop::collection::btree_set((0_usize..60, 0_usize..60), 0..150),
        ) {
            let edges: Vec<(usize, usize)> = raw.into_iter().filter(|(a, b)| *a < n && *b < n).collect();
            let drawn = laid(n, &edges);
            prop_assert_eq!(drawn.lines.len(), edges.iter().filter(|(a, b)| a != b).count());
            for line in &drawn.lines {
                let (parent, child) = edges[line.edge];
                let (left, right) = if line.is_turned { (child, parent) } else { (parent, child) };
                prop_assert_eq!(line.is_turned, parent > child);
                let (from, to) = (drawn.places[left], drawn.places[right]);
                prop_assert!(from.x + from.width < to.x);
                // It begins and ends on its boxes and passes through no other.
                let (first, last) = (line.points[0], line.points[line.points.len() - 1]);
                prop_assert!(first.0 == from.x + from.width && first.1 > from.y && first.1 < from.y + from.height);
                prop_assert!(last.0 == to.x && last.1 > to.y && last.1 < to.y + to.height);
                for pair in line.points[1..line.points.len() - 1].chunks(2) {
                    let y = pair[0].1;
                    let hit = drawn.places.iter().any(|p| p.x <= pair[0].0 && pair[1].0 <= p.x + p.width && p.y < y && y < p.y + p.height);
                    prop_assert!(!hit, "edge {} runs through a box", line.edge);
                }
            }
            for (i, a) in drawn.places.iter().enumerate() {
                prop_assert!(a.y >= -0.001 && a.y + a.height <= drawn.height + 0.001 && a.x + a.width <= drawn.width + 0.001);
                for b in &drawn.places[i + 1..] {
                    prop_assert!(!overlap(a, b), "{:?} {:?}", a, b);
                }
            }
        }
    }
}
