//! What Git starts us for, and what people start to finish its work.

pub mod merge;
pub mod resolve;
pub mod textconv;
