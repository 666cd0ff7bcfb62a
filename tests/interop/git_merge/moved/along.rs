//! What has a new data key and is moved along afterwards, by whatever way.

use sealant_test_support::Output;

use super::{Moved, moved_along, moved_along_to};
use crate::git_merge::repo::new_identity;

/// It has a new data key, and is in no commit yet: Git moves it along by itself when a branch moves what was there before.
#[test]
fn what_is_in_no_commit_and_is_moved_along_is_for_nobody_else() {
    for how in [
        "stash",
        "checkout",
        "staged",
        "committed",
        "squashed",
        "added in the merge",
        "amended",
        "listed",
        "beside",
    ] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let moves = || drop(repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]));
        moved.branches(moves, || test.write("ours", ""));
        repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
        repo.set("prod/s.yaml", "b", "planted-new");
        match how {
            "checkout" => drop(repo.ok(&["checkout", "-q", "-m", "theirs"])),
            _ => {
                repo.ok(&["stash", "-q"]);
                let _ = match how {
                    "squashed" => repo.ok(&["merge", "-q", "--squash", "theirs"]),
                    "added in the merge" => repo.ok(&["merge", "-q", "--no-ff", "--no-commit", "theirs"]),
                    _ => repo.merge().ok(),
                };
                repo.ok(&["stash", "pop", "-q"]);
            }
        }
        assert!(test.path("dev/s.yaml").exists(), "{how}");
        match how {
            "staged" | "added in the merge" => drop(repo.ok(&["add", "-A"])),
            "committed" | "squashed" => repo.commit("next"),
            "amended" => drop(repo.ok(&["commit", "-qna", "--amend", "-m", "next"])),
            "listed" => {
                repo.commit("next");
                let text = test.read_text("dev/s.yaml");
                test.write("dev/s.yaml", moved.listed(&text));
                repo.commit("listed");
                test.write("dev/s.yaml", text);
                repo.commit("as before");
            }
            "beside" => {
                repo.commit("next");
                let text = test.read_text("dev/s.yaml");
                test.write("dev/s.yaml", test.read("dev/app.yaml"));
                repo.commit("another file");
                test.write("dev/s.yaml", text);
                repo.commit("as before");
            }
            _ => {}
        }
        let ways = [
            &["updatekeys", "--yes", "dev/s.yaml"][..],
            &["updatekeys", "--yes", "dev"],
            &["rotate", "-i", "--add-age", &moved.mallory, "dev/s.yaml"],
            &["updatekeys", "--rotate", "--yes", "dev/s.yaml"],
            &["decrypt", "-i", "dev/s.yaml"],
        ];
        for args in ways {
            let output = test.sealant(args).run();
            for part in ["prod/s.yaml of commit", &moved.mallory, "--allow-copied dev/s.yaml"] {
                assert!(
                    output.status != 0 && output.stderr.contains(part),
                    "{how} {args:?} {part}: {output}"
                );
            }
        }
        moved.reads_nothing(how);
        // Nor by its plaintext, wherever that comes from.
        let (text, plain) = (test.read_text("dev/s.yaml"), repo.plain("dev/s.yaml"));
        if repo.git(&["cat-file", "-e", "HEAD:dev/s.yaml"]).run().status == 0 && how != "stash" {
            test.write("dev/s.yaml", plain);
            let output = test.sealant(&["encrypt", "-i", "dev/s.yaml"]).run().code(8);
            assert!(output.stderr.contains("prod/s.yaml of commit"), "{how}: {output}");
            test.write("dev/s.yaml", text);
        }
        // The way out.
        let output = repo.sealant(&["rotate", "-i", "--allow-copied", "dev/s.yaml"]);
        assert!(output.stderr.contains(&moved.mallory), "{output}");
        for commits in [false, true] {
            if commits {
                repo.commit("parted");
            }
            repo.sealant(&["updatekeys", "--yes", "dev/s.yaml"]);
            repo.sealant(&["rotate", "-i", "dev/s.yaml"]);
        }
        // Whoever joins later is let in as ever.
        let config = test.read_text(".sops.yaml");
        let nina = new_identity(test, &test.home("nina.txt"));
        test.write(".sops.yaml", config.replacen(&moved.mallory, &format!("{},{nina}", moved.mallory), 1));
        repo.commit("joined");
        repo.sealant(&["updatekeys", "--yes", "dev/s.yaml"]);
        assert!(test.read_text("dev/s.yaml").contains(&nina), "{how}");
    }
}

