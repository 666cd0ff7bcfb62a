//! Templates of strangers: read, and run on a few items, they end, without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealant::secret::SecretBytes;
use sealant::template::{Bounds, Items, Template};

fuzz_target!(|text: &str| {
    let Ok(template) = Template::parse("k", text) else { return };
    let values: [(&str, &[u8]); 5] =
        [("a", b"x"), ("n", b"42"), ("list", b"a,b,,c"), ("json", br#"{"a": [1, null, "b"]}"#), ("bin", b"\xff\xc3\x28")];
    let items: Items =
        values.into_iter().map(|(name, value)| (name.to_owned(), SecretBytes::new(value.to_vec()))).collect();
    let bounds = Bounds { output: 1 << 16, steps: 20_000, bytes: 1 << 20 };
    if let Ok(made) = template.render_within(&items, &bounds) {
        assert!(made.len() <= bounds.output);
        // The same again comes to the same.
        assert!(template.render_within(&items, &bounds).is_ok_and(|again| again == made));
    }
});
