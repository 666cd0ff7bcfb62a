use std::fs;

use sealant_test_support::{Run, Sandbox};

use super::{IDENTITY, KEYS_TXT, RECIPIENT, decrypted, encrypt, new_lines, program, sandbox, with_secret};

const TEXT: &str = "# all of it\ndb:\n  password: 'hunter2' # old\n  port: 5432\n\nhosts: [a, b]\n";

/// `sealant edit` with an editor that runs these commands.
fn edit(test: &Sandbox, commands: &str, args: &[&str]) -> Run {
    let editor = test.editor(&format!("echo \"$1\" > {}\n{commands}", test.path("opened").display()));
    test.sealant(&["edit"]).args(args).env("EDITOR", editor)
}

/// The plaintext that the editor had open is gone, with the folder that was made for it.
#[track_caller]
fn assert_wiped(test: &Sandbox) {
    let opened = test.read_text("opened");
    let opened = std::path::Path::new(opened.trim_end());
    assert!(opened.parent().is_some_and(|folder| !folder.exists()), "{} is left", opened.display());
}

#[test]
fn what_was_changed_is_encrypted_and_all_else_stays() {
    let test = with_secret(TEXT);
    let before = test.read_text("secret.yaml");
    let output = edit(&test, "sed -i s/hunter2/correct/ \"$1\"", &["secret.yaml"]).run().ok();
    assert_eq!(output.stderr, "secret.yaml: encrypted and written\n");
    let changed = new_lines(&before, &test.read_text("secret.yaml"));
    let expected = |line: &String| {
        ["password: 'ENC[", "mac: ENC[", "lastmodified: "].iter().any(|start| line.starts_with(start))
    };
    assert!(changed.iter().all(expected), "{changed:#?}");
    assert_eq!(decrypted(&test, "secret.yaml"), TEXT.replace("hunter2", "correct"));
    assert_wiped(&test);
}

#[test]
fn the_editor_gets_a_private_file_of_the_same_name() {
    let test = with_secret(TEXT);
    let commands = "umask 0; stat -c '%a %n' \"$1\" \"$(dirname \"$1\")\"; cat \"$1\"";
    let output = edit(&test, commands, &["secret.yaml"]).run().code(200);
    let opened = test.read_text("opened");
    let folder = opened.trim_end().strip_suffix("/secret.yaml").expect("the same name");
    assert_eq!(output.text(), format!("600 {folder}/secret.yaml\n700 {folder}\n{TEXT}"));
}

#[test]
fn nothing_changed_writes_nothing() {
    let test = with_secret(TEXT);
    let before = test.read("secret.yaml");
    let output = edit(&test, "touch \"$1\"", &["secret.yaml"]).run().code(200);
    assert!(output.stderr.starts_with("secret.yaml: nothing was changed\nnote: the editor returned at once"));
    assert_eq!(test.read("secret.yaml"), before);
    assert_wiped(&test);
}

/// An editor in the terminal that comes back at once was left at once.
#[test]
fn an_editor_that_cannot_have_waited_for_nothing_is_not_told_to_wait() {
    let test = with_secret(TEXT);
    test.write("bin/vi", "#!/bin/sh\n");
    test.program("chmod", &["+x", "bin/vi"]).run().ok();
    let output = test.sealant(&["edit", "secret.yaml"]).env("EDITOR", test.path("bin/vi")).run().code(200);
    assert_eq!(output.stderr, "secret.yaml: nothing was changed\n");
}

#[test]
fn a_terminal_that_gives_no_answer_is_asked_twice() {
    let test = with_secret(TEXT);
    let before = test.read("secret.yaml");
    let mut terminal = edit(&test, "echo 'c: [' >> \"$1\"", &["secret.yaml"]).on_terminal();
    terminal.wait_for("Press Enter to go back to the editor, or n to discard your edits: ");
    terminal.send(b"\x04");
    terminal.wait_for("Enter or y goes back to the editor, n discards your edits: ");
    terminal.send(b"\x04");
    let output = terminal.finish();
    assert!(output.status != 0 && output.to_string().contains("edits discarded"), "{output}");
    assert_eq!(test.read("secret.yaml"), before);
    assert_wiped(&test);
}

#[test]
fn editors_are_chosen_as_by_sops() {
    let test = with_secret(TEXT);
    let editor = test.editor("echo \"$@\" | sed 's|/.*/||'");
    let line = format!("'{}' --wait", editor.display());
    let run = test.sealant(&["edit", "secret.yaml"]).env("EDITOR", "false").env("SOPS_EDITOR", line);
    assert_eq!(run.run().code(200).text(), "--wait secret.yaml\n");
    let missing = test.sealant(&["edit", "secret.yaml"]).env("EDITOR", "no-such-editor").run().code(201);
    assert!(missing.stderr.contains("there is no program `no-such-editor`"), "{missing}");
    let none = test.sealant(&["edit", "secret.yaml"]).env("PATH", "/nowhere").run().code(201);
    assert!(none.stderr.contains("none of vim, nano, vi was found"), "{none}");
}

