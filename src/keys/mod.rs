//! Master keys: what wraps and unwraps data keys.
