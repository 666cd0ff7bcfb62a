//! `release/install.sh`, on a release that holds a stand-in for the program: `make test-release` installs the real one.

use std::path::{Path, PathBuf};

use sealant_test_support::{Output, Sandbox};

use super::sandbox;

const ARCHIVE: &str = "dist/sealant-0.1.0-x86_64-linux.tar.gz";

fn release(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("release").join(file)
}

fn sh(test: &Sandbox, command: &str) -> Output {
    // This machine, whatever it is, is one that there is an archive for.
    let command = format!("uname() {{ if [ $1 = -s ]; then echo Linux; else echo x86_64; fi; }}; {command}");
    test.program("sh", &["-euc", &command]).env("TMPDIR", test.tmp()).run()
}

/// Makes a release of the program and these other files.
fn make_release(test: &Sandbox, others: &[&str]) {
    let root = ARCHIVE.strip_suffix(".tar.gz").expect("an archive");
    test.write(format!("{root}/bin/sealant"), "#!/bin/sh\necho sealant 0.1.0\n");
    for other in others {
        test.write(format!("{root}/{other}"), "a page\n");
    }
    let name = Path::new(root).file_name().expect("a name").display();
    let pack = format!("chmod +x {root}/bin/sealant; tar -czf {ARCHIVE} -C dist {name}; rm -r {root}");
    sh(test, &pack).ok();
    test.program(release("pin"), &["dist"]).run().ok();
}

fn install(test: &Sandbox, options: &str) -> Output {
    sh(test, &format!("set -- {options}; . dist/install.sh"))
}

/// All files below a folder, hidden ones too.
fn files(test: &Sandbox, folder: &str) -> Vec<String> {
    let found = sh(test, &format!("cd {folder} && find . -type f | sort")).ok();
    found.text().lines().map(str::to_owned).collect()
}

#[test]
fn it_installs_upgrades_and_removes_for_one_user() {
    let test = sandbox();
    let home = test.home(".local").display().to_string();
    make_release(&test, &["share/man/man1/sealant.1", "share/man/man1/sealant-old.1"]);
    test.write(test.home(".local/bin/other"), "theirs");
    let output = install(&test, "--from dist").ok();
    let said = output.text();
    assert!(said.starts_with(&format!("Installed sealant 0.1.0: {home}/bin/sealant\nVerified: ")), "{said}");
    assert!(said.contains(&format!("export PATH=\"{home}/bin:$PATH\"")), "{said}");
    let program = test.program(test.home(".local/bin/sealant"), &["--version"]).run().ok();
    assert_eq!(program.text(), "sealant 0.1.0\n");

    make_release(&test, &["share/man/man1/sealant.1", "share/doc/sealant/LICENSE-MIT"]);
    install(&test, "--from dist").ok();
    let installed = [
        "./bin/other",
        "./bin/sealant",
        "./share/doc/sealant/LICENSE-MIT",
        "./share/man/man1/sealant.1",
        "./share/sealant/installed",
    ];
    assert_eq!(files(&test, &home), installed);

    install(&test, "--uninstall").ok();
    assert_eq!(files(&test, &home), ["./bin/other"]);
    let nothing = install(&test, "--uninstall").code(1);
    assert!(nothing.stderr.contains("nothing is installed in"), "{nothing}");
}

#[test]
fn an_archive_that_differs_is_not_installed() {
    let test = sandbox();
    make_release(&test, &[]);
    let archive = test.read(ARCHIVE);
    for changed in [[&archive[..], b"x"].concat(), archive[1..].to_vec(), Vec::new()] {
        test.write(ARCHIVE, changed);
        // Sums that come with it are a claim of whoever has changed it.
        sh(&test, "cd dist; sha256sum *.tar.gz > SHA256SUMS").ok();
        let refused = install(&test, "--from dist --to here").code(1);
        assert!(refused.stderr.contains("is not the one of this release: its SHA-256 is\n"), "{refused}");
        assert!(refused.stderr.contains("Nothing was installed."), "{refused}");
        assert_eq!(files(&test, "here"), [""; 0]);
    }
}

#[test]
fn what_cannot_be_verified_or_run_is_not_installed() {
    let test = sandbox();
    make_release(&test, &[]);
    for (options, error) in [
        ("--from nowhere", "nowhere/sealant-0.1.0-x86_64-linux.tar.gz cannot be read"),
        ("--from http://example.com", "http://example.com is not an address with https://"),
        ("--form dist", "there is no option --form"),
        ("--from", "--from takes a value"),
    ] {
        let refused = install(&test, &format!("{options} --to here")).code(1);
        let refused = if options == "--from" { install(&test, options).code(1) } else { refused };
        assert!(refused.stderr.contains(error), "{refused}");
        assert!(!test.path("here/bin/sealant").exists(), "{options}");
    }
    let unsigned = install(&test, "--from dist --to here --require-signature").code(1);
    assert!(
        unsigned.stderr.contains("Without --require-signature, the SHA-256 alone is verified."),
        "{unsigned}"
    );
    assert_eq!(files(&test, "here"), [""; 0]);
    let elsewhere = sh(&test, "uname() { echo Plan9; }; . dist/install.sh").code(1);
    assert!(
        elsewhere.stderr.contains("there is no program for Plan9 on Plan9 in this release"),
        "{elsewhere}"
    );
    let checkout = test.program("sh", &[&release("install.sh").display().to_string()]).run().code(1);
    assert!(checkout.stderr.contains("sh dist/install.sh --from dist"), "{checkout}");
}