/// Where it goes on to, its data key was for everybody in the list; not so where it was first.
#[test]
fn what_was_moved_along_and_then_on_is_for_nobody_else() {
    let ways = ["moved", "listed", "uncommitted", "copied", "removed in between", "over another file"];
    for (first, ways) in [("dev/s.yaml", &ways[..]), ("no-rule/s.yaml", &ways[..2])] {
        for how in ways.iter().copied() {
            let case = format!("{first}, {how}");
            let moved = moved_along_to(first);
            let (repo, test) = (&moved.repo, &moved.repo.test);
            let config = test.read_text(".sops.yaml");
            test.write(
                ".sops.yaml",
                format!("{config}  - path_regex: ^open/\n    age: {},{}\n", repo.recipient, moved.mallory),
            );
            repo.commit("a rule");
            let text = test.read_text(first);
            std::fs::create_dir_all(test.path("open")).expect("a folder");
            match how {
                "copied" => test.write("open/s.yaml", &text),
                "listed" => {
                    repo.ok(&["mv", first, "open/s.yaml"]);
                    test.write("open/s.yaml", moved.listed(&text));
                    repo.commit("listed");
                    test.write("open/s.yaml", &text);
                }
                "removed in between" => {
                    repo.ok(&["rm", "-q", first]);
                    repo.commit("removed");
                    test.write("open/s.yaml", &text);
                }
                "over another file" => {
                    repo.encrypted("open/s.yaml", "a: another\n");
                    repo.commit("another file");
                    test.write("open/s.yaml", &text);
                    repo.ok(&["rm", "-q", first]);
                }
                _ => drop(repo.ok(&["mv", first, "open/s.yaml"])),
            }
            if how != "uncommitted" {
                repo.commit("on");
            }
            let ways = [
                &["updatekeys", "--yes", "open/s.yaml"][..],
                &["updatekeys", "--yes", "open"],
                &["rotate", "-i", "--add-age", &moved.mallory, "open/s.yaml"],
                &["decrypt", "-i", "open/s.yaml"],
            ];
            for args in ways {
                let output = test.sealant(args).run();
                for part in ["prod/s.yaml of commit", &moved.mallory, "--allow-copied open/s.yaml"] {
                    assert!(
                        output.status != 0 && output.stderr.contains(part),
                        "{case} {args:?} {part}: {output}"
                    );
                }
            }
            if how != "uncommitted" {
                let plain = repo.plain("open/s.yaml");
                test.write("open/s.yaml", plain);
                test.sealant(&["encrypt", "-i", "open/s.yaml"]).run().code(8);
                test.write("open/s.yaml", &text);
            }
            moved.reads_nothing(&case);
            // The way out.
            repo.sealant(&["rotate", "-i", "--allow-copied", "open/s.yaml"]);
            repo.commit("parted");
            repo.sealant(&["updatekeys", "--yes", "open/s.yaml"]);
        }
    }
}

/// Where somebody has made a repository of a folder, what the outer one had there counts as well.
#[test]
fn what_was_moved_along_into_a_nested_repository_is_for_nobody_else() {
    let moved = moved_along();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    repo.ok(&["init", "-q", "dev"]);
    for is_committed in [false, true] {
        if is_committed {
            repo.ok(&["-C", "dev", "add", "-A"]);
            let author = ["-c", "user.name=Mallory", "-c", "user.email=m@example.com"];
            repo.ok(&[&["-C", "dev"], &author[..], &["commit", "-qnm", "by Mallory"]].concat());
        }
        for args in [&["updatekeys", "--yes", "s.yaml"][..], &["decrypt", "-i", "s.yaml"]] {
            let output = test.sealant(args).cwd("dev").run().code(8);
            for part in ["prod/s.yaml of commit", &moved.mallory] {
                assert!(output.stderr.contains(part), "{is_committed} {args:?}: {output}");
            }
        }
    }
    moved.reads_nothing("nested");
}

/// A rule that has gone with the folder that it was for.
#[test]
fn what_was_moved_along_is_for_nobody_else_where_one_rule_is_left() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let (ours, mallory) = (&repo.recipient, &moved.mallory);
    let rest = format!("  - age: {ours},{mallory}\n");
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^prod/\n    age: {ours}\n{rest}"));
    repo.commit("rules");
    let moves = || {
        repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        test.write(".sops.yaml", format!("creation_rules:\n{rest}"));
    };
    moved.branches(moves, || test.write("ours", ""));
    repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
    repo.set("prod/s.yaml", "b", "planted-new");
    repo.ok(&["stash", "-q"]);
    let _ = repo.merge().ok();
    repo.ok(&["stash", "pop", "-q"]);
    repo.commit("next");
    for args in [&["updatekeys", "--yes", "dev"][..], &["decrypt", "-i", "dev/s.yaml"]] {
        let output = test.sealant(args).run();
        assert!(output.status != 0 && output.stderr.contains("prod/s.yaml of commit"), "{output}");
    }
    moved.reads_nothing("one rule");
}

