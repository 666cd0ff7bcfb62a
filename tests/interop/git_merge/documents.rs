//! Clean merges: by keys, of all formats, with the ciphertexts kept; and what stays as Git does it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::repo::{Repo, tokens};

const TEXT: &str = "# head\na: one\nb: two\nmap:\n  x: 1\n  y: 1.10 # note\nlist:\n- p\n- q\n";

#[test]
fn different_keys_come_together_and_what_did_not_change_keeps_its_ciphertext() {
    let repo = Repo::new(&[("s.yaml", TEXT)]);
    let base = repo.test.read_text("s.yaml");
    repo.branches(|| repo.set("s.yaml", "a", "ours-a"), || repo.set("s.yaml", "b", "theirs-b"));
    let ours = repo.test.read_text("s.yaml");
    let theirs = repo.ok(&["show", "--no-textconv", "theirs:s.yaml"]).text().to_owned();
    let _ = repo.merge().ok();
    assert_eq!(repo.plain("s.yaml"), TEXT.replace("one", "ours-a").replace("two", "theirs-b"));
    let merged = tokens(&repo.test.read_text("s.yaml"));
    let all = [base, ours, theirs].map(|file| tokens(&file)).concat();
    assert_eq!(merged.len(), 7, "{merged:?}");
    assert!(merged.iter().all(|token| all.contains(token)), "{merged:?}");
    assert_eq!(repo.ok(&["status", "--porcelain"]).text(), "");
}

#[test]
fn keys_that_both_add_at_one_place_stand_behind_one_another() {
    for (name, base, ours, theirs, merged) in [
        (
            "s.yaml",
            "a: 1\n",
            "a: 1\n# of us\no: 2\n",
            "a: 1\n# of them\nt: 3\n",
            "a: 1\n# of us\no: 2\n# of them\nt: 3\n",
        ),
        // Side by side is a conflict to Git, too.
        ("s.yaml", "a: 1\nb: 1\n", "a: 2\nb: 1\n", "a: 1\nb: 2\n", "a: 2\nb: 2\n"),
        (
            "s.json",
            "{\n  \"a\": 1\n}\n",
            "{\n  \"a\": 1,\n  \"o\": 2\n}\n",
            "{\n  \"a\": 1,\n  \"t\": 3\n}\n",
            "{\n  \"a\": 1,\n  \"o\": 2,\n  \"t\": 3\n}\n",
        ),
        ("s.env", "A=1\n", "A=1\nO=2\n", "A=1\nT=3\n", "A=1\nO=2\nT=3\n"),
        ("s.ini", "[x]\na = 1\n", "[x]\na = 1\no = 2\n", "[x]\na = 1\nt = 3\n", "[x]\na = 1\no = 2\nt = 3\n"),
        (
            "s.yaml",
            "a: 1\r\nb: 1\r\n",
            "a: 1\r\nb: 1\r\no: 2\r\n",
            "a: 1\r\nb: 1\r\nt: 3\r\n",
            "a: 1\r\nb: 1\r\no: 2\r\nt: 3\r\n",
        ),
    ] {
        let repo = Repo::new(&[(name, base)]);
        repo.branches(|| repo.edit(name, ours), || repo.edit(name, theirs));
        let _ = repo.merge().ok();
        assert_eq!(repo.plain(name), merged);
    }
}

#[test]
fn lines_that_fit_together_and_lose_a_change_are_a_conflict() {
    let repo = Repo::new(&[("s.yaml", "a:\n  x: 1\nfill1: 1\nfill2: 1\nfill3: 1\nb: {}\n")]);
    // Both add one key, at two places.
    let ours = "k: ours\na:\n  x: 1\nfill1: 1\nfill2: 1\nfill3: 1\nb: {}\n";
    let theirs = "a:\n  x: 1\nfill1: 1\nfill2: 1\nfill3: 1\nb: {}\nk: theirs\n";
    repo.branches(|| repo.edit("s.yaml", ours), || repo.edit("s.yaml", theirs));
    let _ = repo.merge().code(1);
    let listed = repo.test.sealant(&["resolve", "s.yaml"]).run().code(1);
    assert!(listed.text().contains("[\"k\"]"), "{listed}");
    repo.sealant(&["resolve", "--theirs", "s.yaml"]);
    assert!(repo.plain("s.yaml").ends_with("k: theirs\n"));
}

