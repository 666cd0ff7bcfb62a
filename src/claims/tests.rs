use std::path::Path;

use super::*;
use crate::config::{Config, Dialect};
use crate::document::{self, Format};
use crate::error::Kind;
use crate::keys::{MasterKey, Recipient, WrappedDataKey, WrappedKey};
use crate::sealed_secret::{Metadata as SealedMetadata, Scope, Spec};
use crate::secret::SecretBytes;

const ONE: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";
const TWO: &str = "age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd";

/// The rule with these lines, for every file.
fn rule(lines: &str) -> Policy {
    let text = format!("creation_rules:\n  - {}\n", lines.trim().replace('\n', "\n    "));
    let config = Config::parse(&text, "/repo/.sops.yaml", Dialect::Sealant).unwrap();
    config.policy_for(Path::new("/repo/a.yaml")).unwrap().unwrap()
}

fn selection(rule: &str) -> Selection {
    let (field, pattern) = rule.split_once(": ").unwrap();
    Selection::from_field(field, pattern).unwrap()
}

fn parse(format: Format, text: &str) -> Box<dyn Document> {
    document::parse(format, SecretBytes::new(text.as_bytes().to_vec()), false).unwrap()
}

/// Metadata with these groups of recipients.
fn metadata(selection: Selection, groups: &[&[&str]], threshold: usize) -> Metadata {
    let wrapped = |name: &&str| WrappedKey {
        key: MasterKey::Age(Recipient::as_written(name)),
        enc: String::new(),
        entry: Default::default(),
    };
    let groups = groups.iter().map(|group| group.iter().map(wrapped).collect()).collect();
    Metadata::new(WrappedDataKey { groups, threshold }, selection, false)
}

/// The paths that a file with one choice leaves in plaintext although a rule says otherwise.
fn paths(file: &str, asked: &str, text: &str) -> Vec<String> {
    let (document, file) = (parse(Format::Yaml, text), metadata(selection(file), &[&[ONE]], 0));
    let found = settings(&file, &*document, Form::Plaintext, &rule(asked)).unwrap();
    found
        .into_iter()
        .flat_map(|difference| match difference {
            Difference::Selection { exposed: Exposure::Leaves(leaves), .. } => leaves,
            _ => Vec::new(),
        })
        .map(|leaf| leaf.path(&*document))
        .collect()
}

#[test]
fn each_kind_of_choice_is_held_against_an_explicit_rule() {
    let text = "a: 1\nb_enc: 2\nc: {d: [3, 4], e: ''}\n# here\nf: 5\n";
    let default = "unencrypted_suffix: _unencrypted";
    for (file, exposed) in [
        ("unencrypted_suffix: _enc", vec!["b_enc"]),
        ("encrypted_suffix: _enc", vec!["a", "c.d[0]", "c.d[1]", "the comment on line 4", "f"]),
        ("unencrypted_regex: ^c$", vec!["c.d[0]", "c.d[1]"]),
        ("encrypted_regex: ^(a|b_enc|c)$", vec!["the comment on line 4", "f"]),
        ("unencrypted_comment_regex: ^ ?here", vec!["the comment on line 4", "f"]),
        ("encrypted_comment_regex: ^ ?here", vec!["a", "b_enc", "c.d[0]", "c.d[1]", "the comment on line 4"]),
        (default, vec![]),
    ] {
        assert_eq!(paths(file, default, text), exposed, "{file}");
    }
}

#[test]
fn a_rule_that_is_silent_or_asks_for_less_makes_no_file_weaker() {
    let document = parse(Format::Yaml, "apiVersion: v1\nkind: ConfigMap\ndata: {p: x}\n");
    let by_flag = metadata(selection("encrypted_regex: ^(data|stringData)$"), &[&[ONE]], 0);
    let found = |rule: &Policy| settings(&by_flag, &*document, Form::Encrypted, rule).unwrap();
    assert_eq!(found(&rule(&format!("age: {ONE}"))), []);
    let less = found(&rule("encrypted_regex: ^nothing$"));
    assert!(matches!(&less[..], [only @ Difference::Selection { .. }] if !only.is_weaker()), "{less:?}");
    assert!(found(&rule("unencrypted_regex: ^nothing$"))[0].is_weaker());
}