#[test]
fn whatever_the_editor_does_the_file_stays_and_the_plaintext_goes() {
    let test = with_secret(TEXT);
    let before = test.read("secret.yaml");
    let cases = [
        ("exit 3", 201, "exited with 3"),
        ("kill -9 $$", 201, "was stopped by a signal"),
        ("rm \"$1\"", 201, "left no file"),
        ("rm \"$1\"; mkdir \"$1\"; echo hunter2 > \"$1/x\"", 201, "left no file"),
        ("echo 'hunter3: [' >> \"$1\"", 2, "secret.yaml:7: "),
        ("printf '\\377' >> \"$1\"", 2, "secret.yaml:7: invalid UTF-8"),
        ("echo 'db: hunter3' >> \"$1\"", 2, "secret.yaml:7: the key \"db\" appears twice"),
        ("echo 'sops: {mac: hunter3}' >> \"$1\"", 203, "named like sops metadata"),
        ("cp \"$1\" \"$1.swp\"; : > \"$1\"", 92, "nothing in the file to encrypt"),
        ("echo '# hunter3' > \"$1\"", 2, "no document, only comments"),
    ];
    for (commands, code, message) in cases {
        let output = edit(&test, commands, &["secret.yaml"]).run();
        assert!(output.status == code && output.stderr.contains(message), "{commands}\n{output}");
        assert!(!output.stderr.contains("hunter"), "{output}");
        assert_eq!(test.read("secret.yaml"), before, "{commands}");
        assert_wiped(&test);
    }
}

#[test]
fn a_signal_ends_the_editor_too() {
    let test = with_secret(TEXT);
    let before = test.read("secret.yaml");
    for (signal, code) in [("TERM", 143), ("HUP", 129)] {
        let commands =
            format!("echo hunter3 >> \"$1\"; echo x > \"$1.swp\"; kill -{signal} $PPID; exec sleep 60");
        let output = edit(&test, &commands, &["secret.yaml"]).run().code(code);
        assert!(!output.stderr.contains("hunter"), "{output}");
        assert_eq!(test.read("secret.yaml"), before);
        assert_wiped(&test);
    }
}

#[test]
fn an_interrupt_that_ends_the_editor_leaves_nothing() {
    let test = with_secret(TEXT);
    let before = test.read("secret.yaml");
    // The whole group gets what Ctrl-C sends. We may learn of it after the editor's end, and then it is for us.
    let output = edit(&test, "echo hunter3 >> \"$1\"; kill -INT 0; sleep 60", &["secret.yaml"]).run();
    assert!([201, 130].contains(&output.status) && !output.stderr.contains("hunter"), "{output}");
    assert_eq!(test.read("secret.yaml"), before);
    assert_wiped(&test);
}

#[test]
fn an_interrupt_is_for_the_editor() {
    let test = with_secret(TEXT);
    let commands = "trap '' INT; kill -INT 0; sleep 0.3; sed -i s/hunter2/correct/ \"$1\"";
    edit(&test, commands, &["secret.yaml"]).run().ok();
    assert_eq!(decrypted(&test, "secret.yaml"), TEXT.replace("hunter2", "correct"));
}

#[test]
fn a_mistake_is_shown_and_can_be_mended() {
    let test = with_secret(TEXT);
    let commands =
        "if grep -q '\\[$' \"$1\"; then sed -i 's/\\[$/[]/' \"$1\"; else echo 'c: [' >> \"$1\"; fi";
    let mut terminal = edit(&test, commands, &["secret.yaml"]).on_terminal();
    let shown = terminal.wait_for("Press Enter to go back to the editor, or n");
    assert!(shown.contains("secret.yaml:7: ") && !shown.contains("hunter2"), "{shown}");
    terminal.send_line("what?");
    terminal.wait_for("Enter or y goes back to the editor, n discards");
    terminal.send_line("");
    let _ = terminal.finish().ok();
    assert_eq!(decrypted(&test, "secret.yaml"), format!("{TEXT}c: []\n"));
    assert_wiped(&test);
}

#[test]
fn a_mistake_can_be_given_up() {
    let test = with_secret(TEXT);
    let before = test.read("secret.yaml");
    for (answer, code) in [("\x03", 130), ("n\n", 2)] {
        let mut terminal = edit(&test, "echo 'c: [' >> \"$1\"", &["secret.yaml"]).on_terminal();
        terminal.wait_for("Press Enter to go back to the editor, or n");
        terminal.send(answer);
        let _ = terminal.finish().code(code);
        assert_eq!(test.read("secret.yaml"), before);
        assert_wiped(&test);
    }
}

