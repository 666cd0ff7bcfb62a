use std::collections::BTreeMap;

use super::*;
use crate::fs::{Mode, write_atomic};

const CONFIG: &str = "/repo/.sops.yaml";

fn config(text: &str) -> Config {
    Config::parse(text, CONFIG, Dialect::Sealant).unwrap()
}

/// The policy of `/repo/a.yaml`.
fn policy(text: &str) -> Policy {
    config(text).policy_for(Path::new("/repo/a.yaml")).unwrap().unwrap()
}

fn specs(group: &[RuleKey]) -> Vec<KeySpec> {
    group.iter().map(|key| key.spec.clone()).collect()
}

fn age(recipient: &str) -> KeySpec {
    KeySpec::Age(recipient.to_owned())
}

fn kms(arn: &str, role: Option<&str>, profile: Option<&str>) -> KeySpec {
    let [role, aws_profile] = [role, profile].map(|text| text.map(str::to_owned));
    KeySpec::Kms { arn: arn.to_owned(), role, context: BTreeMap::new(), aws_profile }
}

fn azure(name: &str, version: Option<&str>) -> KeySpec {
    let version = version.map(str::to_owned);
    KeySpec::AzureKv { vault_url: "https://v.vault.azure.net".to_owned(), name: name.to_owned(), version }
}

/// What is wrong with a config, as a person sees it.
fn complaint(text: &str) -> String {
    let error = Config::parse(text, CONFIG, Dialect::Sealant).unwrap_err();
    assert_eq!(error.kind(), Kind::Config, "{error}");
    error.to_string().replace("/repo/.sops.yaml:", "")
}

mod schema {
    use super::*;

    #[test]
    fn every_key_of_a_rule_without_groups_is_read_in_the_order_of_sops() {
        let policy = policy(
            "
creation_rules:
  - path_regex: \\.yaml$
    hc_vault_transit_uri: https://vault/v1/transit/keys/a, https://vault/v1/transit/keys/b
    azure_keyvault: https://v.vault.azure.net/keys/k/1,https://v.vault.azure.net/keys/l
    hckms: ['eu:1', 'eu:2,eu:3']
    gcp_kms: projects/p/k , projects/p/l
    kms: arn:aws:kms:1:key/a, arn:aws:kms:1:key/b+arn:aws:iam::1:role/r
    aws_profile: prod
    pgp:
      - AB CD
      - EF01
    age: >-
      age1x,
      age1y,
    shamir_threshold: 1
    mac_only_encrypted: true
    encrypted_regex: ^data$
",
        );
        let [keys] = &policy.key_groups[..] else { panic!("one group") };
        assert_eq!(
            specs(keys),
            [
                age("age1x"),
                age("age1y"),
                KeySpec::Pgp("ABCD".into()),
                KeySpec::Pgp("EF01".into()),
                kms("arn:aws:kms:1:key/a", None, Some("prod")),
                kms("arn:aws:kms:1:key/b", Some("arn:aws:iam::1:role/r"), Some("prod")),
                KeySpec::GcpKms("projects/p/k".into()),
                KeySpec::GcpKms("projects/p/l".into()),
                KeySpec::Hckms("eu:1".into()),
                KeySpec::Hckms("eu:2".into()),
                KeySpec::Hckms("eu:3".into()),
                azure("k", Some("1")),
                azure("l", None),
                KeySpec::HcVault("https://vault/v1/transit/keys/a".into()),
                KeySpec::HcVault("https://vault/v1/transit/keys/b".into()),
            ]
        );
        assert_eq!(keys[2].line, 11, "a key knows its line");
        assert_eq!(policy.shamir_threshold, Some(1));
        assert!(policy.mac_only_encrypted);
        assert_eq!(policy.selection, Some(Selection::from_field("encrypted_regex", "^data$").unwrap()));
        assert_eq!(policy.rule.to_string(), "/repo/.sops.yaml:3 (rule 1)");
        assert_eq!(policy.rule.path_regex.as_deref(), Some("\\.yaml$"));
    }

