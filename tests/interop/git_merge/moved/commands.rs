//! Commands that encrypt moved files again.

use std::os::unix::fs::symlink;

use sealant_test_support::Output;

use super::Moved;

/// What is staged, and neither in a commit nor on the disk any more, counts by the configs that are staged with it.
#[test]
fn what_is_only_staged_is_for_nobody_else() {
    for how in ["new", "rotated", "with its config"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        if how == "with its config" {
            // No commit has ever named anybody else.
            test.write(".sops.yaml", format!("creation_rules:\n  - age: {}\n", moved.both()));
            repo.ok(&["add", "-A"]);
            repo.ok(&["commit", "-q", "--amend", "-m", "base"]);
            repo.ok(&["reflog", "expire", "--expire=now", "--all"]);
        }
        if how == "new" {
            repo.ok(&["rm", "-q", "--cached", "prod/s.yaml"]);
            repo.ok(&["commit", "-q", "--amend", "-m", "base"]);
            repo.ok(&["reflog", "expire", "--expire=now", "--all"]);
        }
        repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
        if how == "with its config" {
            test.write("prod/.sops.yaml", format!("creation_rules:\n  - age: {}\n", repo.recipient));
        }
        repo.ok(&["add", "-A"]);
        if how == "with its config" {
            std::fs::remove_file(test.path("prod/.sops.yaml")).expect("it is there");
        }
        std::fs::rename(test.path("prod/s.yaml"), test.path("dev/s.yaml")).expect("it is there");
        for words in [&["updatekeys", "--yes"][..], &["rotate", "-i"]] {
            let refused = test.sealant(&[words, &["dev/s.yaml"]].concat()).run().code(8);
            assert!(refused.stderr.contains("prod/s.yaml as it is staged"), "{how}: {refused}");
        }
        moved.reads_nothing(how);
        if how != "with its config" {
            let check = test.sealant(&["check"]).run().code(1);
            assert!(check.text().contains("[moved]"), "{how}: {check}");
        }
    }
}

/// Whoever decrypts a file in its place, and encrypts it there again, lets in whoever may read there.
#[test]
fn what_was_moved_is_not_decrypted_in_its_place_and_encrypted_for_others() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
    repo.commit("moved");
    let encrypted = test.read("dev/s.yaml");
    for file in ["dev/s.yaml", "dev"] {
        let output = test.sealant(&["decrypt", "-i", file]).run().code(8);
        for part in ["its data key", "prod/s.yaml of commit", &moved.mallory, "--allow-copied dev/s.yaml"] {
            assert!(output.stderr.contains(part), "{part}: {output}");
        }
        assert_eq!(test.read("dev/s.yaml"), encrypted);
    }
    // Others are decrypted and encrypted as ever, and whoever can read may print.
    test.sealant(&["encrypt", "-i", "dev/app.yaml"]).run().ok();
    let plain = repo.plain("dev/s.yaml");
    test.write(test.home("old.yaml"), &encrypted);
    let old = test.home("old.yaml").display().to_string();
    let ways: [&[&str]; 6] = [
        &["encrypt", "-i", "dev/s.yaml"],
        &["encrypt", "-i", "dev"],
        &["encrypt", "dev/s.yaml"],
        &["encrypt", "--filename-override", "dev/s.yaml", "-"],
        &["encrypt", "--onto", &old, "--output", "dev/s.yaml", "dev/s.yaml"],
        &["check", "--fix", "dev"],
    ];
    for staged in [false, true] {
        test.write("dev/s.yaml", &plain);
        if staged {
            repo.ok(&["rm", "-q", "--cached", "dev/s.yaml"]);
        }
        for args in ways {
            let output = test.sealant(args).stdin(plain.as_bytes()).run();
            assert_eq!(output.status, if args[0] == "check" { 1 } else { 8 }, "{args:?} {output}");
            for part in ["prod/s.yaml of commit", &moved.mallory, "git checkout HEAD -- dev/s.yaml"] {
                assert!(output.stderr.contains(part), "{args:?} {part}: {output}");
            }
            assert_eq!(test.read_text("dev/s.yaml"), plain, "{args:?}");
        }
    }
    // Nor is it once the plaintext has another name, and the result goes where it came from.
    for name in ["dev/s.dec.yaml", "dev/out/dev/s.yaml"] {
        test.write(name, &plain);
    }
    let ways: [&[&str]; 5] = [
        &["encrypt", "--output", "dev/s.yaml", "dev/s.dec.yaml"],
        &["encrypt", "--filename-override", "dev/new.yaml", "--output", "dev/s.yaml", "dev/out/dev/s.yaml"],
        &["encrypt", "--filename-override", "dev/new.yaml", "-i", "dev/s.yaml"],
        &["encrypt", "--output-dir", "../..", "dev/s.yaml"],
        &["encrypt", "--filename-override", "dev/new.yaml", "--output", "dev/s.yaml", "-"],
    ];
    for args in ways {
        let within = if args.contains(&"--output-dir") { "dev/out" } else { "" };
        let output = test.sealant(args).cwd(test.path(within)).stdin(plain.as_bytes()).run().code(8);
        assert!(output.stderr.contains("prod/s.yaml of commit"), "{args:?} {output}");
        assert_eq!(test.read_text("dev/s.yaml"), plain, "{args:?}");
    }
    test.sealant(&["encrypt", "--output", "dev/other.yaml", "dev/s.dec.yaml"]).run().ok();
    // The way out.
    repo.ok(&["checkout", "HEAD", "--", "dev/s.yaml"]);
    repo.sealant(&["rotate", "-i", "--allow-copied", "dev/s.yaml"]);
    repo.commit("parted");
    for args in [["decrypt", "-i", "dev/s.yaml"], ["encrypt", "-i", "dev/s.yaml"]] {
        test.sealant(&args).run().ok();
    }
}

