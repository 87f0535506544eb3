//! The switch over its life: killed anywhere, changed from outside, worn out, flooded; nothing is lost and nothing stays.

mod audit;
mod churn;
mod crash;
mod death;
mod docker0;
mod load;
mod outside;
mod overrun;
mod pipelined;
mod power;
mod rival;
mod row;
mod statefile;
mod systemd;
mod upgrade;