    #[test]
    fn every_key_of_a_group_is_read_in_the_order_of_sops() {
        let policy = policy(
            "
creation_rules:
  - age: age1ignored
    shamir_threshold: 2
    key_groups:
      - hc_vault: [' https://vault/v1/transit/keys/a ']
        azure_keyvault: [{vaultUrl: 'https://v.vault.azure.net', key: k, version: '1'}, {vaultUrl: 'https://v.vault.azure.net', key: l}]
        hckms: [{key_id: 'eu:1'}]
        gcp_kms: [{resource_id: projects/p}]
        kms: [{arn: 'arn:a', role: 'arn:r', context: {app: x, n: 1}, aws_profile: prod}, {arn: 'arn:b'}]
        pgp: ['AB CD', ABCD]
        age: [age1x, 'age1y, age1x']
        merge:
          - age: [age1m]
            merge: [{age: [age1x, age1deep]}]
          - pgp: [ABCD]
      - age: [age1x]
",
        );
        let context = BTreeMap::from([("app".to_owned(), "x".to_owned()), ("n".to_owned(), "1".to_owned())]);
        assert_eq!(policy.key_groups.len(), 2);
        assert_eq!(
            specs(&policy.key_groups[0]),
            [
                age("age1x"),
                age("age1deep"),
                age("age1m"),
                KeySpec::Pgp("ABCD".into()),
                age("age1y"),
                KeySpec::Kms {
                    arn: "arn:a".into(),
                    role: Some("arn:r".into()),
                    context,
                    aws_profile: Some("prod".into())
                },
                kms("arn:b", None, None),
                KeySpec::GcpKms("projects/p".into()),
                KeySpec::Hckms("eu:1".into()),
                azure("k", Some("1")),
                azure("l", None),
                KeySpec::HcVault("https://vault/v1/transit/keys/a".into()),
            ]
        );
        assert_eq!(specs(&policy.key_groups[1]), [age("age1x")], "groups are deduplicated one by one");
        assert_eq!(policy.shamir_threshold, Some(2));
    }

    #[test]
    fn every_way_to_select_leaves_is_read() {
        for kind in SelectionKind::ALL {
            let policy = policy(&format!("creation_rules:\n  - {}: x\n", kind.field_name()));
            assert_eq!(policy.selection, Some(Selection::new(kind, "x").unwrap()));
        }
    }

    #[test]
    fn what_is_empty_is_as_if_it_were_absent() {
        let policy = policy(
            "creation_rules:\n  - path_regex: ''\n    age: ''\n    pgp:\n    encrypted_regex: ''\n    \
             encrypted_suffix: s\n    shamir_threshold: 0\n    key_groups: []\n",
        );
        assert_eq!(policy.rule.path_regex, None);
        assert_eq!(policy.selection.unwrap().to_string(), "encrypted_suffix: s");
        assert_eq!((policy.shamir_threshold, policy.key_groups.len()), (None, 0));
    }

    #[test]
    fn truth_has_the_words_of_go_yaml() {
        for (word, truth) in [("true", true), ("yes", true), ("On", true), ("false", false), ("no", false)] {
            let policy = policy(&format!("creation_rules:\n  - mac_only_encrypted: {word}\n"));
            assert_eq!(policy.mac_only_encrypted, truth, "{word}");
        }
    }

    #[test]
    fn a_rule_pins_the_place_of_sealed_secrets_and_sops_reads_past_it() {
        let text = "creation_rules:\n  - age: age1x\n    sealant: {scope: strict, namespace: shop}\n";
        let pin = policy(text).pin.unwrap();
        assert_eq!(
            (pin.scope.as_deref(), pin.namespace.as_deref(), pin.name),
            (Some("strict"), Some("shop"), None)
        );
        assert_eq!(pin.line, 3);
        let as_sops = Config::parse(text, CONFIG, Dialect::Sops).unwrap();
        assert_eq!(as_sops.policies().remove(0).unwrap().pin, None);
        let misspelt = text.replace("namespace", "namespce");
        assert!(Config::parse(&misspelt, CONFIG, Dialect::Sops).is_ok());
        assert!(complaint(&misspelt).contains("did you mean `namespace`?"));
    }

    #[test]
    fn patterns_that_take_too_much_together_are_refused_with_the_line_of_the_rule() {
        let rule = |number| format!("  - path_regex: {number}\\pL{{100}}\n    age: age1x\n");
        let rules: String = (0..120).map(rule).collect();
        let error = complaint(&format!("creation_rules:\n{rules}"));
        assert!(error.contains("path_regex `6\\pL{100}`") && error.starts_with("14: "), "{error}");
    }

