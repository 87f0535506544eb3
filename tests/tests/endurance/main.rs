//! The switch over its life: killed anywhere, changed from outside, worn out, flooded; nothing is lost and nothing stays.

#[allow(dead_code, unused_imports, reason = "a part of what the tests of gateways stand in")]
#[path = "../gateway/world.rs"]
mod world;

mod audit;
mod churn;
mod crash;
mod death;
mod load;
mod outside;
mod power;
mod row;
mod statefile;
mod upgrade;
