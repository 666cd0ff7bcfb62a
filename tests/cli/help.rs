use insta::assert_snapshot;

use super::sandbox;

/// All help texts in one file each: whoever changes a flag sees what its users will see.
#[test]
fn every_command_has_help() {
    let test = sandbox();
    let root = test.sealant(&["--help"]).run().ok().text().to_owned();
    let commands: Vec<_> = root
        .lines()
        .skip_while(|line| *line != "Start:")
        .take_while(|line| *line != "Global options:")
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .collect();
    assert!(commands.len() > 15, "{root}");
    for command in commands {
        if command != "sops" {
            let help = test.sealant(&[command, "--help"]).run().ok();
            assert_snapshot!(format!("help_{command}"), help.text());
        }
    }
    assert_snapshot!("help", root);
}

/// What somebody sees who types `sealant` alone: all of it, on a terminal of 80 by 24.
#[test]
fn the_first_screen_has_the_commands_of_every_day() {
    let test = sandbox();
    let short = test.sealant(&["-h"]).run().ok().text().to_owned();
    assert_snapshot!("help_in_short", short);
    assert!(short.lines().count() < 24 && short.lines().all(|line| line.len() <= 80), "{short}");
    assert!(
        short.contains("`sealant help` lists all commands") && short.contains("`sealant demo`"),
        "{short}"
    );
    assert_eq!(test.sealant(&[]).run().code(64).stderr, short);
}

#[test]
fn help_of_a_command_is_its_help() {
    let test = sandbox();
    for command in ["get", "encrypt", "edit", "keygen", "doctor"] {
        let help = test.sealant(&["help", command]).run().ok();
        assert_eq!(help.text(), test.sealant(&[command, "--help"]).run().ok().text());
    }
    assert_eq!(test.sealant(&["help"]).run().ok().text(), test.sealant(&["--help"]).run().ok().text());
}

#[test]
fn exit_codes_are_listed() {
    let test = sandbox();
    assert_snapshot!(test.sealant(&["help", "exit-codes"]).run().ok().text());
}

#[test]
fn version_is_the_packages() {
    let version = |word: &str| sandbox().sealant(&[word]).run().ok().text().to_owned();
    assert_eq!(version("-V"), concat!("sealant ", env!("CARGO_PKG_VERSION"), "\n"));
    let long = version("--version");
    assert!(long.starts_with(&version("-V")), "{long}");
    for line in ["commit: ", "platform: ", "keys: age, "] {
        assert!(long.contains(&format!("\n{line}")), "{long}");
    }
    assert_eq!(version("version"), long);
}