#[test]
fn streams_of_kubernetes_secrets_come_together() {
    let secret = |name: &str, value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  key: {value}\n")
    };
    let base = secret("one", "planted-1") + "---\n" + &secret("two", "planted-2");
    let repo = Repo::new(&[("s.yaml", &base)]);
    let ours = base.replace("planted-1", "planted-ours");
    let theirs = base.clone() + "---\n" + &secret("three", "planted-3");
    repo.branches(|| repo.edit("s.yaml", &ours), || repo.edit("s.yaml", &theirs));
    let _ = repo.merge().ok();
    assert_eq!(repo.sealant(&["decrypt", "s.yaml"]).text(), theirs.replace("planted-1", "planted-ours"));
    repo.holds_none_of(&["planted"]);
}

#[test]
fn all_names_of_files_are_merged() {
    for name in [
        OsString::from("with space.yaml"),
        OsString::from("new\nline.yaml"),
        OsString::from("'quoted\".yaml"),
        OsString::from("-dash.yaml"),
        OsString::from_vec(b"no-utf8-\xff.yaml".to_vec()),
        OsString::from("folder/$HOME/%P.yaml"),
    ] {
        let repo = Repo::empty("");
        repo.test.write(&name, "a: 1\nb: 1\n");
        let sealant = |args: &[&str]| {
            let mut path = OsString::from("./");
            path.push(&name);
            repo.test.sealant(args).arg(path)
        };
        let set = |path: &str, value: &str| {
            let _ = sealant(&["set"]).args(&[path, value]).run().ok();
        };
        let _ = sealant(&["encrypt", "-i"]).run().ok();
        repo.commit("base");
        repo.branches(|| set("[\"a\"]", "2"), || set("[\"b\"]", "2"));
        let _ = repo.merge().ok();
        assert_eq!(sealant(&["decrypt"]).run().ok().text(), "a: 2\nb: 2\n");
        repo.ok(&["reset", "-q", "--hard", "HEAD~1"]);
        set("[\"b\"]", "3");
        repo.commit("ours");
        let _ = repo.merge().code(1);
        let _ = sealant(&["resolve", "--theirs"]).run().ok();
        assert_eq!(sealant(&["decrypt"]).run().ok().text(), "a: 2\nb: 2\n");
    }
}

#[test]
fn files_without_ciphertext_are_merged_as_without_the_driver() {
    let lines = |at: usize, text: &str| {
        (0..9)
            .map(|line| if line == at { format!("k{line}: {text}\n") } else { format!("k{line}: x\n") })
            .collect::<String>()
    };
    for (ours, theirs, code) in [(1, 7, 0), (4, 4, 1), (4, 5, 1)] {
        let mut results = Vec::new();
        for driver in [
            "sealant git merge %O %A %B --marker-size %L --path %P",
            "git merge-file -L ours -L base -L theirs %A %O %B",
        ] {
            let repo = Repo::empty("");
            repo.ok(&["config", "merge.sealant.driver", driver]);
            repo.test.write("p.yaml", lines(99, ""));
            repo.commit("base");
            repo.branches(
                || repo.test.write("p.yaml", lines(ours, "o")),
                || repo.test.write("p.yaml", lines(theirs, "t")),
            );
            let _ = repo.merge().code(code);
            results.push(repo.test.read_text("p.yaml"));
        }
        assert_eq!(results[0], results[1]);
        assert_eq!(results[0].contains("<<<<<<< ours"), code == 1);
    }
}

#[test]
fn what_git_cannot_merge_stays_as_it_is() {
    let repo = Repo::empty("");
    let file = |byte: u8| repo.test.write("b.yaml", [b'a', 0, byte]);
    file(0);
    repo.commit("base");
    repo.branches(|| file(1), || file(2));
    let _ = repo.merge().code(1);
    assert_eq!(repo.test.read("b.yaml"), [b'a', 0, 1]);
    // Git stops when there is nothing to merge.
    let driver = ["git", "merge", "no", "such", "files", "--path", "s.yaml"];
    let _ = repo.test.sealant(&driver).run().code(129);
}