    #[test]
    fn destination_rules_stores_and_an_empty_sealant_are_accepted() {
        let config = config(
            "
destination_rules:
  - {path_regex: x, s3_bucket: b, s3_prefix: p, omit_extensions: true}
  - {gcs_bucket: b, gcs_prefix: p, recreation_rule: {age: age1x}}
  - {vault_path: p, vault_address: a, vault_kv_mount_name: m, vault_kv_version: 2}
stores:
  yaml: {indent: 2}
  json: {indent: 4}
  json_binary: {indent: -1}
  dotenv: {}
  ini: {}
sealant: {}
",
        );
        assert_eq!(
            *config.stores(),
            Stores { yaml_indent: 2, json_indent: Some(4), json_binary_indent: None }
        );
        assert_eq!(
            config.policy_for(Path::new("/repo/a")).unwrap(),
            None,
            "no creation_rules: as if no config"
        );
    }

    #[test]
    fn anchors_and_merge_keys_work_as_in_sops() {
        let policy = policy(
            "
keys:
  - &alice age1alice
  - &bob age1bob
base: &base {mac_only_encrypted: true, age: age1base}
creation_rules:
  - <<: *base
    key_groups: [{age: [*alice, *bob]}]
",
        );
        assert_eq!(specs(&policy.key_groups[0]), [age("age1alice"), age("age1bob")]);
        assert!(policy.mac_only_encrypted);
    }

    #[test]
    fn unknown_keys_are_named_with_line_and_nearest_name() {
        let did_you_mean = |text, line, name, what, meant| {
            assert_eq!(
                complaint(text),
                format!("{line}: unknown key `{name}` in {what}; did you mean `{meant}`?"),
            );
        };
        did_you_mean("\ncreation_rule: []", 2, "creation_rule", "the config", "creation_rules");
        did_you_mean("creationRules: []", 1, "creationRules", "the config", "creation_rules");
        did_you_mean("creation-rules: [&a x]", 1, "creation-rules", "the config", "creation_rules");
        let rule = "a creation rule";
        did_you_mean("creation_rules:\n- age: x\n  keygroups: []", 3, "keygroups", rule, "key_groups");
        did_you_mean("creation_rules: [{path_regexp: x}]", 1, "path_regexp", rule, "path_regex");
        did_you_mean("creation_rules: [{hc_vault: x}]", 1, "hc_vault", rule, "hc_vault_transit_uri");
        did_you_mean("creation_rules: [{key_groups: [{agee: x}]}]", 1, "agee", "a key group", "age");
        did_you_mean("creation_rules: [{key_groups: [{vault: x}]}]", 1, "vault", "a key group", "hc_vault");
        did_you_mean(
            "creation_rules: [{key_groups: [{merge: [{pgpp: x}]}]}]",
            1,
            "pgpp",
            "a key group",
            "pgp",
        );
        did_you_mean("creation_rules: [{key_groups: [{kms: [{ar: x}]}]}]", 1, "ar", "a KMS key", "arn");
        did_you_mean("stores: {yml: {}}", 1, "yml", "`stores`", "yaml");
        did_you_mean("stores: {json: {indents: 2}}", 1, "indents", "`stores.json`", "indent");
        did_you_mean("destination_rules: [{s3bucket: x}]", 1, "s3bucket", "a destination rule", "s3_bucket");
        assert_eq!(
            complaint("sealant:\n  colour: blue"),
            "2: unknown key `colour` in `sealant`; it can have audit, check, recipients"
        );
        assert_eq!(
            complaint("creation_rules: [{key_groups: [{gcp_kms: [{zzz: x}]}]}]"),
            "1: unknown key `zzz` in a GCP KMS key; it can have resource_id"
        );
        assert!(
            complaint("keys: [age1x]")
                .starts_with("1: unknown key `keys` in the config; it can have creation_rules,")
        );
    }

