//! The holder's behaviours, one file each, and a model that it is compared with.

mod answers;
mod cap;
mod damage;
mod model;
mod owner;
mod quotas;
mod time;
mod versions;
