//! One-line graphs: what each pattern finds, what it leaves alone, and what the groups are called.

use std::collections::HashSet;

use super::*;
use crate::graph::lines::{self, Lines};
use crate::onnx::{GraphProto, ModelProto, TensorProto, ValueInfoProto};

/// Of [`lines`]; the last node's first result is the output.
fn graph(text: &str) -> Graph {
    let Lines { nodes, inputs, weights, .. } = lines::read(text);
    let initializer = weights.into_iter().map(|n| TensorProto { name: Some(n), ..Default::default() }).collect();
    let graph = GraphProto {
        input: inputs.iter().map(|n| ValueInfoProto::bare(n)).collect(),
        initializer,
        output: vec![ValueInfoProto::bare(nodes.last().unwrap().output.first().unwrap())],
        node: nodes,
        ..Default::default()
    };
    Graph::new(&ModelProto { graph: Some(graph), ..Default::default() }).unwrap()
}

/// Each group as `name [node numbers]`.
fn found(graph: &Graph) -> Vec<String> {
    groups(graph).iter().map(|g| format!("{} {:?}", g.name, g.nodes)).collect()
}

#[track_caller]
fn check(lines: &str, expected: &[&str]) {
    assert_eq!(found(&graph(lines)), expected);
}

#[test]
fn layer_norm() {
    check(
        "a/fc: h = MatMul(x, weight)
         a/ln/ReduceMean: m = ReduceMean(h)
         a/ln/Sub: d = Sub(h, m)
         a/ln/Pow: p = Pow(d, two)
         a/ln/ReduceMean_1: v = ReduceMean(p)
         a/ln/Add: ve = Add(v, eps)
         a/ln/Sqrt: s = Sqrt(ve)
         a/ln/Div: n = Div(d, s)
         a/ln/Mul: g = Mul(n, gamma)
         a/ln/Add_1: y = Add(g, beta)
         a/scale: z = Mul(y, ten)",
        &["LayerNorm 'a/ln' [1, 2, 3, 4, 5, 6, 7, 8, 9]"],
    );
}

#[test]
fn layer_norm_of_the_models_input_by_reciprocal_with_casts_and_two_differences() {
    check(
        "n0: m = ReduceMean(x)
         n1: d = Sub(x, m)
         n2: dd = Sub(x, m)
         n3: dc = Cast(dd)
         n4: p = Mul(dc, dc)
         n5: v = ReduceMean(p)
         n6: ve = Add(v, eps)
         n7: s = Sqrt(ve)
         n8: r = Reciprocal(s)
         n9: y = Mul(d, r)
         p: z = Relu(y)",
        &["LayerNorm [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"],
    );
}

#[test]
fn layer_norm_as_scale_and_shift() {
    check(
        "mean: m = ReduceMean(x)
         diff: d = Sub(x, m)
         square: p = Mul(d, d)
         variance: v = ReduceMean(p)
         add: ve = Add(v, eps)
         root: s = Sqrt(ve)
         rsqrt: r = Reciprocal(s)
         mul: k = Mul(r, gamma)
         mul_1: a = Mul(x, k)
         mul_2: b = Mul(m, k)
         sub: c = Sub(beta, b)
         add_1: y = Add(a, c)
         out: z = Mul(y, ten)",
        &["LayerNorm [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]"],
    );
}

#[test]
fn layer_norm_by_the_mean_of_squares_less_the_square_of_the_mean() {
    check(
        "a/fc: h = MatMul(x, weight)
         n/Sum: su = ReduceSum(h)
         n/Square: q = Mul(h, h)
         n/Sum_1: sq = ReduceSum(q)
         n/truediv_1: mq = Mul(sq, count)
         n/truediv: m = Mul(su, count)
         n/Square_1: qm = Mul(m, m)
         n/Sub: v = Sub(mq, qm)
         n/Maximum: vm = Max(zero, v)
         n/Reshape: vr = Reshape(vm, shape)
         n/Expand: vx = Expand(vr, shape)
         n/AddV2: ve = Add(vx, eps)
         n/Rsqrt: s = Sqrt(ve)
         n/Rsqrt_r: r = Reciprocal(s)
         n/Mul: g = Mul(r, gamma)
         n/Expand_1: mx = Expand(m, shape)
         n/Sub_1: d = Sub(h, mx)
         n/Mul_1: p = Mul(d, g)
         n/AddV2_1: y = Add(p, beta)
         a/loud: z = Mul(y, ten)",
        &["LayerNorm 'n' [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]"],
    );
}