#[test]
fn what_others_wrote_meanwhile_stays_and_so_does_what_was_edited() {
    let test = with_secret(TEXT);
    let commands = format!(
        "sed -i s/hunter2/correct/ \"$1\"; {} set secret.yaml '[\"other\"]' true",
        program().display()
    );
    for kept in ["secret.edited.yaml", "secret.edited-2.yaml"] {
        let output = edit(&test, &commands, &["secret.yaml"]).run().code(3);
        assert!(output.stderr.contains("was changed by another program"), "{output}");
        assert!(output.stderr.contains(&format!("What you edited is in {kept}, encrypted")), "{output}");
        assert!(decrypted(&test, kept).starts_with(&TEXT.replace("hunter2", "correct")));
    }
    assert_eq!(decrypted(&test, "secret.yaml"), format!("{TEXT}other: true\n"));
    assert_wiped(&test);
}

#[test]
fn what_was_edited_does_not_come_under_the_data_key_of_a_file_put_in_its_place() {
    let test = with_secret(TEXT);
    let opened = test.read_text("secret.yaml");
    // Somebody else's, for the same recipient and with the same values: it takes no key to make it.
    test.write("theirs.yaml", TEXT);
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "theirs.yaml"]).run().ok();
    let theirs = test.read_text("theirs.yaml");
    let commands =
        format!("cp {} secret.yaml; sed -i s/hunter2/correct/ \"$1\"", test.path("theirs.yaml").display());
    // Nor after the editor was left again.
    let output = edit(&test, &commands, &["secret.yaml"]).run().code(3);
    assert!(output.stderr.contains("What you edited is in secret.edited.yaml"), "{output}");
    assert_eq!(test.read_text("secret.yaml"), theirs);
    let kept = test.read_text("secret.edited.yaml");
    let tokens = |text: &str| {
        text.split("ENC[")
            .skip(1)
            .filter_map(|rest| rest.split(']').next())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let wrapped =
        |text: &str| text[text.find("-----BEGIN").unwrap()..text.find("-----END").unwrap()].to_owned();
    assert_eq!(wrapped(&kept), wrapped(&opened));
    assert!(!tokens(&theirs).iter().any(|token| kept.contains(token)));
    assert_eq!(decrypted(&test, "secret.edited.yaml"), TEXT.replace("hunter2", "correct"));
    assert_wiped(&test);
}

#[test]
fn every_format_is_edited() {
    let test = with_secret(TEXT);
    encrypt(&test, "a.env", "# c\nPASSWORD=hunter2\n");
    encrypt(&test, "a.ini", "[db]\npassword = hunter2\n");
    encrypt(&test, "a.json", "{\"password\": \"hunter2\"}\n");
    encrypt(&test, "a.bin", "hunter2");
    let files = ["a.env", "a.ini", "a.json", "a.bin", "secret.yaml"];
    let before = files.map(|file| decrypted(&test, file));
    edit(&test, "sed -i s/hunter2/correct/ \"$1\"", &files).run().ok();
    for (file, before) in files.iter().zip(before) {
        assert_eq!(decrypted(&test, file), before.replace("hunter2", "correct"), "{file}");
    }
}

#[test]
fn of_several_files_each_has_its_turn() {
    let test = with_secret(TEXT);
    encrypt(&test, "b.yaml", "a: 1\n");
    test.write("plain.yaml", "a: 1\n");
    let output = edit(&test, "echo 'n: 1' >> \"$1\"", &["plain.yaml", "b.yaml"]).run().code(1);
    assert!(output.stderr.contains("plain.yaml: the file is not encrypted"), "{output}");
    assert_eq!(decrypted(&test, "b.yaml"), "a: 1\nn: 1\n");
    let only_b = "case $1 in *b.yaml) echo 'm: 1' >> \"$1\";; esac";
    let _ = edit(&test, only_b, &["secret.yaml", "b.yaml"]).run().ok();
    let _ = edit(&test, "true", &["secret.yaml", "b.yaml"]).run().code(200);
}

