use super::{PLANTED, Repo};

fn named(ages: &[(&str, i64)]) -> Vec<(String, i64)> {
    ages.iter().map(|(name, days)| ((*name).to_owned(), *days)).collect()
}

#[test]
fn a_value_is_as_old_as_its_ciphertext() {
    let repo = Repo::new();
    repo.rule(&[&repo.me]);
    repo.encrypt("app.yaml", "a: hunter2\nb: hunter2\nlist:\n- hunter2\n");
    repo.commit(100);
    repo.set("app.yaml", r#"["b"]"#, "new");
    repo.commit(50);
    // Neither new recipients, be they sops's or ours, nor a new name, nor another place in a list make it younger.
    repo.rule(&[&repo.me, &repo.anna]);
    repo.sops(&["updatekeys", "--yes", "app.yaml"]).run().ok();
    repo.git(&["mv", "app.yaml", "new name.yaml"]);
    repo.commit(30);
    let file = "new name.yaml";
    let token = repo.test.read_text(file).lines().find(|line| line.contains("- ENC")).unwrap().to_owned();
    let editor = repo.test.editor(r#"sed -i 's/^list:/list:\n    - first/' "$1""#);
    repo.sealant(&["edit", file]).env("EDITOR", editor).run().ok();
    repo.commit(20);
    assert!(repo.test.read_text(file).contains(&token));
    let expected = [(r#"["a"]"#, 100), (r#"["b"]"#, 50), (r#"["list"][0]"#, 20), (r#"["list"][1]"#, 100)];
    assert_eq!(repo.ages(file), named(&expected));
    // A rotation makes all of it new, and nobody can tell from here that the values are the same.
    repo.sops(&["rotate", "-i", file]).run().ok();
    assert!(repo.ages(file).iter().all(|(_, days)| *days == 0));
    let output = repo.sealant(&["status", "--values", file]).run().ok();
    assert!(output.text().contains("not committed"), "{output}");
    repo.commit(10);
    assert!(repo.ages(file).iter().all(|(_, days)| *days == 10));
    // What is put back is as old as it was.
    repo.git_at(5, &["revert", "--no-edit", "HEAD"]).ok();
    assert_eq!(repo.ages(file)[0].1, 100);
}

#[test]
fn items_of_a_sealed_secret_have_ages_too() {
    let repo = Repo::new();
    repo.rule(&[&repo.me]);
    repo.test.write(
        "db.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {a: hunter2, b: hunter2}\n",
    );
    repo.sealant(&["seal", "-i", "db.yaml"]).run().ok();
    repo.commit(9);
    repo.sealant(&["set", "db.yaml", "b", "\"new\""]).run().ok();
    repo.commit(4);
    repo.rule(&[&repo.me, &repo.anna]);
    repo.sealant(&["updatekeys", "--yes", "db.yaml"]).run().ok();
    repo.commit(2);
    assert_eq!(repo.ages("db.yaml"), named(&[("shop/db: a", 9), ("shop/db: b", 4)]));
}

#[test]
fn a_limit_is_for_ci() {
    let repo = Repo::new();
    repo.rule(&[&repo.me]);
    repo.encrypt("app.yaml", "a: hunter2\nb: hunter2\n");
    repo.commit(100);
    repo.set("app.yaml", r#"["b"]"#, "new");
    repo.commit(50);
    let output = repo.sealant(&["status", "--max-age", "90d", "."]).run().code(1);
    assert_eq!(output.stderr, "app.yaml: [\"a\"] is 100 days old\n");
    assert!(output.text().contains("  100 days  "), "{output}");
    repo.sealant(&["status", "--max-age", "100d", "."]).run().ok();
    repo.sealant(&["status", "--max-age", "1y", "."]).run().ok();
    repo.sealant(&["status", "--max-age", "soon", "."]).run().code(64);
    let output = repo.sealant(&["status", "--values", "."]).run().ok();
    let lines: Vec<&str> = output.text().lines().map(|line| line.split("  2").next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "file      value  age       changed or rotated",
            "app.yaml  [\"a\"]  100 days",
            "app.yaml  [\"b\"]  50 days "
        ]
    );
    assert!(!output.text().contains(PLANTED));
}

#[test]
fn a_value_of_a_branch_counts_from_its_own_commit() {
    let repo = Repo::new();
    repo.rule(&[&repo.me]);
    repo.encrypt("app.yaml", "a: hunter2\nb: hunter2\n");
    repo.commit(100);
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.set("app.yaml", r#"["a"]"#, "new");
    repo.commit(60);
    repo.git(&["checkout", "-q", "main"]);
    repo.test.write("README.md", "x");
    repo.commit(50);
    repo.git_at(40, &["merge", "-q", "--no-edit", "side"]).ok();
    assert_eq!(repo.ages("app.yaml"), named(&[(r#"["a"]"#, 60), (r#"["b"]"#, 100)]));
    // What neither side had came with the merge.
    repo.git(&["checkout", "-q", "-b", "other", "HEAD~"]);
    repo.test.write("NOTES.md", "x");
    repo.commit(35);
    repo.git(&["checkout", "-q", "main"]);
    repo.git_at(30, &["merge", "-q", "--no-ff", "--no-commit", "other"]).ok();
    repo.set("app.yaml", r#"["b"]"#, "new");
    repo.commit(30);
    assert_eq!(repo.ages("app.yaml"), named(&[(r#"["a"]"#, 60), (r#"["b"]"#, 30)]));
    // Rebased, it is as old as it was written.
    repo.git_at(1, &["commit", "-q", "--amend", "--no-edit"]).ok();
    assert_eq!(repo.ages("app.yaml")[1].1, 30);
    repo.git(&["checkout", "-q", "--detach", "HEAD"]);
    assert_eq!(repo.ages("app.yaml")[0].1, 60);
}

#[test]
fn a_shallow_clone_says_that_it_does_not_know() {
    let repo = Repo::new();
    repo.rule(&[&repo.me]);
    repo.encrypt("app.yaml", "a: hunter2\nb: hunter2\n");
    repo.commit(100);
    repo.test.write("README.md", "x");
    repo.commit(50);
    repo.set("app.yaml", r#"["b"]"#, "new");
    repo.commit(20);
    let url = format!("file://{}", repo.test.path("").display());
    repo.git(&["clone", "-q", "--depth", "2", &url, "clone"]);
    let output = repo.sealant(&["status", "--values", "clone/app.yaml"]).run().ok();
    assert!(output.text().contains("[\"a\"]  at least 50 days"), "{output}");
    assert!(output.text().contains("[\"b\"]  20 days"), "{output}");
    // CI, which clones so, is not to take that for young.
    let output = repo.sealant(&["status", "--max-age", "90d", "clone/app.yaml"]).run().code(2);
    assert!(
        output.stderr.contains("the clone is shallow") && output.stderr.contains("--unshallow"),
        "{output}"
    );
    repo.sealant(&["status", "--max-age", "30d", "clone/app.yaml"]).run().code(1);
}

#[test]
fn without_history_nobody_knows_ages() {
    let repo = Repo::new();
    repo.rule(&[&repo.me]);
    repo.encrypt("app.yaml", "a: hunter2\n");
    // There is a repository, and no commit.
    assert_eq!(repo.ages("app.yaml"), named(&[(r#"["a"]"#, 0)]));
    repo.sealant(&["status", "--max-age", "1d", "."]).run().ok();
    std::fs::remove_dir_all(repo.test.path(".git")).unwrap();
    let output = repo.sealant(&["status", "."]).run().ok();
    assert!(!output.text().contains("oldest"), "{output}");
    let output = repo.sealant(&["status", "--max-age", "1d", "."]).run().code(2);
    assert!(output.stderr.contains("is not in a Git repository"), "{output}");
}

#[test]
fn who_is_not_as_the_rule_says_is_told() {
    let repo = Repo::new();
    repo.rule(&[&repo.me, &repo.anna]);
    repo.encrypt("app.yaml", "a: hunter2\n");
    repo.commit(3);
    assert_eq!(repo.sealant(&["status", "."]).run().ok().stderr, "");
    repo.rule(&[&repo.me]);
    let output = repo.sealant(&["status", "."]).run().ok();
    assert!(output.stderr.contains("1 have other recipients than their creation rule says"), "{output}");
    let output = repo.sealant(&["status", "--format", "json", "."]).run().ok();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["differs_from_rule"]["groups"][0]["removed"][0], repo.anna.as_str());
    assert_eq!(
        (&found[0]["oldest_value"]["age_days"], &found[0]["data_key"]["age_days"]),
        (&3.into(), &3.into())
    );
}