#[test]
fn rms_norm() {
    check(
        "fc: h = MatMul(x, weight)
         rms_square: p = Mul(h, h)
         rms_mean: v = ReduceMean(p)
         rms_eps: ve = Add(v, eps)
         rms_sqrt: s = Sqrt(ve)
         rms_div: y = Div(h, s)
         fc2: z = MatMul(y, weight2)",
        &["RMSNorm 'rms' [1, 2, 3, 4, 5]"],
    );
    // One divided by the root, and a sum that is divided.
    check(
        "square: p = Pow(x, two)
         sum: u = ReduceSum(p)
         mean: v = Div(u, count)
         sqrt: s = Sqrt(v)
         inverse: r = Div(one, s)
         mul: n = Mul(x, r)
         scale: y = Mul(gamma, n)",
        &["RMSNorm [0, 1, 2, 3, 4, 5, 6]"],
    );
}

#[test]
fn division_by_the_norm() {
    check(
        "norm: n = ReduceL2(x)
         clip: c = Clip(n, least)
         shape: s = Shape(x)
         expand: e = Expand(c, s)
         div: y = Div(x, e)",
        &["normalisation [0, 1, 3, 4]"],
    );
}

#[test]
fn a_root_that_divides_nothing_is_no_normalisation() {
    check(
        "square: p = Pow(x, two)
         mean: v = ReduceMean(p)
         sqrt: s = Sqrt(v)
         scale: y = Mul(s, ten)",
        &[],
    );
    check("sqrt: s = Sqrt(x)\n div: y = Div(x, s)", &[]);
}

#[test]
fn decomposed_softmax() {
    check(
        "head: h = MatMul(x, weight)
         most: m = ReduceMax(h)
         sub: d = Sub(h, m)
         exp: e = Exp(d)
         sum: s = ReduceSum(e)
         div: y = Div(e, s)",
        &["Softmax [1, 2, 3, 4, 5]"],
    );
    check(
        "exp: e = Exp(x)
         sum: s = ReduceSum(e)
         inverse: r = Reciprocal(s)
         mul: y = Mul(e, r)",
        &["Softmax [0, 1, 2, 3]"],
    );
    check(
        "most: m = ReduceMax(x)
         least: l = Max(lowest, m)
         expand: b = Expand(l, shape)
         sub: d = Sub(x, b)
         exp: e = Exp(d)
         sum: s = ReduceSum(e)
         expand_1: t = Expand(s, shape)
         div: y = Div(e, t)",
        &["Softmax [0, 1, 2, 3, 4, 5, 6, 7]"],
    );
    check("exp: e = Exp(x)\n sum: s = ReduceSum(e)\n log: y = Log(s)", &[]);
}

#[test]
fn gelu_by_erf() {
    check(
        "fc: h = MatMul(x, weight)
         gelu_div: d = Div(h, root)
         gelu_erf: e = Erf(d)
         gelu_add: a = Add(e, one)
         gelu_mul: m = Mul(h, a)
         gelu_half: y = Mul(m, half)
         loud: z = Mul(y, hundred)",
        &["GELU 'gelu' [1, 2, 3, 4, 5]"],
    );
    check(
        "half: b = Mul(x, half)
         div: d = Div(x, root)
         erf: e = Erf(d)
         add: a = Add(e, one)
         mul: y = Mul(b, a)
         loud: z = Mul(y, hundred)",
        &["GELU [0, 1, 2, 3, 4]"],
    );
    check("div: d = Div(x, root)\n erf: y = Erf(d)\n add: z = Add(y, one)", &[]);
}