    #[test]
    fn called_as_sops_unknown_keys_are_ignored() {
        let text =
            "nonsense: 1\nsealant: {x: 1}\ncreation_rules:\n  - age: age1x\n    keygroups: 1\n---\nmore: 1\n";
        let config = Config::parse(text, CONFIG, Dialect::Sops).unwrap();
        let policy = config.policy_for(Path::new("/repo/a")).unwrap().unwrap();
        assert_eq!(specs(&policy.key_groups[0]), [age("age1x")]);
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        for (text, expected) in [
            ("- a", "1: the config has to be a mapping, not a list"),
            ("creation_rules: x", "1: `creation_rules` has to be a list, not `x`"),
            ("creation_rules:\n  - x", "2: a creation rule has to be a mapping, not a string"),
            (
                "creation_rules:\n- age: {a: b}",
                "2: `age` has to be a string or a list of strings, not a mapping",
            ),
            ("creation_rules:\n- age: [[a]]", "2: `age` has to be a string, not a list"),
            ("creation_rules:\n- path_regex: [a]", "2: `path_regex` has to be a string, not a list"),
            (
                "creation_rules:\n- shamir_threshold: -1",
                "2: `shamir_threshold` has to be a whole number, 0 or more, not `-1`",
            ),
            (
                "creation_rules:\n- shamir_threshold: '2'",
                "2: `shamir_threshold` has to be a whole number, 0 or more, not `2`",
            ),
            (
                "creation_rules:\n- mac_only_encrypted: maybe",
                "2: `mac_only_encrypted` has to be true or false, not `maybe`",
            ),
            ("creation_rules:\n- key_groups: {}", "2: `key_groups` has to be a list, not a mapping"),
            ("creation_rules:\n- key_groups:\n  - age: x", "3: `age` has to be a list, not `x`"),
            ("creation_rules:\n- key_groups:\n  - kms:\n    - role: x", "4: `arn` is missing"),
            (
                "creation_rules:\n- key_groups:\n  - kms: [{arn: a, context: x}]",
                "3: `context` has to be a mapping, not `x`",
            ),
            ("creation_rules:\n- key_groups:\n  - gcp_kms: [{}]", "3: `resource_id` is missing"),
            ("creation_rules:\n- key_groups:\n  - hckms: [{}]", "3: `key_id` is missing"),
            ("creation_rules:\n- key_groups:\n  - azure_keyvault: [{vaultUrl: x}]", "3: `key` is missing"),
            (
                "creation_rules:\n- azure_keyvault: https://v/x",
                "2: `https://v/x` is not a key for `azure_keyvault`",
            ),
            ("stores: {yaml: {indent: -1}}", "1: `indent` has to be a whole number, 0 or more, not `-1`"),
            ("stores: {json: {indent: -2}}", "1: `indent` has to be a whole number, -1 or more, not `-2`"),
            ("a: 1\n---\nb: 2", "2: a config must be a single document, and here a second one begins"),
            (
                "creation_rules: []\ncreation_rules: []",
                "2: key `creation_rules` appears twice; the first is on line 1",
            ),
            (
                "creation_rules:\n- age: x\n  path_regex: (a",
                "3: path_regex `(a` is not a regular expression: unclosed group",
            ),
            (
                "creation_rules:\n- encrypted_comment_regex: '[b-a]'",
                "2: encrypted_comment_regex `[b-a]` is not a regular expression: not a range of characters: `b-a`",
            ),
            (
                "creation_rules:\n- age: x\n- encrypted_regex: a\n  unencrypted_suffix: b",
                "3: a rule can have only one of these, but this one has `unencrypted_suffix` and `encrypted_regex`",
            ),
        ] {
            assert_eq!(complaint(text), expected, "{text}");
        }
    }
}

mod matching {
    use super::*;

    const RULES: &str = "creation_rules:\n\
        - path_regex: ^prod/\n  age: age1prod\n\
        - path_regex: \\.enc\n  age: age1enc\n\
        - path_regex: ^/srv/\n  age: age1srv\n";

    fn rule_for(text: &str, path: &str) -> Option<usize> {
        config(text).policy_for(Path::new(path)).ok()?.map(|policy| policy.rule.index)
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        assert_eq!(rule_for(RULES, "/repo/prod/a.enc.yaml"), Some(0));
        assert_eq!(rule_for(RULES, "/repo/dev/a.enc.yaml"), Some(1));
        assert_eq!(
            rule_for(RULES, "/repo/dev/prod/a.yaml"),
            None,
            "the regex is anchored to the config's folder"
        );
        assert_eq!(rule_for("creation_rules: [{age: a}, {path_regex: x, age: b}]", "/repo/x"), Some(0));
    }

