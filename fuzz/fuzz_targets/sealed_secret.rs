//! Manifests that anybody may have written, read as Secrets and as SealedSecrets, opened, changed and merged: the first
//! byte says in which format. Nothing panics, and what was read is what is written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pollster::block_on;
use sealant::document::{self, Format};
use sealant::host::Closed;
use sealant::keys::{Identities, KeyService};
use sealant::sealed_secret::{
    OpenedKeys, Rewrite, manifest, merge, objects, read, recipients, rewrite, secrets, unseal, unset,
};
use sealant::secret::SecretBytes;

/// Opens what is in the corpus.
const IDENTITY: &str = include_str!("../../fixtures/sealed/alice.agekey");

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let format = if first % 2 == 0 { Format::Json } else { Format::Yaml };
    let Ok(document) = document::parse(format, SecretBytes::new(text.to_vec()), false) else { return };
    for secret in secrets(&*document).unwrap_or_default() {
        let shown = document::parse(Format::Yaml, SecretBytes::new(secret.to_yaml().as_bytes().to_vec()), false);
        assert_eq!(secrets(&*shown.expect("YAML")).expect("a Secret"), [secret]);
    }
    let identity = SecretBytes::new(IDENTITY.as_bytes().to_vec());
    let service = KeyService::new(&Closed, Identities::none().with_text("test", identity));
    for node in objects(&*document) {
        let Ok(sealed) = read(&*document, node) else { continue };
        let text = manifest(&sealed, format).expect("a manifest");
        let again = document::parse(format, SecretBytes::new(text.into_bytes()), false).expect("a manifest");
        assert_eq!(read(&*again, objects(&*again)[0]).expect("a SealedSecret"), sealed);

        if let Ok(keys) = block_on(OpenedKeys::open(&service, &[&sealed.spec])).remove(0) {
            let _ = unseal(&sealed, &keys);
        }
        let _ = recipients(&sealed.spec);
        let items: Vec<&str> = sealed.spec.encrypted_data.keys().map(String::as_str).collect();
        let Some(first) = items.first() else { continue };
        let less = unset(&sealed, &[first]).expect("the item is there");
        let _ = rewrite(&*document, &[Rewrite { node, old: &sealed, new: &less }]);
        let merged = merge(Some(&sealed), &less, &sealed, None).expect("both sides are good");
        assert_eq!(merged.sealed.spec.encrypted_data, less.spec.encrypted_data);
        assert!(merged.conflicts.is_empty());
    }
});