/// A part of it under the same data key, in another file: who gets the wrap of one opens both. And by standard input.
#[test]
fn what_was_moved_along_gives_its_data_key_to_no_other_file() {
    let moved = moved_along();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let plain = repo.plain("dev/s.yaml");
    let public = plain.split_inclusive('\n').filter(|line| !line.contains("planted"));
    test.write("dev/public.yaml", public.collect::<String>());
    let output = repo.sealant(&["encrypt", "--onto", "dev/s.yaml", "-i", "dev/public.yaml"]);
    assert!(output.stderr.contains("with a file that is for other readers"), "{output}");
    let secret = test.read_text("dev/s.yaml");
    let listed = moved.listed(&secret);
    let run = test.sealant(&["rotate", "--filename-override", "dev/s.yaml"]).stdin(listed.as_bytes()).run();
    assert!(run.status != 0 && run.stderr.contains("prod/s.yaml of commit"), "{run}");
    // What is honest passes.
    repo.ok(&["checkout", "-q", "--", "dev/app.yaml"]);
    let app = test.read("dev/app.yaml");
    test.sealant(&["rotate", "--filename-override", "dev/app.yaml"]).stdin(app).run().ok();
}

/// Mallory can put a wrap of theirs into two files, and say that it is for anybody.
#[test]
fn a_wrap_that_two_files_have_says_nothing_of_their_data_keys() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let junk = "a: junk\n";
    test.write("dev/junk.yaml", junk);
    repo.sealant(&["encrypt", "-i", "--age", &moved.mallory, "dev/junk.yaml"]);
    let junk = test.read_text("dev/junk.yaml");
    std::fs::remove_file(test.path("dev/junk.yaml")).expect("a file");
    let start = junk.find("        - enc: |").expect("an entry");
    let entry = &junk[start..junk.find("    lastmodified").expect("its end")];
    let with = |text: &str, entry: &str| {
        let at = text.find("    lastmodified").expect("the time");
        format!("{}{entry}{}", &text[..at], &text[at..])
    };
    let moves = || {
        let listed = with(&test.read_text("prod/s.yaml"), entry);
        repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        test.write("dev/s.yaml", listed);
    };
    moved.branches(moves, || drop(repo.sealant(&["rotate", "-i", "prod/s.yaml"])));
    let new = test.read_text("prod/s.yaml");
    drop(repo.merge());
    test.write("dev/s.yaml", &new);
    repo.ok(&["rm", "-q", "--cached", "--ignore-unmatch", "prod/s.yaml"]);
    repo.ok(&["add", "-A"]);
    repo.ok(&["commit", "-qnm", "by hand"]);
    test.write("dev/s.yaml", with(&new, &entry.replace(&moved.mallory, &repo.recipient)));
    repo.ok(&["commit", "-qnam", "by Mallory"]);
    let output = test.sealant(&["updatekeys", "--yes", "dev/s.yaml"]).run();
    assert!(output.status != 0, "{output}");
    moved.reads_nothing("updatekeys");
}

/// Of a branch that was squashed, no commit shows any more that it was there first.
#[test]
fn a_copy_that_came_before_what_it_was_copied_from_is_for_nobody_else() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    repo.ok(&["checkout", "-q", "-b", "feature"]);
    repo.encrypted("prod/new.yaml", "a: planted-new\n");
    repo.commit("feature");
    let new = test.read("prod/new.yaml");
    repo.ok(&["checkout", "-q", "main"]);
    test.write("dev/s.yaml", new);
    repo.commit("copied by Mallory");
    repo.ok(&["merge", "-q", "--squash", "feature"]);
    repo.commit("feature (#1)");
    repo.ok(&["branch", "-q", "-D", "feature"]);
    let origin = format!("file://{}", test.path("").display());
    repo.ok(&["clone", "-q", &origin, "../clone"]);
    for is_gone in [false, true] {
        if is_gone {
            repo.ok(&["-C", "../clone", "rm", "-q", "prod/new.yaml"]);
            let author = ["-c", "user.name=Mallory", "-c", "user.email=m@example.com"];
            repo.ok(&[&["-C", "../clone"], &author[..], &["commit", "-qnm", "removed by Mallory"]].concat());
        }
        let output = test.sealant(&["updatekeys", "--yes", "dev/s.yaml"]).cwd("../clone").run().code(8);
        assert!(output.stderr.contains("prod/new.yaml"), "{is_gone}: {output}");
    }
    let told = test.sealant(&["check"]).cwd("../clone").run().code(1);
    assert!(told.text().contains("dev/s.yaml:1: ") && told.text().contains("[moved]"), "{told}");
}

