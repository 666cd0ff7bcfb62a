use super::*;
use crate::config::Dialect;

const FOLDER: &str = "/repo";

fn config(text: &str) -> Config {
    Config::parse(text, "/repo/.sops.yaml", Dialect::Sealant).unwrap()
}

/// What one config says less than another, with an example each.
fn weaker(before: &str, today: &str) -> Vec<(String, Weaker)> {
    let weakened =
        Config::weakened(Some(&config(today)), Some(&config(before)), Path::new(FOLDER), |_| true).unwrap();
    assert!(!weakened.is_too_much);
    let partings = weakened.partings.into_iter();
    partings
        .flat_map(|parting| {
            let example = parting.example.display().to_string();
            parting.weaker.into_iter().map(move |weaker| (example.clone(), weaker))
        })
        .collect()
}

fn rule(rest: &str) -> String {
    rules(&[&format!("path_regex: ^secrets/, age: age1x{rest}")])
}

fn rules(rules: &[&str]) -> String {
    let rules: String = rules.iter().map(|rule| format!("  - {{{rule}}}\n")).collect();
    format!("creation_rules:\n{rules}")
}

fn id(key: &RuleKey) -> String {
    match &key.spec {
        KeySpec::Age(recipient) => recipient.clone(),
        other => format!("{other:?}"),
    }
}

/// What a rule says less than before, in words for a table.
fn told(before: &str, today: &str) -> Vec<String> {
    weaker(before, today)
        .into_iter()
        .map(|(example, weaker)| match weaker {
            Weaker::NoRule => format!("{example}: none"),
            Weaker::PassedBy { pattern } => format!("{example}: passed by {pattern}"),
            Weaker::Selection { example: value, .. } => {
                format!("{example}: value {}", value.unwrap_or_else(|| "?".into()))
            }
            Weaker::Threshold { before, today } => format!("{example}: {before} {today}"),
            Weaker::Shares { key, before, today } => format!("{example}: {} {before} {today}", id(&key)),
            Weaker::Mac => format!("{example}: mac"),
            Weaker::Pin { part, before, today } => format!("{example}: {part:?} {before} {today:?}"),
            Weaker::Nobody => format!("{example}: nobody"),
            Weaker::Readers(keys) => {
                let keys: Vec<String> = keys.iter().map(id).collect();
                format!("{example}: + {}", keys.join(" "))
            }
        })
        .collect()
}

#[test]
fn what_a_rule_says_less_is_seen_without_a_file() {
    let pinned = ", sealant: {scope: strict, namespace: shop}";
    let groups = "key_groups: [{age: [age1a]}, {age: [age1b]}]";
    let group = |rest: &str| rules(&[&format!("path_regex: ^secrets/, {rest}")]);
    for (before, today, expected) in [
        (rule(pinned), rule(""), &["secrets/a: Scope strict None", "secrets/a: Namespace shop None"][..]),
        (
            rule(pinned),
            rule(", sealant: {scope: namespace, namespace: shop}"),
            &["secrets/a: Scope strict Some(\"namespace\")"],
        ),
        (
            rule(", sealant: {namespace: shop}"),
            rule(", sealant: {namespace: shop, scope: cluster}"),
            &["secrets/a: Scope namespace Some(\"cluster\")"],
        ),
        (
            rule(pinned),
            rule(", sealant: {scope: strict, namespace: evil}"),
            &["secrets/a: Namespace shop Some(\"evil\")"],
        ),
        (rule(""), rule(", mac_only_encrypted: yes"), &["secrets/a: mac"]),
        (group(groups), group(&format!("{groups}, shamir_threshold: 1")), &["secrets/a: 2 1"]),
        (group(&format!("{groups}, shamir_threshold: 2")), group("age: age1a"), &["secrets/a: 2 1"]),
        (
            group(groups),
            group("key_groups: [{age: [age1a, age1b]}, {age: [age1b]}]"),
            &["secrets/a: age1b 1 2"],
        ),
        (
            rule(""),
            rules(&["path_regex: ^secrets/, age: 'age1x,age1y,age1z'"]),
            &["secrets/a: + age1y age1z"],
        ),
        (rule(""), rules(&["path_regex: ^secrets/"]), &["secrets/a: nobody"]),
        (rule(""), rules(&[]).replace(":\n", ": []\n"), &["secrets/a: none"]),
        (rule(""), "stores: {}\n".into(), &["secrets/a: none"]),
        (rule(""), rules(&["age: age1x"]), &["secrets/a: none"]),
        (rule(""), rule("").replace("^secrets", "^secrets/prod"), &["secrets/a: none"]),
        (
            rule(""),
            format!("{}sealant: {{check: {{exclude: ['secrets/p*']}}}}\n", rule("")),
            &["secrets/p: passed by secrets/p*"],
        ),
    ] {
        assert_eq!(told(&before, &today), expected, "{today}");
        assert_eq!(told(&today, &today), [] as [&str; 0]);
    }
}

