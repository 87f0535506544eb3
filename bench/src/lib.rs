//! Side-by-side benches of vswitch against what people use today.
