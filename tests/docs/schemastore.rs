//! The config's JSON schema as SchemaStore takes it, from which editors get it: the entry of its catalogue, and the files
//! that the schema has to take or to refuse, in `release/schemastore`. Sealant takes and refuses the same.

use std::path::PathBuf;

use sealant_test_support::{Output, Peers, Sandbox};
use serde_json::Value;

use super::{root, text_of};

const SCHEMA: &str = "docs/config.schema.json";
const FOLDER: &str = "release/schemastore";

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {password: hunter2}\n";

/// The files of one of the folders.
fn configs(folder: &str) -> Vec<PathBuf> {
    let found = std::fs::read_dir(root().join(FOLDER).join(folder)).expect("the folder").flatten();
    let mut found: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// The validator of SchemaStore, in the mode that it has for schemas that are new.
fn ajv(words: &[&str]) -> Output {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let run = test.program(Peers::get().program("ajv"), words).cwd(root());
    run.args(&["--strict=true", "--spec=draft7", "-s", SCHEMA]).run()
}

#[test]
fn the_strict_validator_takes_the_schema_and_the_right_files_alone() {
    ajv(&["compile"]).ok();
    for (folder, expected) in [("test", "--valid"), ("negative_test", "--invalid")] {
        for file in configs(folder) {
            ajv(&["test", expected, "-d", &file.display().to_string()]).ok();
        }
    }
}

#[test]
fn sealant_takes_the_same_files() {
    for (folder, is_taken) in [("test", true), ("negative_test", false)] {
        let files = configs(folder);
        assert!(files.len() > 5, "{folder}");
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a config");
            // SchemaStore wants it: editors that open the file then know its schema.
            let first = format!("# yaml-language-server: $schema=../../../{SCHEMA}\n");
            assert!(text.starts_with(&first), "{}", file.display());
            let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
            test.write(".sops.yaml", &text);
            let explained = test.sealant(&["explain", "apps/shop/x.yaml"]).run();
            // What only SealedSecrets have is looked at when one is made.
            let sealed = || {
                let run = test.sealant(&["seal", "--filename-override", "apps/shop/x.yaml"]);
                run.stdin(SECRET).run().status == 0
            };
            let takes = explained.status == 0 && (is_taken || sealed());
            assert_eq!(takes, is_taken, "{}\n{explained}", file.display());
        }
    }
}

/// What SchemaStore's own checks ask of an entry.
#[test]
fn the_entry_of_the_catalogue_is_as_schemastore_wants_it() {
    let entry: Value =
        serde_json::from_str(&text_of("release/schemastore/catalog-entry.json")).expect("JSON");
    let schema: Value = serde_json::from_str(&text_of(SCHEMA)).expect("JSON");
    let mut keys: Vec<_> = entry.as_object().expect("a map").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["description", "fileMatch", "name", "url"]);
    for key in ["name", "description"] {
        let text = entry[key].as_str().expect("a text");
        assert!(!text.to_lowercase().contains("schema") && !text.contains('\n'), "{text}");
        assert!(!text.ends_with([',', '.', ' ', '\t', '-']), "{text}");
    }
    // Its names are the files that Sealant reads, wherever they are.
    assert_eq!(entry["fileMatch"], serde_json::json!([".sealant.yaml", ".sops.yaml"]));
    assert_eq!(
        (&schema["$id"], &schema["$schema"]),
        (&entry["url"], &"http://json-schema.org/draft-07/schema#".into())
    );
    let place = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    let url = format!("https://raw.githubusercontent.com/{place}/main/{SCHEMA}");
    assert_eq!(entry["url"], url);
    // Draft 7 ignores what is beside a reference, and editors show a description all the same: there is nothing else.
    let besides =
        |at: &Value| at.as_object().map_or(0, |map| map.keys().filter(|key| *key != "description").count());
    let mut all = vec![&schema];
    while let Some(at) = all.pop() {
        assert!(at.get("$ref").is_none() || besides(at) == 1, "{at}");
        all.extend(at.as_object().into_iter().flat_map(|map| map.values()));
        all.extend(at.as_array().into_iter().flatten());
    }
}