    #[test]
    fn outside_of_the_configs_folder_the_path_is_absolute() {
        assert_eq!(rule_for(RULES, "/srv/a.yaml"), Some(2));
        assert_eq!(rule_for(RULES, "/repo-other/prod/a.yaml"), None);
    }

    #[test]
    fn when_no_rule_matches_the_error_names_them_all() {
        let error = config(RULES).policy_for(Path::new("/repo/dev/a.yaml")).unwrap_err();
        assert_eq!(error.kind(), Kind::Other);
        assert_eq!(
            error.to_string(),
            "/repo/.sops.yaml: no matching creation rules found for `dev/a.yaml`\
             \n  line 2: path_regex `^prod/` does not match\
             \n  line 4: path_regex `\\.enc` does not match\
             \n  line 6: path_regex `^/srv/` does not match"
        );
        assert!(error.advice().is_some());
        assert!(config("creation_rules: []").policy_for(Path::new("/repo/a")).is_err());
    }

    #[test]
    fn without_creation_rules_it_is_as_if_there_were_no_config() {
        for text in ["", "creation_rules:\n", "stores: {}"] {
            assert_eq!(config(text).policy_for(Path::new("/repo/a")).unwrap(), None, "{text:?}");
        }
    }

    #[test]
    fn a_group_without_keys_is_refused_when_its_rule_is_used() {
        let config = config("creation_rules:\n- path_regex: ^x\n  key_groups: [{age: [a]}, {}]\n- age: b\n");
        assert!(config.policy_for(Path::new("/repo/a")).is_ok());
        let error = config.policy_for(Path::new("/repo/x")).unwrap_err();
        assert_eq!(error.to_string(), "/repo/.sops.yaml:2: key group 2 of this rule has no keys");
    }
}

mod finding {
    use super::*;

