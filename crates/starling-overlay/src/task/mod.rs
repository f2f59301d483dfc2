//! What follows a lookup: placing a record, gathering what holders have, asking them. Machines of their own, each told
//! what came back and saying what to do next.

pub(crate) mod asking;
pub(crate) mod harvest;
pub(crate) mod passing;
pub(crate) mod placing;
pub(crate) mod replicas;