/// What the advice says ends it.
#[test]
fn who_is_added_where_a_file_was_moved_is_let_in_after_the_advice() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let nina = new_identity(test, &test.home("nina.txt"));
    let rules = test.read_text(".sops.yaml");
    test.write(
        ".sops.yaml",
        format!("{rules}  - path_regex: ^qa/\n    age: {},{}\n", repo.recipient, moved.mallory),
    );
    std::fs::create_dir_all(test.path("qa")).expect("a folder");
    repo.ok(&["mv", "dev/app.yaml", "qa/app.yaml"]);
    repo.commit("moved among the same readers");
    let add = ["recipient", "add", &nina, "--for", "qa/app.yaml", "--yes"];
    let output = test.sealant(&add).run().code(8);
    assert!(output.stderr.contains("sealant rotate -i --allow-copied ./qa/app.yaml"), "{output}");
    repo.sealant(&["rotate", "-i", "--allow-copied", "qa/app.yaml"]);
    repo.commit("parted");
    repo.sealant(&add);
    assert!(test.read_text("qa/app.yaml").contains(&nina));
}

/// Anybody can push a branch that moves a file, or commit a copy and take it back.
#[test]
fn a_copy_elsewhere_takes_nothing_from_where_it_was_first() {
    for how in
        ["moved on a branch", "copied on a branch", "copied and removed", "copied, changed and removed"]
    {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let copies = || test.write("dev/s.yaml", test.read("prod/s.yaml"));
        match how {
            "moved on a branch" => {
                moved.branches(
                    || drop(repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"])),
                    || test.write("ours", ""),
                );
            }
            "copied on a branch" => moved.branches(copies, || test.write("ours", "")),
            _ => {
                copies();
                repo.commit("copied");
                repo.ok(&["rm", "-q", "dev/s.yaml"]);
                repo.commit("removed");
            }
        }
        if how == "copied, changed and removed" {
            repo.set("prod/s.yaml", "b", "planted-next");
            repo.commit("next");
        }
        repo.sealant(&["check"]);
        for args in [
            &["decrypt", "-i", "prod/s.yaml"][..],
            &["rotate", "-i", "prod/s.yaml"],
            &["updatekeys", "--rotate", "--yes", "prod"],
        ] {
            repo.sealant(args);
            repo.ok(&["checkout", "-q", "."]);
        }
        // Where it came later it is as ever.
        if how.ends_with("branch") {
            let _ = repo.merge().ok();
            let output = test.sealant(&["updatekeys", "--yes", "dev/s.yaml"]).run().code(8);
            assert!(output.stderr.contains("prod/s.yaml"), "{how}: {output}");
        }
    }
}

/// The readers that its own list names would be all that is left to say where it comes from.
#[test]
fn a_place_without_a_rule_hides_no_origin() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let older = test.read("prod/s.yaml");
    repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
    repo.commit("rotated");
    let moves = || {
        std::fs::create_dir(test.path("misc")).expect("a folder");
        repo.ok(&["mv", "prod/s.yaml", "misc/s.yaml"]);
        test.write("misc/s.yaml", &older);
    };
    moved.branches(moves, || repo.set("prod/s.yaml", "b", "planted-new"));
    let is_told = |output: Output| {
        assert!(
            output.status != 0 && output.to_string().contains("as no rule does for this path"),
            "{output}"
        );
    };
    is_told(repo.merge());
    is_told(test.sealant(&["resolve", "misc/s.yaml"]).run());
    is_told(test.sealant(&["rotate", "-i", "misc/s.yaml"]).run());
    let config = test.read_text(".sops.yaml");
    test.write(".sops.yaml", format!("{config}  - path_regex: ^misc/\n    age: {}\n", repo.recipient));
    repo.sealant(&["resolve", "--allow-recipient", &repo.recipient, "misc/s.yaml"]);
    repo.commit("merged");
    assert!(repo.plain("misc/s.yaml").contains("planted-new"));
    repo.ok(&["mv", "misc/s.yaml", "dev/s.yaml"]);
    repo.commit("moved");
    let output = test.sealant(&["updatekeys", "--yes", "dev/s.yaml"]).run().code(8);
    assert!(output.stderr.contains("misc/s.yaml of commit"), "{output}");
}
