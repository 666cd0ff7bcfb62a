use super::*;
use crate::config::Dialect;

const FOLDER: &str = "/repo";

fn config(text: &str) -> Config {
    Config::parse(text, "/repo/.sops.yaml", Dialect::Sealant).unwrap()
}

fn weakened(today: &Config, before: &Config) -> Weakened {
    weakened_in(FOLDER, Some(today), before, &[])
}

fn weakened_in(folder: &str, today: Option<&Config>, before: &Config, outside: &[&str]) -> Weakened {
    let outside = outside.iter().map(PathBuf::from).collect();
    Config::weakened(today, Some(before), Path::new(folder), &outside, &Searches::default()).unwrap()
}

/// What one config says less than another, with an example each.
fn weaker(before: &str, today: &str) -> Vec<(String, Weaker)> {
    let weakened = weakened(&config(today), &config(before));
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

/// A value by its keys, and the comments above it.
fn shown(value: Example) -> String {
    let comments = value.comments.iter().map(|comment| format!(" #{comment}"));
    value.keys.join(".") + &comments.collect::<String>()
}

/// What a rule says less than before, in words for a table.
fn told(before: &str, today: &str) -> Vec<String> {
    weaker(before, today)
        .into_iter()
        .map(|(example, weaker)| match weaker {
            Weaker::NoRule => format!("{example}: none"),
            Weaker::PassedBy { pattern } => format!("{example}: passed by {pattern}"),
            Weaker::Selection { example: value, .. } => {
                format!("{example}: value {}", value.map_or("?".into(), shown))
            }
            Weaker::Threshold { before, today } => format!("{example}: {before} {today}"),
            Weaker::Together(None) => format!("{example}: together ?"),
            Weaker::Together(Some(keys)) => {
                let keys: Vec<String> = keys.iter().map(id).collect();
                format!("{example}: together {}", keys.join(" "))
            }
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
            &["secrets/a: together age1b"],
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
        // Names that are easily overlooked.
        (
            rule(""),
            rules(&[
                "path_regex: '^secrets/[.][.][.]', age: age1x, mac_only_encrypted: yes",
                "path_regex: ^secrets/, age: age1x",
            ]),
            &["secrets/...: mac"],
        ),
        (
            rule(""),
            rules(&[
                "path_regex: '(?s)[\\n]', age: age1x, mac_only_encrypted: yes",
                "path_regex: ^secrets/, age: age1x",
            ]),
            &["secrets/\n: mac"],
        ),
        // A rule for all files that calls values secret by their names.
        (rules(&["age: age1x, encrypted_regex: ^password$"]), rules(&["age: age1x"]), &["a: none"]),
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
        // A key above a value counts as much as its own.
        ("encrypted_regex: ^data$", "unencrypted_regex: ^metadata$", Some("metadata.data")),
        ("encrypted_regex: ^password$", "unencrypted_regex: '^[^p]'", Some("a.password")),
        ("encrypted_suffix: _secret", "unencrypted_suffix: b", Some("b._secret")),
        ("encrypted_regex: ^data$", "unencrypted_suffix: ta", Some("data")),
        ("encrypted_regex: ^data$", "unencrypted_suffix: _unencrypted", None),
        ("encrypted_regex: ^data$", "unencrypted_regex: port_unencrypted$", None),
        ("encrypted_regex: ^data$", "unencrypted_regex: $x", None),
        ("encrypted_regex: $x", "unencrypted_regex: .", None),
        ("unencrypted_regex: '^[^p]'", "encrypted_regex: ^password$", Some("p")),
        ("unencrypted_regex: ^metadata$", "unencrypted_regex: data", Some("data")),
        ("unencrypted_suffix: _plain", "unencrypted_suffix: n", Some("n")),
        ("unencrypted_suffix: _plain", "encrypted_regex: .", None),
        ("", "encrypted_regex: ^nothing$", Some("a")),
        ("", "unencrypted_regex: .", Some("a")),
        ("", "unencrypted_suffix: d", Some("d")),
        ("encrypted_regex: ^data$", "", None),
        ("encrypted_regex: secret", "", None),
        ("", "encrypted_comment_regex: secret", Some("a")),
        ("", "unencrypted_comment_regex: public", Some("a #public")),
        ("", "unencrypted_comment_regex: $x", None),
        ("unencrypted_comment_regex: public", "unencrypted_comment_regex: p", Some(" #p")),
        ("unencrypted_comment_regex: public", "encrypted_comment_regex: .", Some("")),
        ("encrypted_comment_regex: secret", "encrypted_comment_regex: secr", None),
        ("encrypted_comment_regex: secret", "unencrypted_comment_regex: public", Some(" #publicsecret")),
        (
            "encrypted_comment_regex: ^secret$",
            "unencrypted_comment_regex: ^public$",
            Some(" #public #secret"),
        ),
        ("encrypted_comment_regex: secret", "unencrypted_comment_regex: secrets", Some(" #secrets")),
        ("encrypted_comment_regex: secret", "encrypted_regex: ^data$", Some("a #secret")),
        ("encrypted_comment_regex: secret", "", None),
        ("encrypted_comment_regex: $x", "encrypted_regex: ^data$", None),
        ("encrypted_regex: ^password$", "unencrypted_comment_regex: ^x$", Some("password #x")),
        ("encrypted_regex: ^password$", "encrypted_comment_regex: ^x$", Some("password")),
        ("unencrypted_comment_regex: x", "encrypted_regex: '(?s)^.'", None),
        ("encrypted_regex: .", "encrypted_regex: '^[^\\t]*$'", Some("\t")),
        ("encrypted_regex: .", "encrypted_regex: '^[^\\n]*$'", Some("\n")),
        ("encrypted_regex: '^[\\x00-\\x{10ffff}]*$'", "encrypted_regex: '^[ -~]*$'", Some("\0")),
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

/// What counts is who can open together, not in how many groups each one is.
#[test]
fn key_groups_that_are_shared_out_in_another_way_are_compared_by_who_is_enough() {
    let of = |groups: &str, threshold: usize| {
        let groups = groups.split(' ').map(|group| {
            let keys: Vec<String> = group.chars().map(|key| format!("age1{key}")).collect();
            format!("{{age: [{}]}}", keys.join(", "))
        });
        let groups = groups.collect::<Vec<_>>().join(", ");
        rules(&[&format!("path_regex: ^secrets/, key_groups: [{groups}], shamir_threshold: {threshold}")])
    };
    for (before, today, expected) in [
        (("a bc", 2), ("b ca", 2), &["together age1b age1c"][..]),
        (("a bcd", 2), ("ab cd", 2), &["together age1b age1c"]),
        (("a bcd", 2), ("b cd", 2), &["together age1b age1c"]),
        (("a b c", 3), ("ab b c", 3), &["together age1b age1c"]),
        (("a b c", 2), ("a b c b", 2), &["together age1b"]),
        (("a b", 2), ("a b ab", 3), &[]),
        (("a b", 2), ("b a", 2), &[]),
        (("ab cd", 2), ("dc a", 2), &[]),
        (("ab cd", 1), ("ac bd", 1), &[]),
        (("ab cd", 1), ("ac bd", 2), &[]),
        (("ab ac bc", 2), ("a b c", 2), &[]),
        // Somebody new has the place of one reader, and is not worth more than that.
        (("a b", 2), ("a c", 2), &["+ age1c"]),
        (("a b", 2), ("ac b", 2), &["+ age1c"]),
        (("a b", 2), ("c d", 2), &["+ age1c age1d"]),
        (("a b", 2), ("ac bc", 2), &["together age1c", "+ age1c"]),
        (("a bc", 2), ("bd c", 2), &["together age1b age1c", "+ age1d"]),
    ] {
        let found = told(&of(before.0, before.1), &of(today.0, today.1));
        let expected: Vec<String> = expected.iter().map(|what| format!("secrets/a: {what}")).collect();
        assert_eq!(found, expected, "{before:?} -> {today:?}");
    }
    let many = |from: usize| {
        let groups: Vec<String> = (0..70)
            .map(|at| format!("{}", char::from_u32(0x4e00 + (from + at) as u32 % 70).unwrap()))
            .collect();
        groups.join(" ")
    };
    assert_eq!(told(&of(&many(0), 50), &of(&many(7), 50)), [""; 0]);
    assert_eq!(told(&of(&many(0), 50), &of(&many(0).replacen(' ', "", 1), 50)), ["secrets/a: together ?"]);
}

/// A key that says itself that its value stays in plaintext takes the place of no other key.
#[test]
fn keys_that_are_never_encrypted_hide_no_others() {
    let ending = Selection::DEFAULT_SUFFIX;
    let others =
        ending.char_indices().map(|(at, char)| format!("{}[^{char}].{{{}}}", &ending[..at], 11 - at));
    let others: Vec<String> = others.collect();
    let rule = |regex: &str| rule(&format!(", encrypted_regex: '{regex}'"));
    let today = rule(&format!("^(token|password(.{{0,11}}|{}))$", others.join("|")));
    assert_eq!(told(&rule("^(password|token)"), &today), ["secrets/a: value tokena"]);
    assert_eq!(
        told(&rule("^(password|token$)"), &today),
        [format!("secrets/a: value password{}", "a".repeat(13))]
    );
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
        let weakened = weakened(&config(today), &before);
        let weaker = weakened.partings.iter().filter(|parting| !parting.weaker.is_empty());
        weaker.map(|parting| parting.is_default).collect::<Vec<_>>()
    };
    let app = "path_regex: ^app/, age: age1x, mac_only_encrypted: true";
    assert_eq!(is_default(&rules(&[app, "age: age1x, encrypted_regex: ^data$"])), [true]);
    // One that is for all is not one of its own.
    assert_eq!(
        is_default(&rules(&[&app.replace("^app/", "."), "age: age1x, encrypted_regex: ^data$"])),
        [false]
    );
}

#[test]
fn what_cannot_be_compared_is_told() {
    let large = config(&rules(&["path_regex: '\\pL{90}', age: age1x"]));
    assert!(weakened(&large, &config(&rule(""))).is_too_much);
    // There was nothing to be weaker than.
    assert!(!weakened(&large, &config("stores: {}")).is_too_much);
}

#[test]
fn configs_of_many_folders_are_compared_within_one_bound() {
    let before = config(&rules(&["path_regex: 'a.{6}b', age: age1x"]));
    let searches = Searches::of_large(1);
    let is_too_much = |folder: usize| {
        let rules =
            rules(&["path_regex: 'c.{6}d', age: age1x", &format!("path_regex: '^{folder}', age: age1x")]);
        let path = PathBuf::from(format!("/repo/{folder}/.sops.yaml"));
        let today = Config::parse(&rules, &path, Dialect::Sealant).unwrap();
        let folder = path.parent().unwrap();
        Config::weakened(Some(&today), Some(&before), folder, &BTreeSet::new(), &searches)
            .unwrap()
            .is_too_much
    };
    // Each by itself can be compared.
    assert!(!is_too_much(0));
    let compared = (1..100).take_while(|folder| !is_too_much(*folder)).count();
    assert!(compared < 50, "{compared}");
    assert!((100..200).all(is_too_much) && !is_too_much(0));
}

#[test]
fn excludes_are_compared_by_the_files_that_they_hide() {
    let exclude = |patterns: &str| {
        format!(
            "{}sealant: {{check: {{exclude: [{patterns}]}}}}\n",
            rules(&["age: age1x, path_regex: yaml$"])
        )
    };
    let hidden = |before: &str, folder: &str, today: &str| {
        let before = config(&exclude(before));
        let path = PathBuf::from(folder).join(".sops.yaml");
        let today = Config::parse(&exclude(today), path, Dialect::Sealant).unwrap();
        let weakened = weakened_in(folder, Some(&today), &before, &[]);
        let partings = weakened.partings.iter().filter(|parting| !parting.weaker.is_empty());
        (
            weakened.excludes.clone(),
            partings.map(|parting| parting.example.display().to_string()).collect::<Vec<_>>(),
        )
    };
    let nothing = (Vec::new(), Vec::new());
    let is_hidden = |pattern: &str, example: &str| (vec![pattern.to_owned()], vec![example.to_owned()]);
    // The same text in another folder is about other files, and another text about the same.
    assert_eq!(hidden("test/**", "/repo/app", "test/**"), is_hidden("test/**", "test/yaml"));
    assert_eq!(hidden("app/test/**", "/repo/app", "test/**"), nothing);
    assert_eq!(hidden("test/**", FOLDER, "test/**"), nothing);
    assert_eq!(hidden("'**/test/**'", "/repo/app", "test/**"), nothing);
    assert_eq!(hidden("test/**", FOLDER, "'test/a*', test/**"), nothing);
    assert_eq!(hidden("test/a*", FOLDER, "test/a*, test/*"), is_hidden("test/*", "test/yaml"));
    assert_eq!(hidden("", FOLDER, "'*.txt'"), (vec!["*.txt".to_owned()], Vec::new()));
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
    let weakened = weakened_in("/repo/secrets", Some(&inner), &outer, &[]);
    let found: Vec<_> = weakened
        .partings
        .iter()
        .map(|parting| (parting.example.to_str().unwrap(), &parting.weaker[..]))
        .collect();
    assert_eq!(found, [("a", &[Weaker::NoRule][..]), ("yaml", &[])]);
    assert!(weakened_in(FOLDER, None, &outer, &["secrets"]).partings.is_empty());
    assert_eq!(weakened_in(FOLDER, None, &outer, &["secrets/a"]).partings.len(), 1);
}

/// A folder with a config of its own is one of many for which the one above says less.
#[test]
fn a_config_in_a_folder_hides_nothing_that_the_one_above_loses() {
    let nothing = "creation_rules: []\n".to_owned();
    let of = |pattern: &str, rest: &str| rules(&[&format!("path_regex: '{pattern}', age: age1x{rest}")]);
    for (pattern, folders, example) in [
        ("(^|/)secrets/", &["secrets"][..], "a/secrets/a"),
        ("secrets/", &["secrets"], "asecrets/a"),
        (r".+/secrets\.yaml$", &["a"], "b/secrets.yaml"),
        (r"\.enc\.yaml$", &["a", ".enc.yaml"], "b.enc.yaml"),
        ("^apps/[^/]+/secrets/", &["apps/a", "apps/b"], "apps/c/secrets/a"),
        ("(^|/)secrets/", &["secrets", "a/secrets", "b"], "0/secrets/a"),
    ] {
        let weaker = |before: &str, today: &str| {
            let weakened = weakened_in(FOLDER, Some(&config(today)), &config(before), folders);
            let partings = weakened.partings.into_iter().filter(|parting| !parting.weaker.is_empty());
            partings
                .map(|parting| (parting.example.to_str().unwrap().to_owned(), parting.weaker))
                .collect::<Vec<_>>()
        };
        let pin = ", sealant: {scope: strict, namespace: shop}";
        let exclude = format!("{}sealant: {{check: {{exclude: ['**']}}}}\n", of(pattern, ""));
        for (before, today) in [
            (of(pattern, ""), nothing.clone()),
            (of(pattern, ""), of(pattern, ", mac_only_encrypted: true")),
            (of(pattern, ""), of(pattern, ", encrypted_regex: ^zzz")),
            (of(pattern, ""), of(pattern, "").replace("age1x", "age1y")),
            (of(pattern, pin), of(pattern, "")),
            (of(pattern, ""), exclude),
        ] {
            let found = weaker(&before, &today);
            assert!(found.len() == 1 && found[0].0 == example, "{pattern}: {today}: {found:?}");
            assert_eq!(weaker(&today, &today), []);
        }
    }
}
