//! Random chains of operators with windows, scales and lists of sizes: whatever is tried can be worked with, window by window
//! and element by element, and no parameter has changed. Counts places where `sound` computes.

use super::*;
use crate::onnx::attribute_type::{INTS, STRING};

/// One operator with its settings, as drawn; what it means is up to [`Link::of`].
type Drawn = (u8, usize, usize, usize);

/// A node of a chain, with its parameters and weights, and what it makes of a shape (`None`: it cannot).
struct Link {
    node: NodeProto,
    weights: Vec<(String, Tensor)>,
    parameters: Vec<String>,
    makes: Box<Makes>,
}

type Makes = dyn Fn(&[usize], &Case) -> Option<Vec<usize>>;

/// Windows of `wide` that start every `stride` and lie inside `begin + size + end`.
fn windows(size: usize, kernel: usize, stride: usize, dilation: usize, padding: usize) -> usize {
    let last = |start: usize| start + (kernel - 1) * dilation;
    (0..size + padding).step_by(stride).filter(|start| last(*start) < size + padding).count()
}

fn settings(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = Some(INTS);
    AttributeProto { name: Some(name.to_string()), ints: values.to_vec(), r#type, ..Default::default() }
}

fn some(shape: Vec<usize>) -> Option<Vec<usize>> {
    shape.iter().all(|n| *n > 0).then_some(shape)
}

impl Link {
    /// The operator number `at` of a chain, on an input of this shape.
    fn of(drawn: Drawn, at: usize, shape: &[usize]) -> Link {
        let (kind, a, b, c) = drawn;
        let rank = shape.len();
        let (input, output, name) = (format!("t{at}"), format!("t{}", at + 1), format!("p{at}"));
        let link = |op: &str, lists: Vec<(String, Tensor)>, attributes: Vec<AttributeProto>, makes| {
            let operands: Vec<&str> =
                std::iter::once(input.as_str()).chain(lists.iter().map(|l| l.0.as_str())).collect();
            let mut node = NodeProto::new(op, &format!("n{at}"), &operands, &[&output]);
            node.attribute = attributes;
            let parameters = lists.iter().map(|l| l.0.clone()).filter(|_| op != "Conv").collect();
            Link { node, weights: lists, parameters, makes }
        };
        let list = |values: Vec<i64>| (name.clone(), Tensor::i64(&[values.len()], &values));
        let (kernel, stride, dilation, padding) = (1 + a % 5, 1 + b % 2, 1 + c % 2, b % 2);
        let space = rank.saturating_sub(2);
        let moving = |with_kernel: bool| {
            let all = |n: usize, times: usize| vec![n as i64; times * space];
            let mut attributes = vec![settings("strides", &all(stride, 1)), settings("dilations", &all(dilation, 1))];
            attributes.push(settings("pads", &[all(padding, 1), all(0, 1)].concat()));
            attributes.extend(with_kernel.then(|| settings("kernel_shape", &all(kernel, 1))));
            attributes
        };
        let slid =
            move |x: &[usize]| x.iter().map(|n| windows(*n, kernel, stride, dilation, padding)).collect::<Vec<_>>();
        match kind % 8 {
            0 if rank > 2 => {
                let weight = [vec![1 + a % 3, shape[1]], vec![kernel; space]].concat();
                let w = (format!("w{at}"), marked(&weight, &vec![0; rank]));
                let label = w.0.clone();
                let makes = move |x: &[usize], case: &Case| {
                    // Without a kernel_shape, a part of a kernel is a kernel.
                    let w = value(case, &label).shape;
                    let along = |(n, k): (&usize, &usize)| windows(*n, *k, stride, dilation, padding);
                    let made = [vec![x[0], w[0]], x[2..].iter().zip(&w[2..]).map(along).collect()].concat();
                    some(made).filter(|_| w[1] == x[1])
                };
                link("Conv", vec![w], moving(false), Box::new(makes))
            }
            1 if rank > 2 => {
                let makes = move |x: &[usize], _: &Case| some([x[..2].to_vec(), slid(&x[2..])].concat());
                link("MaxPool", vec![], moving(true), Box::new(makes))
            }
            2 => {
                let scale = [0.5f32, 2.0, 0.25][a % 3];
                let scales: Vec<f32> = (0..rank).map(|i| if i < 2 { 1.0 } else { scale }).collect();
                let values = (name, Tensor::f32(&[rank], &scales));
                let makes = move |x: &[usize], _: &Case| {
                    some(x.iter().zip(&scales).map(|(n, s)| (*n as f32 * s) as usize).collect())
                };
                let mut made = link("Resize", vec![values], vec![], Box::new(makes));
                made.node.input.insert(1, String::new());
                made
            }
            3 => {
                let pads: Vec<i64> = (0..2 * rank).map(|i| [0, 2, -1][(a + i) % 3]).collect();
                let (reflect, own) = (b % 2 == 1, pads.clone());
                let makes = move |x: &[usize], _: &Case| {
                    let fits = |i: usize| !reflect || own[i].max(own[i + x.len()]) < x[i] as i64;
                    let made = |i: usize| usize::try_from(x[i] as i64 + own[i] + own[i + x.len()]).unwrap_or(0);
                    (0..x.len()).all(fits).then(|| (0..x.len()).map(made).collect()).and_then(some)
                };
                let mode = if reflect { "reflect" } else { "constant" };
                let mode = AttributeProto { s: Some(mode.into()), r#type: Some(STRING), ..settings("mode", &[]) };
                link("Pad", vec![list(pads)], vec![mode], Box::new(makes))
            }
            4 => {
                let (start, end) = ((a % 4) as i64, [i64::MAX, 3, -1][b % 3]);
                let makes = move |x: &[usize], _: &Case| {
                    let end = if end < 0 { x[0] as i64 + end } else { end };
                    some(
                        [vec![(0..x[0] as i64).filter(|i| (start..end).contains(i)).count()], x[1..].to_vec()].concat(),
                    )
                };
                let lists = vec![
                    (format!("{name}s"), Tensor::i64(&[1], &[start])),
                    (format!("{name}e"), Tensor::i64(&[1], &[end])),
                ];
                link("Slice", lists, vec![], Box::new(makes))
            }
            5 => {
                let wanted = match a % 2 {
                    0 => vec![shape[0] as i64, -1],
                    _ => vec![0, shape[1..].iter().product::<usize>() as i64],
                };
                let own = wanted.clone();
                let makes = move |x: &[usize], _: &Case| {
                    let elements: usize = x.iter().product();
                    let first = if own[0] == 0 { x[0] } else { own[0] as usize };
                    let rest = if own[1] == -1 { elements / first } else { own[1] as usize };
                    some(vec![first, rest]).filter(|_| first * rest == elements)
                };
                link("Reshape", vec![list(wanted)], vec![], Box::new(makes))
            }
            6 => {
                let repeats: Vec<i64> = (0..rank).map(|i| 1 + ((a + i) % 2) as i64).collect();
                let own = repeats.clone();
                let makes =
                    move |x: &[usize], _: &Case| Some(x.iter().zip(&own).map(|(n, r)| n * *r as usize).collect());
                link("Tile", vec![list(repeats)], vec![], Box::new(makes))
            }
            _ => {
                let k = 1 + a % 4;
                let makes = move |x: &[usize], _: &Case| {
                    let (last, before) = x.split_last()?;
                    (k <= *last).then(|| [before, &[k]].concat())
                };
                link("TopK", vec![list(vec![k as i64])], vec![], Box::new(makes))
            }
        }
    }
}

/// A chain of those drawn links that can work.
fn chain(shape: &[usize], drawn: &[Drawn]) -> (Case, Vec<Link>) {
    let x = marked(shape, &vec![0; shape.len()]);
    let mut given = case(&[("t0", x)], &[], shape);
    let mut links: Vec<Link> = Vec::new();
    let mut shape = shape.to_vec();
    for link in drawn {
        let link = Link::of(*link, links.len(), &shape);
        let mut with = given.clone();
        let main = with.model.graph.as_mut().unwrap();
        main.initializer.extend(link.weights.iter().map(|(name, t)| tensor_to_proto(name, t)));
        if let Some(made) = (link.makes)(&shape, &with).filter(|made| made.iter().product::<usize>() < 10_000) {
            (given, shape) = (with, made);
            links.push(link);
        }
    }
    let main = given.model.graph.as_mut().unwrap();
    main.node = links.iter().map(|l| l.node.clone()).collect();
    main.output = vec![ValueInfoProto::bare(&format!("t{}", links.len()))];
    main.value_info.clear();
    given.model.opset_import = vec![OperatorSetIdProto { domain: None, version: Some(17) }];
    let y = Tensor::f32(&shape, &vec![0.0; shape.iter().product()]);
    given.expected = Some(Tensors::from([(format!("t{}", links.len()), y)]));
    (given, links)
}

proptest! {
    #[test]
    fn whatever_is_tried_can_be_worked_with(
        shape in prop::collection::vec(1usize..9, 2..5),
        drawn in prop::collection::vec((any::<u8>(), 0usize..9, 0usize..9, 0usize..9), 1..5),
        answers in prop::collection::vec(prop::sample::select(vec![Answer::Bad, Answer::Good, Answer::Unknown]), 1..9),
        hinted in any::<bool>(),
    ) {
        let (given, links) = chain(&shape, &drawn);
        let hint = vec![0; given.expected.iter().flatten().map(|(_, y)| y.shape.len()).sum()];
        let mut asked = 0;
        let Ok(_) = shrink(given.clone(), &|_| None, hinted.then_some(hint.as_slice()), 0, |attempts| {
            for attempt in attempts {
                let mut shape = attempt.case.feeds["t0"].shape.clone();
                for link in &links {
                    let made = (link.makes)(&shape, &attempt.case);
                    shape = made.unwrap_or_else(|| panic!("{} on {shape:?}: {}", link.node.op_type(), attempt.what));
                    for name in &link.parameters {
                        assert!(value(&attempt.case, name).identical(&value(&given, name)), "{name}: {}", attempt.what);
                    }
                }
            }
            asked += 1;
            Ok::<_, Infallible>(vec![answers[asked % answers.len()]])
        });
        prop_assert!(asked <= QUESTIONS);
    }
}

#[test]
fn of_a_large_picture_one_window_is_left_at_once() {
    let weight = marked(&[1, 1, 5, 5], &[0, 0, 2, 2]);
    let mut given = case(&[("x", marked(&[1, 1, 64, 48], &[0, 0, 33, 20]))], &[("w", weight)], &[1, 1, 60, 44]);
    let conv = NodeProto::new("Conv", "conv", &["x", "w"], &["y"]).with(settings("kernel_shape", &[5, 5]));
    given.model.graph.as_mut().unwrap().node = vec![conv];
    let (got, asked) = shrunk(given, Some(&[0, 0, 31, 18]), 0, |c| answer(true, has_mark(c, "x")));
    assert_eq!((value(&got.case, "x").shape, value(&got.case, "w").shape), (vec![1, 1, 5, 5], vec![1, 1, 5, 5]));
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn scales_stay_as_many_as_axes() {
    let scales = Tensor::f32(&[4], &[1.0, 1.0, 2.0, 2.0]);
    let mut given = case(&[("x", marked(&[4, 4, 4, 4], &[1, 1, 1, 1]))], &[("s", scales)], &[4, 4, 8, 8]);
    let main = given.model.graph.as_mut().unwrap();
    main.node = vec![NodeProto::new("Resize", "resize", &["x", "", "s"], &["y"])];
    given.model.opset_import = vec![OperatorSetIdProto { domain: None, version: Some(13) }];
    let (got, asked) = shrunk(given, Some(&[1, 1, 2, 2]), 0, |c| answer(value(c, "s").shape == [4], has_mark(c, "x")));
    assert_eq!((value(&got.case, "x").shape, value(&got.case, "s").shape), (vec![1; 4], vec![4]));
    assert!(asked.iter().all(|what| !what.contains("s:")), "{asked:?}");
}
