//! How the two sides stand to each other, which decides what can be cut, blamed on a precision or cured. Known once both are
//! open; asks no backend to run.

use super::Side;

/// What the side under suspicion is to the side that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both run the model under debugging.
    SameModel,
    /// One of them runs a model of its own (`@MODEL`), so a node of one may be another node, or none, of the other.
    OwnModel,
    /// One of them is a ready engine, built elsewhere of who knows what.
    Engine,
    /// One of them is tensors that somebody stored of the model under debugging.
    Stored,
}

/// What is known of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    own_model: bool,
    runs: bool,
    engine: bool,
}

impl Relation {
    /// Of these two.
    pub fn of(reference: &Side, candidate: &Side) -> Relation {
        Relation::between([Known::of(reference), Known::of(candidate)])
    }

    /// An engine says least of all; a model of one's own matters even beside stored tensors.
    fn between(sides: [Known; 2]) -> Relation {
        let any = |is: fn(&Known) -> bool| sides.iter().any(is);
        if any(|side| side.engine && !side.runs) {
            Relation::Engine
        } else if any(|side| side.own_model) {
            Relation::OwnModel
        } else if any(|side| !side.runs) {
            Relation::Stored
        } else {
            Relation::SameModel
        }
    }

    /// Does a side bring a model (or engine) of its own, so that a tensor's name is all that says which two belong together?
    pub fn is_own_model(self) -> bool {
        matches!(self, Relation::OwnModel | Relation::Engine)
    }
}

impl Known {
    fn of(side: &Side) -> Known {
        Known { own_model: side.spec.model.is_some(), runs: side.runs(), engine: side.is_engine() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Known = Known { own_model: false, runs: true, engine: false };
    const OTHER: Known = Known { own_model: true, ..PLAIN };
    const STORED: Known = Known { runs: false, ..PLAIN };
    const BUILDER: Known = Known { engine: true, ..PLAIN };
    const READY: Known = Known { own_model: true, runs: false, engine: true };

    #[test]
    fn every_pair_has_one_relation() {
        let check = |a: Known, b: Known, want: Relation| {
            assert_eq!(Relation::between([a, b]), want, "{a:?} and {b:?}");
            assert_eq!(Relation::between([b, a]), want, "the order of the sides is no matter");
            assert_eq!(want.is_own_model(), a.own_model || b.own_model, "{a:?} and {b:?}");
        };
        check(PLAIN, PLAIN, Relation::SameModel);
        check(PLAIN, BUILDER, Relation::SameModel);
        check(PLAIN, OTHER, Relation::OwnModel);
        check(OTHER, OTHER, Relation::OwnModel);
        check(BUILDER, OTHER, Relation::OwnModel);
        check(PLAIN, STORED, Relation::Stored);
        check(STORED, STORED, Relation::Stored);
        check(STORED, OTHER, Relation::OwnModel);
        check(PLAIN, READY, Relation::Engine);
        check(STORED, READY, Relation::Engine);
        check(OTHER, READY, Relation::Engine);
    }
}
