//! A real Docker engine, with vswitch as its network driver.

mod engine;
mod live_restore;
mod script;
mod user_chain;