#[test]
fn gelu_by_tanh() {
    // Above x is a sum as well, which is not part of it.
    check(
        "fc: f = MatMul(x, weight)
         bias: h = Add(f, shift)
         g/cube: c = Pow(h, three)
         g/small: s = Mul(c, factor)
         g/sum: u = Add(h, s)
         g/root: r = Mul(u, root)
         g/tanh: t = Tanh(r)
         g/one: o = Add(t, one)
         g/half: b = Mul(h, half)
         g/mul: y = Mul(b, o)",
        &["GELU 'g' [2, 3, 4, 5, 6, 7, 8, 9]"],
    );
    check(
        "square: q = Mul(x, x)
         cube: c = Mul(q, x)
         small: s = Mul(factor, c)
         sum: u = Add(x, s)
         root: r = Mul(root2, u)
         tanh: t = Tanh(r)
         one: o = Add(one1, t)
         mul: m = Mul(x, o)
         half: y = Mul(m, half1)",
        &["GELU [0, 1, 2, 3, 4, 5, 6, 7, 8]"],
    );
    check(
        "fc: f = MatMul(x, weight)
         bias: h = Add(f, shift)
         a/mul: s = Mul(factor, h)
         a/mul_1: q = Mul(h, s)
         a/mul_2: c = Mul(h, q)
         a/add: u = Add(h, c)
         a/mul_3: r = Mul(root, u)
         a/tanh: t = Tanh(r)
         a/add_1: o = Add(one, t)
         a/mul_4: b = Mul(half, o)
         a/mul_5: y = Mul(h, b)
         out: z = Mul(y, ten)",
        &["GELU 'a' [2, 3, 4, 5, 6, 7, 8, 9, 10]"],
    );
    check("fc: h = MatMul(x, weight)\n bias: a = Add(h, shift)\n tanh: y = Tanh(a)", &[]);
}

const ATTENTION: &str = "l/layer.LL/q: qLL = MatMul(x, wqLL)
     l/layer.LL/k: kLL = MatMul(x, wkLL)
     l/layer.LL/qk: sLL = MatMul(qLL, kLL)
     l/layer.LL/Div: tLL = Div(sLL, rootLL)
     l/layer.LL/Add: uLL = Add(tLL, mask)
     l/layer.LL/Softmax: yLL = Softmax(uLL)\n";

#[test]
fn a_mask_shared_by_two_layers() {
    let makers = "l/Unsqueeze: mu = Unsqueeze(m, axes)
         l/Sub: ms = Sub(one, mu)
         l/Mul: mask = Mul(ms, lowest)\n";
    let lines = [makers, &ATTENTION.replace("LL", "0"), &ATTENTION.replace("LL", "1")].concat();
    let names = ["attention mask [1, 2]", "layer 0 attention mask [7, 8]", "layer 1 attention mask [13, 14]"];
    check(&lines, &names);
    // Of one layer alone, it belongs to that layer's; a name for both is not there then.
    let lines = [makers, &ATTENTION.replace("LL", "0")].concat();
    check(&lines, &["attention mask [1, 2, 7, 8]"]);
}

#[test]
fn a_mask_in_place_of_scores_and_a_decomposed_softmax_behind_it() {
    check(
        "qk_q: q = MatMul(x, wq)
         qk_k: k = MatMul(x, wk)
         scores: s = MatMul(q, k)
         fill: w = Where(m, lowest, s)
         exp: e = Exp(w)
         sum: u = ReduceSum(e)
         div: y = Div(e, u)",
        &["attention mask [3, 4, 5, 6]"],
    );
}

#[test]
fn a_clamp_and_a_position_bias_belong_to_the_mask() {
    check(
        "a: q = MatMul(x, wq)
         b: k = MatMul(x, wk)
         c: s = MatMul(q, k)
         d: sb = Add(s, bias)
         e: sm = Add(m, sb)
         f: sc = Max(sm, lowest)
         g: sr = Reshape(sc, shape)
         h: y = Softmax(sr)",
        &["attention mask [3, 4, 5, 6, 7]"],
    );
}

#[test]
fn the_bias_of_a_classifier_is_no_mask() {
    check("fc: h = MatMul(x, weight)\n bias: b = Add(h, shift)\n prob: y = Softmax(b)", &["Softmax 'prob' [2]"]);
}