/// Where the plaintext goes is a link to what was moved, or was one when it was committed.
#[test]
fn what_is_behind_a_link_is_not_encrypted_for_others() {
    for (link, target) in [
        ("dev/db.yaml", "current.yaml"),
        ("dev/far.yaml", "far/../../dev/./current.yaml"),
        ("top.yaml", "dev/current.yaml"),
        ("live/current.yaml", "dev"),
    ] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        repo.ok(&["mv", "prod/s.yaml", "dev/current.yaml"]);
        test.write("dev/far/app.yaml", test.read("dev/app.yaml"));
        let at = link.strip_suffix("/current.yaml").unwrap_or(link);
        symlink(target, test.path(at)).expect("a link");
        repo.commit("moved");
        let (encrypted, plain) = (test.read("dev/current.yaml"), repo.plain("dev/current.yaml"));
        let refused = |args: &[&str]| {
            let output = test.sealant(args).stdin(plain.as_bytes()).run().code(8);
            for part in ["prod/s.yaml of commit", &moved.mallory, "git checkout HEAD -- dev/current.yaml"] {
                assert!(output.stderr.contains(part), "{link} {args:?} {part}: {output}");
            }
        };
        refused(&["encrypt", "--output", link, "-"]);
        refused(&["encrypt", "--onto", link, "--output", link, "-"]);
        assert_eq!(test.read("dev/current.yaml"), encrypted, "{link}");
        test.write("dev/current.yaml", &plain);
        refused(&["encrypt", "-i", link]);
        assert_eq!(test.read_text("dev/current.yaml"), plain, "{link}");
        // Whoever puts the plaintext in the place of the link has it from there, too.
        for staged in [false, true] {
            std::fs::remove_file(test.path(at))
                .or_else(|_| std::fs::remove_dir_all(test.path(at)))
                .expect("a link");
            test.write(link, &plain);
            if staged {
                repo.ok(&["add", "-A"]);
            }
            let keys = format!("{},{}", repo.recipient, moved.mallory);
            refused(&["encrypt", "-i", "--age", &keys, link]);
            assert_eq!(test.read_text(link), plain, "{link}");
        }
        // What was never elsewhere is encrypted behind a link as ever.
        symlink("app.yaml", test.path("dev/own.yaml")).expect("a link");
        repo.ok(&["add", "dev/own.yaml"]);
        for args in [["decrypt", "-i", "dev/own.yaml"], ["encrypt", "-i", "dev/own.yaml"]] {
            test.sealant(&args).run().ok();
        }
    }
}