#[test]
fn diffs_show_plaintext_and_git_keeps_none() {
    let repo = Repo::new(&[("s.yaml", "a: planted-one\nb: x\n"), ("s.json", "{\"a\": \"planted-json\"}\n")]);
    repo.branches(|| repo.set("s.yaml", "a", "planted-ours"), || repo.set("s.yaml", "b", "planted-theirs"));
    for (args, shown) in [
        (&["diff", "HEAD~1"][..], &["-a: planted-one", "+a: planted-ours"][..]),
        (&["log", "-p", "--all"], &["+a: planted-ours", "+b: planted-theirs", "+{\"a\": \"planted-json\"}"]),
        (&["show", "theirs"], &["+b: planted-theirs"]),
        (&["blame", "s.yaml"], &[") a: planted-ours"]),
        (&["show", "--textconv", "HEAD:s.yaml"], &["a: planted-ours"]),
    ] {
        let text = repo.ok(args);
        assert!(shown.iter().all(|line| text.text().contains(line)), "{text}");
        assert!(!text.text().contains("ENC["), "{text}");
    }
    repo.set("s.yaml", "a", "planted-working");
    assert!(repo.ok(&["diff"]).text().contains("+a: planted-working"));
    repo.ok(&["checkout", "-q", "."]);
    let _ = repo.merge().ok();
    repo.ok(&["reset", "-q", "--hard", "HEAD~1"]);
    repo.set("s.yaml", "b", "planted-conflict");
    repo.commit("ours");
    let merge = repo.merge().code(1);
    assert!(!format!("{merge}").contains("planted"), "{merge}");
    repo.ok(&["diff"]);
    repo.holds_none_of(&["planted"]);
    repo.without_key();
    assert!(repo.ok(&["show", "theirs"]).text().contains("ENC[AES256_GCM"));
    repo.with_key();
}

#[test]
fn a_file_that_cannot_be_shown_is_shown_as_it_is() {
    let repo = Repo::new(&[("s.yaml", "a: one\nb: x\n")]);
    let broken = repo.test.read_text("s.yaml").replace("\nb: ", "\nc: ");
    for (name, text, hint) in [
        ("plain.yaml", "a: 1\n", false),
        ("broken.yaml", "a: [\n", false),
        ("not-utf8.yaml", "a: \u{fffd}\n", false),
        ("tampered.yaml", &broken, true),
        ("conflict.yaml", "<<<<<<< ours\na: ENC[AES256_GCM,data:\n", true),
        ("empty.json", "", false),
    ] {
        repo.test.write(name, text);
        let shown = repo.sealant(&["git", "textconv", name]);
        assert_eq!(shown.text(), text, "{name}");
        assert_eq!(shown.stderr.contains("shown as it is"), hint, "{shown}");
    }
    repo.without_key();
    let shown = repo.sealant(&["git", "textconv", "s.yaml"]);
    assert_eq!((shown.text(), shown.stderr.as_str()), (repo.test.read_text("s.yaml").as_str(), ""));
}

#[test]
fn each_side_changes_another_key_of_an_anchor() {
    let text = "x: &x\n  user: one\n  fill: 1\n  password: two\nm:\n  <<: *x\nl: [*x]\n";
    let repo = Repo::new(&[("s.yaml", text)]);
    repo.branches(
        || repo.edit("s.yaml", &text.replace("one", "ours")),
        || repo.edit("s.yaml", &text.replace("two", "theirs")),
    );
    let _ = repo.merge().ok();
    assert_eq!(repo.plain("s.yaml"), text.replace("one", "ours").replace("two", "theirs"));
    assert!(!repo.test.read_text("s.yaml").contains("*x"));
}

/// Git's pager lets some of it through to the terminal, and without a pager all of it.
#[test]
fn what_git_shows_of_a_secret_commands_no_terminal() {
    let text = "a: \u{202e}x\nb: |\n  tab\there\n";
    let repo = Repo::new(&[("s.yaml", text)]);
    repo.test.write("plain.yaml", text);
    repo.commit("one");
    let shown = repo.ok(&["-c", "color.ui=always", "log", "-p"]).text().to_owned();
    assert!(shown.contains("a: \\u{202e}x") && shown.contains("tab\there"), "{shown}");
    // A file that is not encrypted is Git's to show.
    let plain = shown.split("plain.yaml").last().unwrap_or_default();
    assert!(plain.contains('\u{202e}') == shown.contains('\u{202e}'), "{shown}");
    assert_eq!(shown.matches('\u{202e}').count(), 1, "{shown}");
}
