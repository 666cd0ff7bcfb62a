use super::{PLANTED, Repo, rows};

/// Of whom no file knows.
const NOBODY: &str = "age1vdthnpxzlgwn3rea3gun7uhl2375m0g8qcfgh4f7svpgc5c7zgdsczpt8e";

/// A repository in which Anna was a recipient of `app.yaml` with `a` and `b`, and is none any more.
fn anna_has_left(updatekeys: &[&str]) -> Repo {
    let repo = Repo::new();
    repo.rule(&[&repo.me, &repo.anna]);
    repo.encrypt("app.yaml", "a: hunter2\nb: hunter2\n");
    repo.commit(90);
    repo.rule(&[&repo.me]);
    repo.sealant(&[&["updatekeys", "--yes"], updatekeys, &["app.yaml"]].concat()).run().ok();
    repo.commit(80);
    repo
}

#[test]
fn what_she_could_read_stays_live_until_it_is_changed() {
    let repo = anna_has_left(&[]);
    assert_eq!(repo.radius(&[]), [r#"live app.yaml ["a"]: alone"#, r#"live app.yaml ["b"]: alone"#]);
    repo.set("app.yaml", r#"["a"]"#, "new");
    repo.commit(70);
    // She may have kept the data key, under which the new value is.
    assert_eq!(repo.radius(&[]), [r#"live app.yaml ["a"]: alone"#, r#"live app.yaml ["b"]: alone"#]);
    repo.set("app.yaml", r#"["c"]"#, "hunter2");
    repo.commit(60);
    assert_eq!(repo.radius(&[])[2], r#"live app.yaml ["c"]: alone, by a kept data key"#);
    // sops rotates; whether the values were changed nobody can tell.
    repo.sops(&["rotate", "-i", "app.yaml"]).run().ok();
    repo.commit(50);
    assert_eq!(
        repo.radius(&[]),
        [
            r#"re-encrypted app.yaml ["a"]: alone"#,
            r#"re-encrypted app.yaml ["b"]: alone"#,
            r#"re-encrypted app.yaml ["c"]: alone, by a kept data key"#
        ]
    );
    // Under the new data key she reads nothing more.
    repo.set("app.yaml", r#"["d"]"#, "hunter2");
    repo.git(&["mv", "app.yaml", "moved.yaml"]);
    repo.commit(40);
    let found = repo.radius(&[]);
    assert_eq!((found.len(), found[0].as_str()), (3, r#"re-encrypted moved.yaml ["a"]: alone"#));
    repo.git(&["rm", "-q", "moved.yaml"]);
    repo.commit(30);
    assert_eq!(repo.radius(&[])[0], r#"gone moved.yaml ["a"]: alone"#);
    assert_eq!(repo.radius(&[]).len(), 3);
}

#[test]
fn the_newest_data_key_is_another_one_when_she_is_shut_out() {
    let repo = anna_has_left(&["--rotate"]);
    repo.set("app.yaml", r#"["c"]"#, "hunter2");
    repo.commit(70);
    assert_eq!(
        repo.radius(&[]),
        [r#"re-encrypted app.yaml ["a"]: alone"#, r#"re-encrypted app.yaml ["b"]: alone"#]
    );
}

#[test]
fn sops_takes_her_out_and_leaves_the_data_key() {
    let repo = Repo::new();
    repo.rule(&[&repo.me, &repo.anna]);
    repo.test.write("app.yaml", "a: hunter2\n");
    repo.sops(&["encrypt", "-i", "app.yaml"]).run().ok();
    repo.commit(90);
    repo.rule(&[&repo.me]);
    repo.sops(&["updatekeys", "--yes", "app.yaml"]).run().ok();
    repo.sops(&["set", "app.yaml", r#"["b"]"#, "\"hunter2\""]).run().ok();
    repo.commit(80);
    let expected = [r#"live app.yaml ["a"]: alone"#, r#"live app.yaml ["b"]: alone, by a kept data key"#];
    assert_eq!(repo.radius(&[]), expected);
}

#[test]
fn every_branch_counts_and_head_alone_on_demand() {
    let repo = Repo::new();
    repo.rule(&[&repo.me]);
    repo.encrypt("main.yaml", "a: hunter2\n");
    repo.commit(90);
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.rule(&[&repo.me, &repo.anna]);
    repo.encrypt("side.yaml", "a: hunter2\n");
    repo.commit(80);
    repo.git(&["checkout", "-q", "main"]);
    assert_eq!(repo.radius(&[]), [r#"gone side.yaml ["a"]: alone"#]);
    assert!(repo.radius(&["--head"]).is_empty());
    assert!(repo.radius(&["main.yaml"]).is_empty());
    assert_eq!(repo.radius(&["side.yaml"]).len(), 1);
    let output = repo.sealant(&["blast-radius", "--recipient", NOBODY]).run().ok();
    assert!(output.stderr.starts_with("warning: no version of any file names this recipient"), "{output}");
    assert!(output.stderr.contains("nothing in 2 commits could be decrypted"), "{output}");
    // What never was there is no answer.
    for args in [&["sid.yaml"][..], &["side.yaml", "sid.yaml"], &["--head", "side.yaml"]] {
        let output = repo.sealant(&[&["blast-radius", "--recipient", &repo.anna], args].concat()).run();
        assert!(output.status != 0 && output.stdout.is_empty(), "{output}");
        assert!(output.stderr.contains("there is no such path in the history"), "{output}");
    }
}

#[test]
fn since_leaves_out_what_had_been_replaced_before() {
    let repo = anna_has_left(&["--rotate"]);
    repo.rule(&[&repo.me, &repo.anna]);
    repo.encrypt("late.yaml", "z: hunter2\n");
    repo.commit(30);
    let day = |days: i64| {
        let now = jiff::Timestamp::now();
        (now - jiff::SignedDuration::from_hours(24 * days)).strftime("%Y-%m-%d").to_string()
    };
    assert_eq!(repo.radius(&["--since", &day(200)]).len(), 3);
    assert_eq!(repo.radius(&["--since", &day(50)]), [r#"live late.yaml ["z"]: alone"#]);
    // A branch that still has the old state keeps it readable.
    repo.git(&["branch", "old", "HEAD~2"]);
    assert_eq!(repo.radius(&["--since", &day(50)]).len(), 3);
    let output = repo.sealant(&["blast-radius", "--recipient", "x", "--since", "soon"]).run().code(1);
    assert!(output.stderr.contains("`soon` is not a date"), "{output}");
}

#[test]
fn a_member_of_a_group_needs_others() {
    let repo = Repo::new();
    repo.test.write(
        ".sops.yaml",
        format!("creation_rules:\n  - key_groups: [{{age: [{}]}}, {{age: [{}]}}]\n", repo.me, repo.anna),
    );
    repo.encrypt("app.yaml", "a: hunter2\n");
    repo.commit(1);
    assert_eq!(repo.radius(&[]), [r#"live app.yaml ["a"]: with 1 other"#]);
}

#[test]
fn of_a_sealed_secret_only_the_items_count_that_were_open_to_her() {
    let repo = Repo::new();
    repo.rule(&[&repo.me, &repo.anna]);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData:\n";
    repo.test.write("db.yaml", format!("{secret}  a: hunter2\n  b: hunter2\n"));
    repo.sealant(&["seal", "-i", "db.yaml"]).run().ok();
    repo.commit(9);
    repo.rule(&[&repo.me]);
    repo.sealant(&["updatekeys", "--yes", "db.yaml"]).run().ok();
    repo.sealant(&["set", "db.yaml", "b", "\"new\""]).run().ok();
    repo.sealant(&["set", "db.yaml", "c", "\"new\""]).run().ok();
    repo.commit(4);
    // New items have a data key of their own, which she never had.
    assert_eq!(
        repo.radius(&[]),
        ["live db.yaml shop/db: a: alone", "re-encrypted db.yaml shop/db: b: alone"]
    );
}

#[test]
fn what_was_in_clear_was_everybodys() {
    let repo = Repo::new();
    repo.rule(&[&repo.me]);
    repo.test.write("app.yaml", "a: hunter2\nb: hunter2\n");
    repo.test.write("key.pem", "hunter2\n");
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {p: hunter2}\n";
    repo.test.write("db.yaml", secret);
    repo.test.write("config.yaml", "kind: ConfigMap\n");
    repo.commit(90);
    for file in ["app.yaml", "key.pem"] {
        repo.sealant(&["encrypt", "-i", file]).run().ok();
    }
    repo.sealant(&["seal", "-i", "db.yaml"]).run().ok();
    repo.commit(80);
    repo.set("app.yaml", r#"["b"]"#, "new");
    repo.commit(70);
    assert_eq!(
        repo.radius(&[]),
        [
            r#"live app.yaml ["a"]: in plaintext, by anybody"#,
            "live db.yaml shop/db: p: in plaintext, by anybody",
            r#"live key.pem ["data"]: in plaintext, by anybody"#,
            r#"re-encrypted app.yaml ["b"]: in plaintext, by anybody"#,
        ]
    );
    // And once more by mistake, of one value.
    let text = repo.test.read_text("app.yaml");
    repo.test.write("app.yaml", format!("c: hunter2\n{text}"));
    repo.commit(60);
    assert!(repo.radius(&[]).contains(&r#"live app.yaml ["c"]: in plaintext, by anybody"#.to_owned()));
}

#[test]
fn the_list_is_for_people_and_for_spreadsheets() {
    let repo = anna_has_left(&["--rotate"]);
    let args = ["blast-radius", "--recipient", &repo.anna];
    let output = repo.sealant(&args).run().ok();
    let lines: Vec<&str> = output.text().lines().collect();
    assert_eq!(lines[0], "state         file      value  readable  versions  newest      commit");
    assert!(lines[1].starts_with("re-encrypted  app.yaml  [\"a\"]  alone     1         "), "{output}");
    assert!(output.stderr.contains("2 values in 2 commits: 0 live, 2 re-encrypted, 0 gone"), "{output}");
    let output = repo.sealant(&[&args[..], &["--format", "csv"]].concat()).run().ok();
    assert!(output.text().contains("\r\nre-encrypted,app.yaml,\"[\"\"b\"\"]\",alone,1,"), "{output}");
    let commit = repo.git(&["rev-parse", "HEAD~"]);
    assert!(output.text().contains(commit.text().trim()), "{output}");
    assert!(!output.text().contains(PLANTED));
    // By the name that the config has for her.
    let rule = repo.test.read_text(".sops.yaml");
    repo.test.write(".sops.yaml", format!("{rule}sealant: {{recipients: {{{}: Anna}}}}\n", repo.anna));
    let capitals = repo.anna.to_uppercase();
    for anna in ["Anna", &capitals] {
        let named = repo.sealant(&["blast-radius", "--recipient", anna, "--format", "json"]).run().ok();
        assert_eq!(rows(&named), repo.radius(&[]));
    }
    let misspelt = repo.sealant(&["blast-radius", "--recipient", "Ana", "--format", "json"]).run().code(1);
    assert!(misspelt.stdout.is_empty() && misspelt.stderr.contains("Did you mean `Anna`?"), "{misspelt}");
}

#[test]
fn a_name_that_went_with_its_owner_is_found_in_earlier_configs() {
    let repo = Repo::new();
    let names = |names: &[(&str, &str)]| {
        let names: Vec<String> = names.iter().map(|(key, name)| format!("    {key}: {name}\n")).collect();
        let config = repo.test.read_text(".sops.yaml");
        let config = config.split("sealant:").next().unwrap();
        repo.test.write(".sops.yaml", format!("{config}sealant:\n  recipients:\n{}", names.concat()));
    };
    repo.rule(&[&repo.me, &repo.anna]);
    names(&[(&repo.me, "Me"), (&repo.anna, "Anna")]);
    repo.encrypt("app.yaml", "a: hunter2\n");
    repo.commit(90);
    repo.sealant(&["recipient", "rm", "Anna", "--yes"]).run().ok();
    repo.commit(80);
    assert!(!repo.test.read_text(".sops.yaml").contains("Anna"));
    let ask =
        |name: &str| repo.test.sealant(&["blast-radius", "--format", "json", "--recipient", name]).run();
    let output = ask("Anna").ok();
    assert_eq!(rows(&output), [r#"re-encrypted app.yaml ["a"]: alone"#]);
    let expected =
        format!("note: `Anna` is the name of this key in an earlier config:\n  {} (.sops.yaml)\n", repo.anna);
    assert_eq!(output.stderr, expected);
    // A name that today belongs to another key is about that one, and it is said.
    names(&[(&repo.me, "Anna")]);
    repo.commit(70);
    let output = ask("Anna").ok();
    assert!(output.stderr.contains("`Anna` was the name of these keys"), "{output}");
    assert!(output.stderr.contains(&format!("\n  {} (.sops.yaml)\n", repo.anna)), "{output}");
    assert_eq!(rows(&output), [r#"live app.yaml ["a"]: alone"#]);
    // Whom no config ever named, nobody knows by name.
    let unknown = ask("Ana").code(1);
    assert!(unknown.stdout.is_empty() && unknown.stderr.contains("Did you mean `Anna`?"), "{unknown}");
    let unknown = ask("Zoe").code(1);
    assert!(unknown.stderr.contains("sealant blast-radius --recipient age1..."), "{unknown}");
}

#[test]
fn with_a_key_a_new_value_is_told_from_an_old_one() {
    let repo = anna_has_left(&["--rotate"]);
    let sealed = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {x: hunter2, y: hunter2}\n";
    repo.rule(&[&repo.me, &repo.anna]);
    repo.test.write("db.yaml", sealed);
    repo.sealant(&["seal", "-i", "db.yaml"]).run().ok();
    repo.commit(70);
    repo.rule(&[&repo.me]);
    repo.sealant(&["updatekeys", "--yes", "--rotate", "db.yaml"]).run().ok();
    repo.sealant(&["set", "db.yaml", "y", "\"new\""]).run().ok();
    repo.set("app.yaml", r#"["b"]"#, "new");
    repo.commit(60);
    assert!(repo.radius(&[]).iter().all(|row| row.starts_with("re-encrypted ")));
    let expected = [
        r#"live app.yaml ["a"]: alone"#,
        "live db.yaml shop/db: x: alone",
        r#"changed app.yaml ["b"]: alone"#,
        "changed db.yaml shop/db: y: alone",
    ];
    assert_eq!(repo.radius(&["--compare"]), expected);
    // Changed and put back is not changed.
    repo.set("app.yaml", r#"["b"]"#, "hunter2");
    repo.commit(50);
    assert_eq!(repo.radius(&["--compare"])[1], r#"live app.yaml ["b"]: alone"#);
    // Without the key it stays open.
    let args = ["blast-radius", "--compare", "--recipient", &repo.anna];
    let output = repo.test.sealant(&args).run().ok();
    assert!(output.text().contains("re-encrypted  app.yaml") && !output.text().contains("live"), "{output}");
    assert!(output.stderr.contains("versions were not compared"), "{output}");
    assert!(!output.text().contains(PLANTED));
}

#[test]
fn with_a_key_a_data_key_that_was_kept_is_known_under_new_ciphertexts() {
    let repo = Repo::new();
    repo.rule(&[&repo.me, &repo.anna]);
    repo.test.write("app.yaml", "a: hunter2\n");
    repo.sops(&["encrypt", "-i", "app.yaml"]).run().ok();
    repo.commit(90);
    // All in one commit, after which no ciphertext and no wrapped data key is the same.
    repo.rule(&[&repo.me]);
    repo.sops(&["updatekeys", "--yes", "app.yaml"]).run().ok();
    for value in [r#"["a"]"#, r#"["b"]"#] {
        repo.sops(&["set", "app.yaml", value, "\"hunter2-new\""]).run().ok();
    }
    repo.commit(80);
    assert_eq!(repo.radius(&[]), [r#"re-encrypted app.yaml ["a"]: alone"#]);
    let expected = [r#"live app.yaml ["a"]: alone"#, r#"live app.yaml ["b"]: alone, by a kept data key"#];
    assert_eq!(repo.radius(&["--compare"]), expected);
    // A new data key ends it, though what came before is counted still.
    repo.sops(&["rotate", "-i", "app.yaml"]).run().ok();
    repo.set("app.yaml", r#"["a"]"#, "newest");
    repo.commit(70);
    let expected = [r#"live app.yaml ["b"]: alone, by a kept data key"#, r#"changed app.yaml ["a"]: alone"#];
    assert_eq!(repo.radius(&["--compare"]), expected);
}
