"""A corpus of planted faults: kinds in turn, each judged, the wrong ones told. What a fault is, and what is right, its script knows."""

import argparse


def run(usage, kinds, cases, judge):
    """`judge(layerdiff, kind, seed)` says what is wrong in the answer; nothing where nothing is."""
    options = argparse.ArgumentParser(usage=usage)
    options.add_argument("layerdiff")
    options.add_argument("--cases", type=int, default=cases)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("-v", action="store_true")
    args = options.parse_args()
    right = 0
    for number in range(args.cases):
        kind = kinds[number % len(kinds)]
        wrong = judge(args.layerdiff, kind, args.seed * 1000 + number)
        right += not wrong
        if wrong or args.v:
            print(f"{kind} {number}: {wrong or 'right'}")
    print(f"{right} of {args.cases} right")