#[test]
fn fewer_values_are_seen_however_that_is_spelled() {
    for (before, today, expected) in [
        ("encrypted_regex: ^(data|stringData)$", "encrypted_regex: ^data$", Some("stringData")),
        ("encrypted_regex: ^data$", "encrypted_regex: ^(data|stringData)$", None),
        ("encrypted_regex: ^(data|stringData)$", "encrypted_regex: '^((?:data)|(?:string)Data)$'", None),
        ("encrypted_regex: secret", "encrypted_regex: secrets", Some("secret")),
        ("encrypted_regex: secret", "encrypted_suffix: secret", Some("secreta")),
        ("encrypted_suffix: _secret", "encrypted_regex: _secret$", None),
        ("encrypted_suffix: _secret", "encrypted_suffix: n_secret", Some("_secret")),
        ("encrypted_suffix: _secret", "encrypted_suffix: ''", None),
        ("encrypted_regex: ^data$", "unencrypted_regex: ^data$", Some("data")),
        ("encrypted_regex: ^data$", "unencrypted_regex: ^metadata$", None),
        ("encrypted_regex: ^data$", "unencrypted_suffix: ta", Some("data")),
        ("unencrypted_regex: ^metadata$", "unencrypted_regex: data", Some("data")),
        ("unencrypted_suffix: _plain", "unencrypted_suffix: n", Some("n")),
        ("unencrypted_suffix: _plain", "encrypted_regex: .", None),
        ("", "encrypted_regex: ^nothing$", Some("a")),
        ("", "unencrypted_regex: .", Some("a")),
        ("", "unencrypted_suffix: d", Some("d")),
        ("encrypted_regex: ^data$", "", None),
        ("encrypted_regex: secret", "", None),
        ("", "encrypted_comment_regex: secret", Some("a")),
        ("", "unencrypted_comment_regex: public", Some("a")),
        ("unencrypted_comment_regex: public", "unencrypted_comment_regex: p", Some("p")),
        ("encrypted_comment_regex: secret", "encrypted_comment_regex: secr", None),
        ("encrypted_comment_regex: secret", "unencrypted_comment_regex: public", Some("publicsecret")),
        ("encrypted_comment_regex: secret", "encrypted_regex: ^data$", Some("a")),
        ("encrypted_regex: '^[\\x00-\\x{10ffff}]*$'", "encrypted_regex: '^[ -~]*$'", Some("\u{e9}")),
        ("encrypted_regex: ^data$", "encrypted_regex: 'data|\\pL{90}'", Some("?")),
    ] {
        let with = |selection: &str| {
            rule(&if selection.is_empty() { String::new() } else { format!(", {selection}") })
        };
        let expected: Vec<String> =
            expected.map(|key| format!("secrets/a: value {key}")).into_iter().collect();
        assert_eq!(told(&with(before), &with(today)), expected, "{before} -> {today}");
    }
}

#[test]
fn what_comes_before_a_rule_and_takes_paths_from_it_is_seen() {
    let strict = "path_regex: ^prod/, key_groups: [{age: [age1a]}, {age: [age1b]}]";
    let before = rules(&[strict, "age: age1x"]);
    let taken = rules(&["path_regex: db, age: age1a", strict, "age: age1x"]);
    assert_eq!(told(&before, &taken), ["prod/db: 2 1", "db: + age1a"]);
    // The other way round, nothing is lost.
    assert_eq!(
        told(&rules(&["path_regex: ^prod/db, age: age1a", strict]), &rules(&[strict])),
        ["prod/db: + age1b"]
    );
}

#[test]
fn another_order_or_spelling_is_no_difference() {
    let one = "path_regex: ^dev/, age: age1x";
    let other = "path_regex: ^prod/, age: 'age1y, age1z', encrypted_regex: ^data$";
    let spelled = "creation_rules:\n# moved\n- encrypted_regex: &d \"^data$\"\n  age: [age1z, age1y]\n  path_regex: ^prod/\n\
                   - age: age1x\n  path_regex: ^dev/\n";
    assert_eq!(told(&rules(&[one, other]), spelled), [] as [&str; 0]);
    let split = rules(&["path_regex: ^(dev|test)/, age: age1x"]);
    assert_eq!(told(&split, &rules(&[one, "path_regex: ^test/, age: age1x"])), [] as [&str; 0]);
}

#[test]
fn a_rule_of_its_own_for_some_files_takes_little_from_one_for_all() {
    let before = config(&rules(&["age: age1x, encrypted_regex: ^data$"]));
    let is_default = |today: &str| {
        let weakened =
            Config::weakened(Some(&config(today)), Some(&before), Path::new(FOLDER), |_| true).unwrap();
        let weaker = weakened.partings.iter().filter(|parting| !parting.weaker.is_empty());
        weaker.map(|parting| parting.is_default).collect::<Vec<_>>()
    };
    let app = "path_regex: ^app/, age: age1x, mac_only_encrypted: true";
    assert_eq!(is_default(&rules(&[app, "age: age1x, encrypted_regex: ^data$"])), [true]);
    // One that is for all is none of its own.
    assert_eq!(
        is_default(&rules(&[&app.replace("^app/", "."), "age: age1x, encrypted_regex: ^data$"])),
        [false]
    );
}

#[test]
fn what_cannot_be_compared_is_told() {
    let large = config(&rules(&["path_regex: '\\pL{90}', age: age1x"]));
    let weakened =
        |folder| Config::weakened(Some(&large), Some(&config(&rule(""))), Path::new(folder), |_| true);
    assert!(weakened(FOLDER).unwrap().is_too_much);
}

#[test]
fn configs_of_two_folders_are_compared_by_the_paths_that_they_are_about() {
    let outer = config(&rule(", encrypted_regex: ^data$"));
    let inner = Config::parse(
        &rules(&["age: age1x, path_regex: yaml$"]),
        "/repo/secrets/.sops.yaml",
        Dialect::Sealant,
    );
    let inner = inner.unwrap();
    let weakened =
        Config::weakened(Some(&inner), Some(&outer), Path::new("/repo/secrets"), |_| true).unwrap();
    let found: Vec<_> = weakened
        .partings
        .iter()
        .map(|parting| (parting.example.to_str().unwrap(), &parting.weaker[..]))
        .collect();
    assert_eq!(found, [("a", &[Weaker::NoRule][..]), ("yaml", &[])]);
    let elsewhere =
        Config::weakened(None, Some(&outer), Path::new(FOLDER), |path| !path.starts_with("secrets"));
    assert!(elsewhere.unwrap().partings.is_empty());
}
