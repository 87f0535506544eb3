//! A real Docker engine, with vswitch as its network driver.

mod engine;
mod script;
mod user_chain;