/// `cosign` is a stand-in for one that accepts everything; `release/test-verify` has the real one.
#[test]
fn a_signature_of_another_release_is_not_one_of_this() {
    let test = sandbox();
    make_release(&test, &[]);
    test.write("cosign", "#!/bin/sh\nprintf '%s\\n' \"$@\" > asked\n");
    test.write("dist/SHA256SUMS.sigstore.json", "{}");
    let script = "chmod +x cosign; PATH=$PWD:$PATH; set -- --from dist --to here --require-signature; . dist/install.sh";
    let output = sh(&test, script).ok();
    let signer = format!("{}/.github/workflows/release.yml@refs/tags/v0.1.0", env!("CARGO_PKG_REPOSITORY"));
    assert!(output.text().contains(&format!("and it was signed by {signer}.\n")), "{output}");
    let asked = test.read_text("asked");
    let issuer = "https://token.actions.githubusercontent.com";
    assert!(
        asked.contains(&format!("--certificate-identity\n{signer}\n--certificate-oidc-issuer\n{issuer}\n")),
        "{asked}"
    );
    sh(&test, "sed -i s/^./x/ dist/SHA256SUMS; rm -r here").ok();
    let refused = sh(&test, script).code(1);
    assert!(refused.stderr.contains("what was signed is another release"), "{refused}");
    test.write("cosign", "#!/bin/sh\necho no matching signatures >&2\nexit 1\n");
    let refused = sh(&test, script).code(1);
    assert!(refused.stderr.contains("of SHA256SUMS from dist:\nno matching signatures\n"), "{refused}");
    assert_eq!(files(&test, "here"), [""; 0]);
}

#[test]
fn package_managers_get_the_sums_of_the_archives() {
    let test = sandbox();
    let other = "dist/sealant-0.1.0-aarch64-linux.tar.gz";
    let zip = "dist/sealant-0.1.0-x86_64-windows.zip";
    test.write(other, "for aarch64");
    test.write(zip, "for Windows");
    make_release(&test, &[]);
    let sums = test.read_text("dist/SHA256SUMS");
    let sum_of = |archive: &str| {
        let line = sums.lines().find(|line| archive.ends_with(&line[66..])).expect("a sum");
        line[..64].to_owned()
    };
    for file in ["sealant.rb", "flake.nix"] {
        let text = test.read_text(format!("dist/{file}"));
        let server = format!("{}/releases/download/v0.1.0/sealant-", env!("CARGO_PKG_REPOSITORY"));
        assert!(text.contains(&server) && !text.contains('@'), "{text}");
        for archive in [ARCHIVE, other] {
            assert!(text.contains(&format!("\"{}\"", sum_of(archive))), "{archive}: {text}");
        }
        assert!(sums.contains(file), "{sums}");
    }
    for file in ["sealant.json", "Sealant.Sealant.installer.yaml"] {
        let text = test.read_text(format!("dist/{file}"));
        let name = zip.strip_prefix("dist/").expect("a folder");
        let address = format!("{}/releases/download/v0.1.0/{name}", env!("CARGO_PKG_REPOSITORY"));
        assert!(text.contains(&address) && text.contains(&sum_of(zip)) && !text.contains('@'), "{text}");
        assert!(sums.contains(file), "{sums}");
    }
}

/// What `cargo binstall` makes of `Cargo.toml` has to be the name of an archive, and of the program in it.
#[test]
fn cargo_binstall_finds_the_archives() {
    let manifest = include_str!("../../Cargo.toml");
    let value = |key: &str| {
        let line = manifest.lines().find(|line| line.starts_with(key)).expect("a key");
        let value = line.split('"').nth(1).expect("a text");
        [
            ("repo", env!("CARGO_PKG_REPOSITORY")),
            ("version", "0.1.0"),
            ("target-arch", "x86_64"),
            ("bin", "sealant"),
        ]
        .into_iter()
        .fold(value.to_owned(), |value, (name, is)| value.replace(&format!("{{ {name} }}"), is))
    };
    let archive = ARCHIVE.strip_prefix("dist/").expect("a folder");
    let address = format!("{}/releases/download/v0.1.0/{archive}", env!("CARGO_PKG_REPOSITORY"));
    assert_eq!(value("pkg-url"), address);
    assert_eq!(value("bin-dir"), format!("{}/bin/sealant", archive.strip_suffix(".tar.gz").expect("a name")));
}

#[test]
fn it_downloads_only_from_a_server_that_it_can_trust() {
    let test = sandbox();
    make_release(&test, &[]);
    let script = r#"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout key -out cert \
            -subj /CN=localhost -addext subjectAltName=DNS:localhost 2> said
        openssl s_server -accept 127.0.0.1:0 -cert cert -key key -WWW > said 2>&1 < /dev/null &
        trap "kill $!" EXIT
        for _ in $(seq 100); do
            port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' said)
            [ -z "$port" ] || break
            sleep 0.1
        done
        from=https://localhost:$port/dist
        if (set -- --from "$from" --to strange; . dist/install.sh); then exit 2; fi
        (export CURL_CA_BUNDLE=$PWD/cert; set -- --from "$from" --to known; . dist/install.sh)
        if (export CURL_CA_BUNDLE=$PWD/cert; set -- --from "$from/none" --to none; . dist/install.sh); then exit 2; fi
    "#;
    let output = sh(&test, script).ok();
    assert!(output.text().starts_with("Installed sealant 0.1.0: "), "{output}");
    assert!(output.stderr.contains("x86_64-linux.tar.gz cannot be downloaded"), "{output}");
    // This server says in a page that there is no such file.
    assert!(output.stderr.contains("/none is not the one of this release: its SHA-256 is\n"), "{output}");
    let program = test.program(test.path("known/bin/sealant"), &["--version"]).run().ok();
    assert_eq!(program.text(), "sealant 0.1.0\n");
    assert!(!test.path("strange/bin").exists() && !test.path("none/bin").exists());
}