    /// Configs by path, as a hook finds them in Git's index.
    struct Files(BTreeMap<PathBuf, &'static str>);

    impl Source for Files {
        fn exists(&self, path: &Path) -> bool {
            self.0.contains_key(path)
        }
        fn read(&self, path: &Path) -> Result<String> {
            Ok(self.0[path].to_owned())
        }
    }

    fn configs(dialect: Dialect, explicit: Option<&str>, files: &[(&str, &'static str)]) -> Configs {
        let files = files.iter().map(|(path, text)| (PathBuf::from(path), *text)).collect();
        let lookup =
            Lookup { working_dir: "/work/here".into(), explicit: explicit.map(PathBuf::from), dialect };
        Configs::from_source(lookup, Files(files))
    }

    fn found(configs: &Configs, file: &str) -> Option<String> {
        configs.config_for(Path::new(file)).unwrap().map(|config| config.path().display().to_string())
    }

    #[test]
    fn the_files_folders_come_before_the_working_directorys() {
        let files = [("/data/.sops.yaml", ""), ("/work/.sealant.yaml", ""), ("/.sops.yaml", "")];
        let sealant = configs(Dialect::Sealant, None, &files);
        assert_eq!(found(&sealant, "/data/x/y/a.yaml").as_deref(), Some("/data/.sops.yaml"));
        assert_eq!(found(&sealant, "a.yaml").as_deref(), Some("/work/.sealant.yaml"));
        assert_eq!(found(&sealant, "../../data/./a.yaml").as_deref(), Some("/data/.sops.yaml"));
        assert_eq!(found(&sealant, "/other/a.yaml").as_deref(), Some("/.sops.yaml"));
        let only_here = configs(Dialect::Sealant, None, &files[1..2]);
        assert_eq!(found(&only_here, "/other/a.yaml").as_deref(), Some("/work/.sealant.yaml"));
    }

    #[test]
    fn called_as_sops_only_the_working_directory_and_sopss_name_count() {
        let files = [("/data/.sops.yaml", ""), ("/work/here/.sealant.yaml", ""), ("/work/.sops.yaml", "")];
        let sops = configs(Dialect::Sops, None, &files);
        assert_eq!(found(&sops, "/data/a.yaml").as_deref(), Some("/work/.sops.yaml"));
    }

    #[test]
    fn two_configs_in_one_folder_are_an_error_that_names_both() {
        let both = configs(Dialect::Sealant, None, &[("/work/.sops.yaml", ""), ("/work/.sealant.yaml", "")]);
        let error = both.config_for(Path::new("a.yaml")).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (Kind::Config, "/work/.sops.yaml and /work/.sealant.yaml are both configs of the same folder")
        );
    }

    #[test]
    fn a_config_asked_for_is_the_only_one() {
        let files = [("/work/here/.sops.yaml", ""), ("/work/here/my.yaml", "")];
        let asked = configs(Dialect::Sealant, Some("my.yaml"), &files);
        assert_eq!(found(&asked, "a.yaml").as_deref(), Some("/work/here/my.yaml"));
        let missing = configs(Dialect::Sealant, Some("other.yaml"), &files).config_for(Path::new("a.yaml"));
        let error = missing.unwrap_err();
        assert_eq!(error.kind(), Kind::ConfigNotFound);
        assert_eq!(error.to_string(), "/work/here/other.yaml: this config does not exist");
    }

    #[test]
    fn at_most_a_hundred_folders_are_looked_at_and_no_config_above_is_passed_by() {
        let deep = |levels| format!("/{}a.yaml", "d/".repeat(levels));
        let configs = configs(Dialect::Sealant, None, &[("/.sops.yaml", "")]);
        let search = |file: &str| configs.explain(Path::new(file)).unwrap().search.folders.len();
        assert_eq!(search(&deep(99)), 100);
        let error = configs.config_for(Path::new(&deep(100))).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.message().contains("more than 100 folders deep"), "{error}");
    }

    #[test]
    fn explain_shows_the_search_and_every_rule() {
        let files = [
            ("/work/here/.sops.yml", ""),
            (
                "/work/.sops.yaml",
                "creation_rules:\n- path_regex: ^x\n- path_regex: yaml$\n  age: a\n- age: b\n",
            ),
        ];
        let configs = configs(Dialect::Sealant, None, &files);
        assert_eq!(
            configs.explain(Path::new("a.yaml")).unwrap().lines().join("\n") + "\n",
            "the config is /work/.sops.yaml\n\
             looked for .sops.yaml and .sealant.yaml in:\n  /work/here\n  /work\n\
             /work/here/.sops.yml is not read: the config must be called .sops.yaml\n\
             its rules are matched against the path `here/a.yaml`:\n  \
             line 2: path_regex `^x` does not match\n  \
             line 3: path_regex `yaml$` matches\n  \
             line 5: no path_regex; was not tried: an earlier rule matches\n"
        );
        assert_eq!(configs.policy_for(Path::new("a.yaml")).unwrap().unwrap().rule.index, 1);
    }

    #[test]
    fn explain_says_when_there_is_nothing() {
        let none = configs(Dialect::Sops, None, &[]);
        assert_eq!(
            none.explain(Path::new("a.yaml")).unwrap().lines().join("\n") + "\n",
            "there is no config\nlooked for .sops.yaml in:\n  /work/here\n  /work\n  /\n"
        );
        assert_eq!(none.policy_for(Path::new("a.yaml")).unwrap(), None);
        let empty = configs(Dialect::Sealant, Some("/c.yaml"), &[("/c.yaml", "")]);
        assert_eq!(
            empty.explain(Path::new("a.yaml")).unwrap().lines().join("\n") + "\n",
            "the config /c.yaml was named by a flag or variable\nit has no creation rules, as if there were no config\n"
        );
    }

    #[test]
    fn configs_on_disk_are_found_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SOPS_NAME);
        write_atomic(&path, b"creation_rules: [{age: age1x}]", Mode::Public).unwrap();
        let lookup = Lookup { working_dir: "/".into(), explicit: None, dialect: Dialect::Sealant };
        let policy =
            Configs::new(lookup.clone()).policy_for(&folder.path().join("sub/a.yaml")).unwrap().unwrap();
        assert_eq!(policy.rule.file, path);
        write_atomic(&path, b"creation_rules: \xff", Mode::Public).unwrap();
        let error = Configs::new(lookup).policy_for(&folder.path().join("a.yaml")).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Config, "the config is not valid UTF-8"));
    }
}

mod starting {
    use super::*;