/// The index has nothing of it but the sides of its conflict.
#[test]
fn what_is_in_conflict_is_not_encrypted_for_others() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let theirs = || {
        repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        // So that our driver merges nothing.
        let text = test.read_text("dev/s.yaml").replacen("data:", "data:AAAA", 1);
        test.write("dev/s.yaml", text);
    };
    moved.branches(theirs, || repo.set("prod/s.yaml", "b", "planted-new"));
    let _ = repo.merge().code(1);
    repo.ok(&["checkout", "--ours", "dev/s.yaml"]);
    let plain = repo.plain("dev/s.yaml");
    test.write("dev/s.yaml", &plain);
    for staged in [false, true] {
        if staged {
            repo.ok(&["add", "dev/s.yaml"]);
        }
        for args in [&["encrypt", "-i", "dev/s.yaml"][..], &["encrypt", "--output", "dev/s.yaml", "-"]] {
            let output = test.sealant(args).stdin(plain.as_bytes()).run().code(8);
            for part in ["prod/s.yaml", &moved.mallory] {
                assert!(output.stderr.contains(part), "{staged} {args:?} {part}: {output}");
            }
            assert_eq!(test.read_text("dev/s.yaml"), plain, "{args:?}");
        }
    }
}

#[test]
fn what_was_moved_is_not_unsealed_and_sealed_for_others() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let place = ["--namespace", "shop", "--name", "db"];
    let from = ["seal", "--from-file", "password=-", "--output"];
    let seal =
        |file: &str| test.sealant(&[&from[..], &[file], &place].concat()).stdin(b"planted-sealed").run();
    seal("prod/db.yaml").ok();
    repo.commit("sealed");
    repo.ok(&["mv", "prod/db.yaml", "dev/db.yaml"]);
    repo.commit("moved");
    let (sealed, plain) =
        (test.read_text("dev/db.yaml"), repo.sealant(&["unseal", "dev/db.yaml"]).text().to_owned());
    let refused = |output: Output, args: &[&str], now: &str| {
        let output = output.code(8);
        for part in ["prod/db.yaml of commit", &moved.mallory, "git checkout HEAD -- dev/db.yaml"] {
            assert!(output.stderr.contains(part), "{args:?} {part}: {output}");
        }
        assert_eq!(test.read_text("dev/db.yaml"), now, "{args:?}");
    };
    refused(seal("dev/db.yaml"), &[], &sealed);
    for args in [
        &["seal", "--output", "dev/db.yaml"][..],
        &["seal", "--onto", "dev/db.yaml", "--output", "dev/db.yaml"],
        &["seal", "--filename-override", "dev/db.yaml"],
        &["seal", "--filename-override", "dev/new.yaml", "--output", "dev/db.yaml"],
    ] {
        refused(test.sealant(args).stdin(plain.as_bytes()).run(), args, &sealed);
    }
    // What is in it gets another name, and so a new data key.
    let editor = test.editor("sed -i 's/password/renamed/' \"$1\"");
    let output = test.sealant(&["edit", "dev/db.yaml"]).env("EDITOR", &editor).run().code(8);
    for part in ["prod/db.yaml of commit", &moved.mallory, "--allow-copied dev/db.yaml"] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    assert_eq!(test.read_text("dev/db.yaml"), sealed);
    for staged in [false, true] {
        test.write("dev/db.yaml", &plain);
        if staged {
            repo.ok(&["add", "-A"]);
        }
        for args in
            [&["seal", "-i", "dev/db.yaml"][..], &["seal", "-i", "dev"], &["migrate", "secrets", "dev"]]
        {
            refused(test.sealant(args).run(), args, &plain);
        }
    }
    // What has never been there is sealed as ever, and so is this, once it may be.
    test.sealant(&["seal", "--output", "dev/new.yaml"]).stdin(plain.as_bytes()).run().ok();
    repo.ok(&["checkout", "HEAD", "--", "dev/db.yaml"]);
    repo.sealant(&["rotate", "-i", "--allow-copied", "dev/db.yaml"]);
    repo.commit("parted");
    test.sealant(&["seal", "--output", "dev/db.yaml"]).stdin(plain.as_bytes()).run().ok();
}
