//! Every command that the sources advise.

/// What becomes of an advice here.
pub enum How {
    /// The walk of this name types it.
    By(&'static str),
    /// This test types it, beside the programs or servers that it takes.
    In(&'static str),
    /// Why nobody types it as it is.
    Not(&'static str),
}

pub const ADVICES: &[(&str, &str, usize, How)] = &[];