#[test]
fn operators_that_are_groups_by_themselves() {
    check(
        "ln: a = LayerNormalization(x, gamma, beta)
         : b = Softmax(a)
         bn: c = BatchNormalization(b, gamma, beta)
         act: d = Gelu(c)
         fc: e = MatMul(d, weight)",
        &["LayerNormalization 'ln' [0]", "Softmax 'node_of_b' [1]", "BatchNormalization 'bn' [2]", "Gelu 'act' [3]"],
    );
}

#[test]
fn constants_made_by_nodes_are_constants() {
    check(
        "one0: c0 = Constant(none)
         one1: c1 = Cast(c0)
         div: d = Div(x, c1)
         erf: e = Erf(d)
         add: a = Add(e, c1)
         mul: m = Mul(x, a)
         half: y = Mul(m, c1)",
        &["GELU [2, 3, 4, 5, 6]"],
    );
}

#[test]
fn names_are_unique_and_numbers_tell_the_nameless_apart() {
    let softmaxes = |names: [&str; 2]| {
        let lines = "N0: e = Exp(x)\n N0: s = ReduceSum(e)\n N0: a = Div(e, s)
                     N1: f = Exp(a)\n N1: t = ReduceSum(f)\n N1: b = Div(f, t)";
        found(&graph(&lines.replace("N0", names[0]).replace("N1", names[1])))
    };
    assert_eq!(softmaxes(["p.a.1", "p.b.1"]), ["Softmax 'p.a' [0, 1, 2]", "Softmax 'p.b' [3, 4, 5]"]);
    // The start that the whole model has is no name.
    assert_eq!(softmaxes(["p.1", "p.2"]), ["Softmax #1 [0, 1, 2]", "Softmax #2 [3, 4, 5]"]);
    assert_eq!(softmaxes(["-", "-"]), ["Softmax #1 [0, 1, 2]", "Softmax #2 [3, 4, 5]"]);
    assert_eq!(softmaxes(["ä.é", "ö.é"]), ["Softmax 'ä' [0, 1, 2]", "Softmax 'ö' [3, 4, 5]"]);
}

#[test]
fn models_without_any() {
    check("fc: h = MatMul(x, weight)\n act: y = Relu(h)", &[]);
    check("root: s = Sqrt(x)\n sum: y = ReduceSum(s)", &[]);
}

/// Many groups in one model: each is found, no node is in two, and the names are unique.
#[test]
fn thousands_of_nodes() {
    let layer = "l/layer.LL/ln/ReduceMean: mLL = ReduceMean(INN)
         l/layer.LL/ln/Sub: dLL = Sub(INN, mLL)
         l/layer.LL/ln/Pow: pLL = Pow(dLL, two)
         l/layer.LL/ln/ReduceMean_1: vLL = ReduceMean(pLL)
         l/layer.LL/ln/Sqrt: rLL = Sqrt(vLL)
         l/layer.LL/ln/Div: xLL = Div(dLL, rLL)
         l/layer.LL/q: qLL = MatMul(xLL, wq)
         l/layer.LL/qk: sLL = MatMul(qLL, xLL)
         l/layer.LL/mask/Add: aLL = Add(sLL, mask)
         l/layer.LL/mask/Softmax: oLL = Softmax(aLL)\n";
    let mut lines = String::from("l/Mul: mask = Mul(m, lowest)\n");
    for number in 0..500 {
        let input = if number == 0 { "x".to_string() } else { format!("o{}", number - 1) };
        lines += &layer.replace("LL", &number.to_string()).replace("INN", &input);
    }
    let groups = groups(&graph(&lines));
    assert_eq!(groups.len(), 1001);
    let nodes: Vec<usize> = groups.iter().flat_map(|g| g.nodes.iter().copied()).collect();
    assert_eq!(nodes.iter().collect::<HashSet<_>>().len(), nodes.len());
    assert_eq!(groups.iter().map(|g| &g.name).collect::<HashSet<_>>().len(), groups.len());
    assert_eq!(groups[1].name, "LayerNorm 'l/layer.0/ln'");
    assert_eq!(groups[1000].name, "layer 499 attention mask");
}