    fn policy(recipients: &[&str], preset: Preset) -> Policy {
        let recipients: Vec<_> = recipients.iter().map(|text| (*text).to_owned()).collect();
        let config = config(&starter(&recipients, &Names::default(), preset));
        config.policy_for(Path::new("/repo/app/secrets/db.yaml")).unwrap().unwrap()
    }

    #[test]
    fn the_starter_reads_back() {
        let vault = "https://vault:8200/v1/transit/keys/k";
        let policy = policy(&["age1x", vault, "ssh-ed25519 AAAA me@host # 1"], Preset::Everything);
        assert_eq!(
            specs(&policy.key_groups[0]),
            [age("age1x"), age("ssh-ed25519 AAAA me@host # 1"), KeySpec::HcVault(vault.into())]
        );
        assert_eq!(policy.selection, None);
    }

    #[test]
    fn the_kubernetes_preset_selects_the_values_of_secrets() {
        assert_eq!(policy(&["age1x"], Preset::Kubernetes).selection, Some(Selection::kubernetes()));
    }

    #[test]
    fn without_recipients_there_is_a_place_for_them() {
        assert!(policy(&[], Preset::Everything).key_groups.is_empty());
    }

    #[test]
    fn the_starters_rule_leaves_other_files_alone() {
        let config = config(&starter(&[], &Names::default(), Preset::Everything));
        for (path, matches) in
            [("db.enc.yaml", true), ("secrets/a", true), ("nosecrets/a", false), ("a.yaml", false)]
        {
            assert_eq!(config.policy_for(&Path::new("/repo").join(path)).is_ok(), matches, "{path}");
        }
    }
}

/// Links: a file has the rule of the place where it is, whatever leads to it.
#[cfg(unix)]
mod links {
    use super::*;
    use std::os::unix::fs::symlink;

    const RULES: &str =
        "creation_rules:\n  - path_regex: ^prod/\n    age: a\n  - path_regex: ^dev/\n    age: b\n";

    fn write(path: &Path, text: &str) {
        crate::fs::write_atomic(path, text.as_bytes(), crate::fs::Mode::Public).unwrap();
    }

    fn repository(rules: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("repo");
        for name in ["prod", "dev", "misc"] {
            std::fs::create_dir_all(top.join(name)).unwrap();
        }
        write(&top.join(".sops.yaml"), rules);
        write(&top.join("prod/a.yaml"), "a: 1\n");
        folder
    }

    fn configs_in(working_dir: PathBuf, dialect: Dialect) -> Configs {
        Configs::new(Lookup { working_dir, explicit: None, dialect })
    }

    /// The number of a file's rule from 1, or the refusal.
    fn rule(configs: &Configs, file: &str) -> Result<Option<usize>> {
        Ok(configs.matching_policy(Path::new(file))?.map(|policy| policy.rule.index + 1))
    }

    #[test]
    fn a_path_that_claims_another_rule_is_refused_and_both_are_named() {
        let folder = repository(RULES);
        let top = folder.path().canonicalize().unwrap().join("repo");
        symlink("../prod/a.yaml", top.join("dev/file.yaml")).unwrap();
        symlink("../prod", top.join("dev/folder")).unwrap();
        symlink("file.yaml", top.join("dev/twice.yaml")).unwrap();
        symlink("../prod/new.yaml", top.join("dev/dangling.yaml")).unwrap();
        symlink("../../elsewhere.yaml", top.join("dev/out.yaml")).unwrap();
        let configs = configs_in(top.clone(), Dialect::Sealant);
        for file in [
            "dev/file.yaml",
            "dev/folder/a.yaml",
            "dev/folder/new.yaml",
            "dev/twice.yaml",
            "dev/dangling.yaml",
        ] {
            let error = rule(&configs, file).unwrap_err();
            assert_eq!(error.kind(), Kind::Conflict, "{file}");
            let text = error.to_string();
            assert!(text.contains(file) && text.contains("leads to prod/"), "{text}");
            assert!(
                text.contains(".sops.yaml:2 (rule 1)") && text.contains(".sops.yaml:4 (rule 2)"),
                "{text}"
            );
            assert!(
                configs.policy_for(Path::new(file)).is_err() && configs.explain(Path::new(file)).is_err()
            );
        }
        assert_eq!(rule(&configs, "dev/out.yaml").unwrap_err().kind(), Kind::Conflict);
        assert_eq!(rule(&configs, "prod/a.yaml").unwrap(), Some(1));
        // As the kernel reads it, not as the text does.
        assert_eq!(rule(&configs, "dev/folder/../prod/a.yaml").unwrap(), Some(1));
        let as_sops = configs_in(top, Dialect::Sops);
        assert_eq!(rule(&as_sops, "dev/file.yaml").unwrap(), Some(2));
        assert!(as_sops.locate(Path::new("dev/file.yaml")).unwrap().misled().unwrap().is_some());
    }