#[test]
fn the_metadata_are_shown_on_request() {
    let test = with_secret(TEXT);
    let recipient = format!("recipient: {RECIPIENT}");
    let output = edit(&test, "cat \"$1\"", &["-s", "secret.yaml"]).run().code(200);
    assert!(output.text().starts_with(TEXT) && output.text().contains(&recipient), "{output}");

    let commands = "sed -i 's/hunter2/correct/; s/mac: .*/mac: x/; s/lastmodified: .*/lastmodified: \"2020-01-01T00:00:00Z\"/' \"$1\"";
    edit(&test, commands, &["-s", "secret.yaml"]).run().ok();
    assert_eq!(decrypted(&test, "secret.yaml"), TEXT.replace("hunter2", "correct"));

    let other_rule = "sed -i 's/unencrypted_suffix: .*/encrypted_regex: ^password$/' \"$1\"";
    edit(&test, other_rule, &["-s", "secret.yaml"]).run().ok();
    assert!(test.read_text("secret.yaml").contains("  port: 5432\n"));
    assert_eq!(decrypted(&test, "secret.yaml"), TEXT.replace("hunter2", "correct"));

    let before = test.read("secret.yaml");
    for commands in ["sed -i s/age1/age1x/ \"$1\"", "sed -i '/enc: |/,/END AGE/d' \"$1\""] {
        let output = edit(&test, commands, &["-s", "secret.yaml"]).run();
        assert_ne!(output.status, 0, "{commands}: {output}");
        assert_eq!(test.read("secret.yaml"), before);
    }
}

#[test]
fn a_new_file_begins_with_an_example() {
    let test = sandbox();
    test.write(test.home(KEYS_TXT), IDENTITY);
    test.write(".sops.yaml", format!("creation_rules: [{{path_regex: 'secrets/', age: {RECIPIENT}}}]"));
    fs::create_dir(test.path("secrets")).expect("a folder");
    for name in ["secrets/a.yaml", "secrets/a.json", "secrets/a.ini", "secrets/a.env", "secrets/a"] {
        let output = edit(&test, "cat \"$1\"", &[name]).run().code(200);
        assert!(output.text().to_lowercase().contains("example"), "{output}");
        assert!(!test.path(name).exists());
        edit(&test, "sed -i s/change-me/hunter2/\\;s/own/very/ \"$1\"", &[name]).run().ok();
        assert!(!test.read_text(name).contains("hunter2"));
        assert_eq!(
            decrypted(&test, name),
            output.text().replace("change-me", "hunter2").replace("own", "very")
        );
    }
    let output = edit(&test, "true", &["elsewhere.yaml"]).run().code(1);
    assert!(output.stderr.contains("elsewhere.yaml"), "{output}");
    let _ = edit(&test, "echo 'b: 1' > \"$1\"", &["--age", RECIPIENT, "elsewhere.yaml"]).run().ok();
    assert_eq!(decrypted(&test, "elsewhere.yaml"), "b: 1\n");
    edit(&test, "true", &["secrets/deep/er/new.yaml"]).run().code(200);
    assert!(!test.path("secrets/deep").exists(), "nothing was written");
    let output = edit(&test, "echo 'b: 1' > \"$1\"", &["secrets/deep/er/new.yaml"]).run().ok();
    assert!(output.stderr.contains("made the folder secrets/deep/er"), "{output}");
    assert_eq!(decrypted(&test, "secrets/deep/er/new.yaml"), "b: 1\n");
}

#[test]
fn a_new_file_for_kubernetes_begins_with_a_secret() {
    let test = sandbox();
    test.write(test.home(KEYS_TXT), IDENTITY);
    let flags = ["--age", RECIPIENT, "--encrypted-regex", "^(data|stringData)$", "new.yaml"];
    edit(&test, "sed -i s/change-me/hunter2/ \"$1\"", &flags).run().ok();
    let text = test.read_text("new.yaml");
    assert!(text.contains("kind: Secret\n") && !text.contains("hunter2"), "{text}");
}

#[test]
fn what_is_not_encrypted_is_not_edited() {
    let test = with_secret(TEXT);
    test.write("plain.yaml", "a: 1\n");
    let output = edit(&test, "true", &["plain.yaml"]).run().code(1);
    assert_eq!(
        output.stderr,
        "error: plain.yaml: the file is not encrypted: sops metadata not found\n  help: Encrypt it with `sealant encrypt -i plain.yaml`\n"
    );
    fs::create_dir(test.path("folder")).expect("a folder");
    let output = edit(&test, "true", &["folder"]).run().code(2);
    assert_eq!(output.stderr, "error: folder: is a folder, not a file\n  help: Name a file that is in it.\n");
    let _ = edit(&test, "true", &["-"]).run().code(8);
    let _ = edit(&test, "true", &["--output-type", "json", "secret.yaml"]).run().code(8);
    let _ = edit(&test, "true", &[]).run().code(64);
    assert!(!test.path("opened").exists());
}

#[test]
fn links_and_modes_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let test = with_secret(TEXT);
    fs::set_permissions(test.path("secret.yaml"), fs::Permissions::from_mode(0o640)).expect("a mode");
    symlink("secret.yaml", test.path("link.yaml")).expect("a link");
    edit(&test, "sed -i s/hunter2/correct/ \"$1\"", &["link.yaml"]).run().ok();
    assert!(fs::symlink_metadata(test.path("link.yaml")).expect("the link").is_symlink());
    let mode = fs::metadata(test.path("secret.yaml")).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(decrypted(&test, "secret.yaml").contains("correct"));
}
