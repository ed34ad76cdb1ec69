//! Each kind of wrong parameters, and healthy ones.
