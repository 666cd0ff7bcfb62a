//! What a user of the command line sees: help, messages, exit codes, files.

mod cli {
    mod doctor;
    mod explain;
    mod help;
    mod init;
    mod keygen;
    mod prompts;
    mod shell;
    mod sops;
    mod usage;

    use sealant_test_support::Sandbox;

    fn sandbox() -> Sandbox {
        Sandbox::new(env!("CARGO_BIN_EXE_sealant"))
    }

    /// A text in which the folders of the test have names that do not change.
    fn shown(test: &Sandbox, text: &str) -> String {
        let [work, home] = [test.path("file"), test.home("file")]
            .map(|folder| folder.parent().expect("a folder in the sandbox").display().to_string());
        text.replace(&work, "WORK").replace(&home, "HOME")
    }

    /// An identity and its recipient.
    const IDENTITY: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";
    const RECIPIENT: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";
    const STRANGER: &str = "age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd";
    const KEYS_TXT: &str = ".config/sops/age/keys.txt";
}