    #[test]
    fn links_that_change_nothing_keep_working() {
        let folder = repository(RULES);
        let outside = folder.path().canonicalize().unwrap();
        let top = outside.join("repo");
        symlink(&top, outside.join("other-name")).unwrap();
        symlink(top.join("prod"), outside.join("secrets")).unwrap();
        symlink("a.yaml", top.join("prod/b.yaml")).unwrap();
        symlink("../prod/a.yaml", top.join("misc/a.yaml")).unwrap();
        for working_dir in [&outside, &top] {
            let configs = configs_in(working_dir.clone(), Dialect::Sealant);
            // A home or a /tmp that is a link itself, and a link from outside of any repository.
            for file in [
                "other-name/prod/a.yaml",
                "secrets/a.yaml",
                "secrets/new.yaml",
                "repo/prod/b.yaml",
                "repo/misc/a.yaml",
            ] {
                let file = outside.join(file);
                assert_eq!(rule(&configs, file.to_str().unwrap()).unwrap(), Some(1), "{}", file.display());
            }
        }
    }

    #[test]
    fn a_rule_for_all_files_of_a_repository_is_none_for_those_to_which_it_links() {
        let folder = repository("creation_rules:\n  - age: a\n");
        let top = folder.path().canonicalize().unwrap().join("repo");
        write(&folder.path().join("mine.yaml"), "a: 1\n");
        symlink("../../mine.yaml", top.join("dev/b.yaml")).unwrap();
        let configs = configs_in(top, Dialect::Sealant);
        assert_eq!(rule(&configs, "dev/b.yaml").unwrap_err().kind(), Kind::Conflict);
        // Named itself, it is what the person means.
        assert_eq!(rule(&configs, "../mine.yaml").unwrap(), Some(1));
    }

    #[test]
    fn the_config_of_a_linked_file_is_that_of_its_own_folder() {
        let folder = repository("creation_rules:\n  - age: a\n");
        let top = folder.path().canonicalize().unwrap().join("repo");
        write(&top.join("prod/.sops.yaml"), "creation_rules:\n  - path_regex: x\n  - age: b\n");
        symlink("../prod/a.yaml", top.join("dev/b.yaml")).unwrap();
        let configs = configs_in(top.clone(), Dialect::Sealant);
        let text = rule(&configs, "dev/b.yaml").unwrap_err().to_string();
        assert!(text.contains("prod/.sops.yaml:3 (rule 2)") && text.contains("under .sops.yaml:2"), "{text}");
        assert_eq!(
            configs.config_for(Path::new("dev/b.yaml")).unwrap().unwrap().path(),
            top.join("prod/.sops.yaml")
        );
    }

    #[test]
    fn a_config_that_is_no_file_is_refused_before_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".sops.yaml");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        let configs = configs_in(folder.path().to_path_buf(), Dialect::Sealant);
        let error = configs.matching_policy(Path::new("a.yaml")).unwrap_err();
        assert!(error.to_string().contains("is a named pipe"), "{error}");
    }
}

#[test]
fn to_sops_a_rule_matters_for_the_files_that_it_matches() {
    let text = "creation_rules:\n  - path_regex: twice\n    encrypted_regex: a\n    encrypted_suffix: b\n  - age: x\n";
    let config = Config::parse(text, CONFIG, Dialect::Sops).unwrap();
    assert!(config.policy_for(Path::new("/repo/other.yaml")).unwrap().is_some());
    let error = config.policy_for(Path::new("/repo/twice.yaml")).unwrap_err();
    assert!(error.to_string().contains(":2: a rule can have only one of these"), "{error}");
    assert!(Config::parse(text, CONFIG, Dialect::Sealant).is_err());
}