#[test]
fn what_depends_on_comments_needs_a_key() {
    let document = parse(Format::Yaml, "a: 1\n");
    let found = |file: &str, asked: &str, form| {
        let file = metadata(selection(file), &[&[ONE]], 0);
        match settings(&file, &*document, form, &rule(asked)).unwrap().pop() {
            Some(Difference::Selection { exposed, .. }) => Some(exposed),
            _ => None,
        }
    };
    let (keys, comments) = ("encrypted_regex: ^b$", "unencrypted_comment_regex: public");
    assert_eq!(found(keys, comments, Form::Encrypted), Some(Exposure::NeedsKey));
    assert_eq!(found(comments, keys, Form::Encrypted), Some(Exposure::NeedsKey));
    assert_eq!(found(comments, comments, Form::Encrypted), None);
    assert!(
        matches!(found(keys, comments, Form::Plaintext), Some(Exposure::Leaves(found)) if found.len() == 1)
    );
}

#[test]
fn ciphertexts_and_comments_of_a_closed_file_are_not_taken_for_plaintext() {
    let token = format!("ENC[AES256_GCM,data:AA==,iv:{}=,tag:{}==,type:str]", "A".repeat(43), "A".repeat(22));
    let document = parse(Format::Yaml, &format!("# note\na: {token}\nb: x\n"));
    let file = metadata(selection("encrypted_regex: ^c$"), &[&[ONE]], 0);
    let found = settings(&file, &*document, Form::Encrypted, &rule("unencrypted_regex: ^c$")).unwrap();
    let Some(Difference::Selection { exposed: Exposure::Leaves(leaves), .. }) = found.first() else {
        panic!("{found:?}")
    };
    let found: Vec<_> = leaves.iter().map(|leaf| (leaf.path(&*document), leaf.line(&*document))).collect();
    assert_eq!(found, [("b".to_owned(), 3)]);
}

#[test]
fn fewer_shares_or_groups_are_weaker_and_more_are_not() {
    let groups = "key_groups: [{age: [ONE]}, {age: [TWO]}, {age: [TWO]}]\nshamir_threshold: 2";
    let rule = rule(&groups.replace("ONE", ONE).replace("TWO", TWO));
    let document = parse(Format::Yaml, "a: 1\n");
    let weaker = |groups: &[&[&str]], threshold| {
        let file = metadata(Selection::default(), groups, threshold);
        let found = settings(&file, &*document, Form::Encrypted, &rule).unwrap();
        found.first().map(Difference::is_weaker)
    };
    let three: &[&[&str]] = &[&[ONE], &[TWO], &[TWO]];
    assert_eq!(weaker(three, 2), None);
    assert_eq!(weaker(three, 0), Some(false));
    assert_eq!(weaker(three, 1), Some(true), "a number that nothing can be shared by was written by hand");
    assert_eq!(weaker(&[&[ONE], &[TWO]], 2), Some(true));
    assert_eq!(weaker(&[&[ONE, TWO]], 0), Some(true));
}

#[test]
fn what_the_mac_covers_and_who_reads_are_differences_and_not_weaker() {
    let mut file = metadata(Selection::default(), &[&[ONE, TWO]], 0);
    file.last_modified = "2026-01-01T00:00:00Z".to_owned();
    let document = parse(Format::Yaml, "a: 1\n");
    let edits = document.put_metadata(Some(&file.to_data(document.format()))).unwrap();
    let text = edits.apply(document.source());
    let file = Encrypted::parse(Format::Yaml, SecretBytes::new(text.as_bytes().to_vec())).unwrap();
    let found = of_document(&file, &rule(&format!("age: {ONE}\nmac_only_encrypted: true"))).unwrap();
    let [Difference::MacOnlyEncrypted(false), Difference::Recipients(change)] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(change.groups[0].removed.len(), 1);
    assert!(!found.iter().any(Difference::is_weaker));
}

fn sealed(scope: Option<Scope>, namespace: Option<&str>, name: &str) -> SealedSecret {
    let metadata = SealedMetadata {
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
        ..SealedMetadata::default()
    };
    SealedSecret { metadata, spec: Spec { scope, ..Spec::default() } }
}

