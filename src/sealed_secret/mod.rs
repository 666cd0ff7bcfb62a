//! The SealedSecret resource: Secrets in Git and in a cluster, encrypted for any number of master keys.
//!
//! Works on parsed documents and typed resources, and knows neither files nor a Kubernetes client. It decides for
//! nobody who may decrypt: whoever calls it brings the master keys. `docs/format.md` is the format, exact enough to
//! write another implementation from.

mod belongs;
mod binding;
mod check;
mod cipher;
mod data_keys;
mod edit;
mod file;
mod item_path;
mod merge;
mod overview;
mod recipients;
mod seal;
mod secret;
mod shape;
#[cfg(test)]
mod testing;
mod types;
mod unseal;
mod wraps;

pub use belongs::WITH_OLD_VALUES;
pub use binding::Binding;
pub use check::{FORBIDDEN_PREFIXES, FORBIDDEN_TYPES, Part, check_item_name, is_forbidden};
pub use data_keys::{
    NewDataKey, OpenedKeys, commitments, for_each_ciphertext, for_each_ciphertext_in, used_data_keys,
};
pub use edit::{Changes, adopt, adopt_all, change, difference, merge_into, rotate, unset};
pub use file::{
    OF_CLUSTER, Rewrite, SealedFile, fragment, is_own, looks_sealed, manifest, objects, objects_where,
    placed, read, rewrite, spec_schema,
};
pub use item_path::ItemPath;
pub use merge::{Merged, Values, merge, returned};
pub use overview::{
    DataKeyOverview, ItemOverview, Overview, Reader, WrapOverview, items_of, overview, place,
};
pub use recipients::{recipients, rewrap, update_keys, wrapped_data_keys};
pub use seal::{
    LARGE_MANIFEST, MANY_DATA_KEYS, Options, Routed, holds_secrets, route, seal, secrets, warnings,
};
pub use secret::{Secret, joined, manifests};
pub use types::*;
pub use unseal::{opened, shell, unseal};
pub use wraps::refuse_foreign;
