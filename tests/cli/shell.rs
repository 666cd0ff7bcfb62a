use super::sandbox;

#[test]
fn every_shell_has_a_script_that_knows_the_commands() {
    let test = sandbox();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = test.sealant(&["completion", shell]).run().ok();
        assert!(script.text().contains("updatekeys"), "{shell}");
    }
    let bash = test.sealant(&["completion", "bash"]).run().ok();
    test.program("bash", &["-n"]).stdin(bash.stdout).run().ok();
}

#[test]
fn every_command_has_a_page() {
    let test = sandbox();
    test.sealant(&["man", "--dir", "man/man1"]).run().ok();
    let page = test.read_text("man/man1/sealant-encrypt.1");
    assert_eq!(page, test.sealant(&["man", "encrypt"]).run().ok().text());
    assert!(page.contains(".TH sealant-encrypt 1") && page.contains(".SH EXAMPLES\n.nf\n"), "{page}");
    assert!(test.read_text("man/man1/sealant.1").contains("sealant\\-encrypt(1)"));
}