#[test]
fn a_sealed_secret_is_held_against_the_place_that_its_rule_pins() {
    use Scope::{Cluster, Namespace, Strict};
    let found = |pin: &str, sealed: &SealedSecret| {
        let found = place_of_sealed(sealed, &rule(&format!("age: {ONE}\nsealant: {{{pin}}}"))).unwrap();
        let shown = |difference: &Difference| match difference {
            Difference::Place(place) => {
                format!("{place}{}", if difference.is_weaker() { "" } else { " (narrower)" })
            }
            _ => String::new(),
        };
        found.iter().map(shown).collect::<Vec<_>>()
    };
    let all = "scope: strict, namespace: shop, name: db";
    assert_eq!(found(all, &sealed(None, Some("shop"), "db")), [""; 0]);
    assert_eq!(
        found(all, &sealed(Some(Cluster), Some("shop"), "db")),
        ["scope `cluster` instead of `strict`"]
    );
    assert_eq!(found(all, &sealed(None, Some("evil"), "db")), ["namespace `evil` instead of `shop`"]);
    assert_eq!(
        found(all, &sealed(None, None, "mine")),
        ["no namespace instead of `shop`", "name `mine` instead of `db`"]
    );
    // A namespace that does not bind does not count.
    assert_eq!(
        found("namespace: shop", &sealed(Some(Cluster), Some("shop"), "db")),
        ["scope `cluster` instead of `namespace`"]
    );
    assert_eq!(found("namespace: shop", &sealed(Some(Strict), Some("shop"), "db")), [""; 0]);
    assert_eq!(
        found("name: db", &sealed(Some(Namespace), Some("shop"), "db")),
        ["scope `namespace` instead of `strict`"]
    );
    assert_eq!(found("scope: cluster, namespace: shop", &sealed(Some(Cluster), None, "db")), [""; 0]);
    assert_eq!(
        found("scope: namespace", &sealed(None, Some("shop"), "db")),
        ["scope `strict` instead of `namespace` (narrower)"]
    );
    assert_eq!(place_of_sealed(&sealed(None, None, "db"), &rule(&format!("age: {ONE}"))).unwrap(), []);
}

#[test]
fn a_scope_that_there_is_not_is_named_with_its_line() {
    let error = Pin::of(&rule("age: x\nsealant:\n  scope: namespce")).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (Kind::Config, Some("Did you mean `namespace`?")));
    assert_eq!(error.to_string(), "/repo/.sops.yaml:4: there is no scope `namespce`");
}

/// What a change writes in plaintext, as `PATH new|changed rule|default`.
fn wrote(file: &str, asked: Option<&str>, before: &str, after: &str) -> Vec<String> {
    let [before, after] = [before, after].map(|text| parse(Format::Yaml, text));
    let policy = asked.map(rule);
    let selection = selection(file);
    let edit = Edit { before: &[&*before], after: &*after, selection: &selection };
    let shown = |Written { leaf, is_new, says }: Written| {
        let new = if is_new { "new" } else { "changed" };
        let says = match says {
            Says::Rule => "rule",
            Says::Default => "default",
            Says::Comments(Comment::Old) => "old comment",
            Says::Comments(Comment::New) => "new comment",
            Says::Comments(Comment::Missing) => "no comment",
        };
        format!("{} {new} {says}", leaf.path(&*after))
    };
    written(&edit, policy.as_ref()).unwrap().into_iter().map(shown).collect()
}

#[test]
fn what_is_written_in_plaintext_is_found_and_what_stays_or_moves_is_not() {
    let file = "encrypted_regex: ^(password|user)$";
    let all = Some("unencrypted_suffix: _unencrypted");
    let before = "password: x\nhost: h\nl: [1, 2]\nempty: ''\n";
    let found = |asked, after| wrote(file, asked, before, after);
    let token = "password: y\nhost: h\nl: [1, 2]\nempty: ''\ntoken: t\n";
    assert_eq!(found(all, token), ["token new rule"]);
    assert_eq!(found(None, token), ["token new default"]);
    assert_eq!(found(Some("age: x"), token), ["token new default"]);
    assert_eq!(found(Some("encrypted_regex: ^pass"), token), [""; 0]);
    assert_eq!(found(all, "password: x\nhost: other\nl: [2, 1]\n"), ["host changed rule"]);
    assert_eq!(
        found(None, "password: x\nhost: h\nl: [2, 3, 1]\nempty: now\n"),
        ["l[1] new default", "empty new default"]
    );
    assert_eq!(
        found(all, "password: x\nhost2: h\n# more\nuser: u\n"),
        ["host2 new rule", "the comment on line 3 new rule"]
    );
    assert_eq!(
        wrote("unencrypted_suffix: _unencrypted", None, "a: 1\n", "a: 1\nb_unencrypted: 2\n"),
        [""; 0]
    );
}

