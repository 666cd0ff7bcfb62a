//! Documents of every format: the first byte says which. What can be read is encrypted, and comes back byte for byte or
//! with a warning; nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealant::config::Selection;
use sealant::document::{self, Format};
use sealant::keys::{MasterKey, Recipient, WrappedDataKey, WrappedKey};
use sealant::secret::{DataKey, SecretBytes};
use sealant::sops::{self, Encrypted, MacCheck, Metadata};

const FORMATS: [Format; 4] = [Format::Yaml, Format::Json, Format::Dotenv, Format::Ini];

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let format = FORMATS[usize::from(*first) % FORMATS.len()];
    let secret = |bytes: &[u8]| SecretBytes::new(bytes.to_vec());
    let Ok(plain) = document::parse(format, secret(text), false) else { return };
    let Some(key) = DataKey::from_slice(&[7; DataKey::LEN]) else { return };
    let recipient = MasterKey::Age(Recipient::as_written("age1x"));
    let wrapped = WrappedKey { key: recipient, enc: "e\n".into(), entry: Default::default() };
    let keys = WrappedDataKey { groups: vec![vec![wrapped]], threshold: 0 };
    let metadata = Metadata::new(keys, Selection::default(), false);
    let Ok(written) = sops::encrypt(&*plain, metadata, &key, Default::default(), None) else { return };
    let encrypted = Encrypted::parse(format, secret(&written.bytes)).expect("what was written is read");
    let back = encrypted.decrypt(&key, MacCheck::Verify).expect("what was written opens");
    assert!(*back.bytes == *text || !written.warnings.is_empty(), "the bytes did not come back, and nobody was warned");
});
