//! Encrypted files that anybody may have written: the first byte says in which format. Nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealant::document::Format;
use sealant::secret::{DataKey, SecretBytes};
use sealant::sops::{Encrypted, MacCheck};

const FORMATS: [Format; 5] = [Format::Yaml, Format::Json, Format::Dotenv, Format::Ini, Format::Binary];

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let format = FORMATS[usize::from(*first) % FORMATS.len()];
    let Ok(file) = Encrypted::parse(format, SecretBytes::new(text.to_vec())) else { return };
    let Some(key) = DataKey::from_slice(&[7; DataKey::LEN]) else { return };
    let _ = file.decrypt(&key, MacCheck::Verify);
    let _ = file.decrypt(&key, MacCheck::Ignore);
    let _ = file.with_metadata(&file.metadata);
});