#[test]
fn what_comments_decide_is_told_with_the_comment() {
    let public = "unencrypted_comment_regex: public";
    let before = "a: x\n# public\nb: y\nc:\n  d: z\n# public\n";
    let found = |after: &str| wrote(public, Some(public), before, after);
    assert_eq!(found(before), [""; 0]);
    // Whoever writes the file without a key puts a comment where the next value comes.
    assert_eq!(found(&format!("{before}token: t\n")), ["token new old comment"]);
    assert_eq!(found(&before.replace("b: y", "b: new")), ["b changed old comment"]);
    assert_eq!(found(&before.replace("b: y", "token: t\nb: y")), ["token new old comment"]);
    let own = before.replace("c:\n", "e: 1\n# public\nport: 2\nc:\n");
    assert_eq!(found(&own), ["port new new comment"]);
    assert_eq!(found(&before.replace("  d: z", "  d: z\n  token: t")), [""; 0]);

    let secret = "encrypted_comment_regex: secret";
    let before = "# secret\na: x\nb: y\n";
    let found = |after: &str| wrote(secret, Some(secret), before, after);
    assert_eq!(found(&format!("{before}token: t\n")), ["token new no comment"]);
    assert_eq!(found(&format!("{before}# secret\ntoken: t\n")), [""; 0]);
    // The file says otherwise than the rule.
    let found = wrote("encrypted_regex: ^a$", Some(public), "a: x\n", "a: x\ntoken: t\n# public\nb: y\n");
    assert_eq!(found, ["token new rule", "the comment on line 3 new no comment", "b new no comment"]);
}

#[test]
fn without_a_rule_the_values_of_a_secret_are_what_is_encrypted() {
    let secret = "apiVersion: v1\nkind: Secret\nstringData:\n  p: x\n";
    let more = format!("{secret}  q: y\nmetadata: {{name: db}}\n");
    assert_eq!(wrote("encrypted_regex: ^p$", None, secret, &more), ["stringData.q new default"]);
    assert_eq!(wrote("encrypted_regex: ^(data|stringData)$", None, secret, &more), [""; 0]);
}

#[test]
fn a_merge_loses_nothing_that_a_side_has_encrypted() {
    let document = parse(Format::Yaml, "a: 1\nb: 2\nc: 3\n");
    let [a, b, ab, all] =
        ["^a$", "^b$", "^(a|b)$", "."].map(|regex| selection(&format!("encrypted_regex: {regex}")));
    let lost = |result: &Selection, sides, asked: Option<&str>| {
        let policy = asked.map(rule);
        let lost = merged(&*document, result, sides, policy.as_ref()).unwrap();
        lost.into_iter().map(|leaf| leaf.path(&*document)).collect::<Vec<_>>()
    };
    assert_eq!(lost(&a, [&a, &ab], None), ["b"]);
    assert_eq!(lost(&ab, [&a, &ab], None), [""; 0]);
    // The rule was tightened since; both sides are older.
    assert_eq!(lost(&a, [&a, &a], Some("encrypted_regex: .")), [""; 0]);
    assert_eq!(lost(&a, [&a, &ab], Some("encrypted_regex: ^a$")), [""; 0]);
    assert_eq!(stronger(&*document, &a, &ab).unwrap(), Some(&ab));
    assert_eq!(stronger(&*document, &all, &ab).unwrap(), Some(&all));
    assert_eq!(stronger(&*document, &a, &b).unwrap(), None);
}

#[test]
fn dotenv_ini_and_json_are_judged_alike_and_binary_files_are_whole() {
    let asked = rule("unencrypted_suffix: _unencrypted");
    let file = metadata(selection("encrypted_regex: ^PASSWORD$"), &[&[ONE]], 0);
    let weaker = |format, text| {
        let found = settings(&file, &*parse(format, text), Form::Plaintext, &asked).unwrap();
        found.iter().any(Difference::is_weaker)
    };
    assert!(weaker(Format::Dotenv, "PASSWORD=x\nTOKEN=y\n"));
    assert!(weaker(Format::Ini, "[s]\nPASSWORD = x\nTOKEN = y\n"));
    assert!(weaker(Format::Json, "{\"PASSWORD\": 1, \"TOKEN\": 2}"));
    assert!(!weaker(Format::Dotenv, "PASSWORD=x\n"));
    assert!(!weaker(Format::Binary, "TOKEN\n"));
}
