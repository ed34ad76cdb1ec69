//! Small quantised graphs, and what they are with units left unquantised.
