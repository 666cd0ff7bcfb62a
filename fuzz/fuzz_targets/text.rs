//! Short texts that come from outside: configs, paths into documents, recipients, identity files. Nothing panics, and
//! no error repeats an identity.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealant::config::{Config, Dialect, Selection};
use sealant::document::TreePath;
use sealant::host::Closed;
use sealant::keys::{Recipient, recipients_of};

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match first % 5 {
        0 => {
            let dialect = if first & 64 == 0 { Dialect::Sealant } else { Dialect::Sops };
            if let Ok(config) = Config::parse(&text, "/repo/.sops.yaml", dialect) {
                let _ = config.policy_for(std::path::Path::new("/repo/secrets/a.yaml"));
            }
        }
        1 => {
            let _ = TreePath::parse(&text).map(|path| path.to_string());
        }
        2 => {
            let _ = text.parse::<Recipient>();
        }
        3 => {
            let _ = recipients_of(bytes, "fuzz", &Closed);
        }
        _ => {
            let _ = Selection::from_field("encrypted_regex", &text).map(|rule| rule.matches_key("password"));
        }
    }
});
