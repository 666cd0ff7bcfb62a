//! Files of a repository as somebody may have committed them, in the hands of what looks at them or hands them on: the
//! first byte says in which format. Nothing panics, findings are on lines that there are, and no ciphertext is deployed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealant::config::{Config, Dialect};
use sealant::document::{self, Format, Losses};
use sealant::integrations::{Objects, joined, ksops};
use sealant::repo::check::check;
use sealant::repo::git::merge::markers::Marked;
use sealant::secret::SecretBytes;

const TOKEN: &[u8] = b"ENC[AES256_GCM,";

const CONFIG: &str = "creation_rules:
  - path_regex: .
    encrypted_regex: ^(data|stringData|password)$
    age: age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy
";

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let formats = [Format::Yaml, Format::Json, Format::Dotenv, Format::Ini, Format::Binary];
    let format = formats[usize::from(first % 5)];
    let text = || SecretBytes::new(bytes.to_vec());

    let config = Config::parse(CONFIG, "/repo/.sops.yaml", Dialect::Sealant).expect("a config");
    let policy = config.policy_for(std::path::Path::new("/repo/a")).expect("a policy").expect("a rule");
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    for policy in [None, Some(&policy)] {
        for finding in check(format, text(), policy).expect("a rule that makes sense").findings {
            assert!((1..=lines).contains(&finding.line), "{finding:?}");
        }
    }
    let _ = Marked::read(bytes);
    let _ = ksops::Generator::parse(text());
    let _ = ksops::Request::parse(text());
    if !matches!(format, Format::Yaml | Format::Json) {
        return;
    }
    let Ok(objects) = Objects::parse(format, text()) else { return };
    if objects.count() > 0 && objects.refuse_encrypted().is_ok() {
        // JSON has no comments, where a ciphertext does no harm.
        let json = document::parse(format, text(), false).and_then(|read| document::convert(&*read, Format::Json, Losses::Refused));
        assert!(!json.is_ok_and(|json| json.windows(TOKEN.len()).any(|found| found == TOKEN)));
    }
    if let Ok(texts) = objects.texts() {
        let again = Objects::parse(Format::Yaml, joined(texts)).expect("what was taken apart");
        assert_eq!(again.count(), objects.count());
    }
});
