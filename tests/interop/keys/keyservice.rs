//! Key services, ours and that of the real sops, each with both programs as its clients.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sealant_test_support::{Bao, Moto, Peers, Run, Sandbox};

use super::{PLAIN, sandbox, with, x25519};

/// A key service on a socket, until it is dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(program: &Path, socket: &Path, env: &[(&str, String)]) -> Served {
    let _ = std::fs::remove_file(socket);
    let mut command = Command::new(program);
    command.args(["keyservice", "--network", "unix", "--address"]).arg(socket);
    command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let served = Served(command.spawn().expect("the key service starts"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while UnixStream::connect(socket).is_err() {
        assert!(Instant::now() < deadline, "nobody listens at {}", socket.display());
        thread::sleep(Duration::from_millis(20));
    }
    served
}

/// Both programs, asking the service alone.
fn clients(test: &Sandbox, address: &str, args: &[&str]) -> [Run; 2] {
    let flags = ["--enable-local-keyservice=false", "--keyservice", address];
    let args = [&args[..1], &flags, &args[1..]].concat();
    [test.sealant(&args).called_as("sops"), test.sops(&args)]
}

#[test]
fn each_serves_the_other_with_every_kind_that_it_has() {
    let (test, bao, moto) = (sandbox(), Bao::start(), Moto::start());
    let [me] = x25519(&test);
    bao.transit_key("transit", "k");
    let arn = moto.key("eu-west-1");
    let env = [
        ("HOME", test.home("").display().to_string()),
        ("SOPS_AGE_KEY", me.secret.clone()),
        ("VAULT_ADDR", bao.address().to_owned()),
        ("VAULT_TOKEN", bao.root_token().to_owned()),
        ("AWS_ENDPOINT_URL", moto.address()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ];
    let transit = format!("{}/v1/transit/keys/k", bao.address());
    let kinds: [&[&str]; 3] = [
        &["--age", &me.recipient],
        &["--hc-vault-transit", &transit],
        &["--kms", &arn, "--encryption-context", "a:1"],
    ];
    let socket = test.path("keys.sock");
    let address = format!("unix://{}", socket.display());
    let programs = [Path::new(env!("CARGO_BIN_EXE_sealant")).to_owned(), Peers::get().program("sops")];
    test.write("a.yaml", PLAIN);
    for program in programs {
        let _served = serve(&program, &socket, &env);
        for kind in kinds {
            for encrypt in clients(&test, &address, &[&["encrypt"], kind, &["a.yaml"]].concat()) {
                test.write("e.yaml", encrypt.run().ok().stdout);
                for decrypt in clients(&test, &address, &["decrypt", "e.yaml"]) {
                    assert_eq!(decrypt.run().ok().text(), PLAIN, "{kind:?}");
                }
            }
        }
        // By our own name the variable counts, and what this machine opens is not asked for.
        let ours = test.sealant(&["decrypt", "e.yaml"]).env("SOPS_KEYSERVICE", &address).run().ok();
        assert_eq!(ours.text(), PLAIN);
    }
}

#[test]
fn a_service_that_is_not_there_or_does_not_help_is_named() {
    let test = sandbox();
    let [me, other] = x25519(&test);
    test.write("a.yaml", PLAIN);
    test.sops(&["encrypt", "-i", "--age", &me.recipient, "a.yaml"]).run().ok();
    let nowhere = "tcp://127.0.0.1:1";
    for decrypt in clients(&test, nowhere, &["decrypt", "a.yaml"]) {
        decrypt.run().code(128);
    }
    let [ours, _] = clients(&test, nowhere, &["decrypt", "a.yaml"]);
    let output = ours.run().code(128);
    assert!(output.stderr.contains(nowhere), "{output}");
    // The keys of this machine come first.
    for run in [test.sealant(&["decrypt", "a.yaml"]), test.sops(&["decrypt", "a.yaml"])] {
        assert_eq!(with(run, &[&me]).env("SOPS_KEYSERVICE", nowhere).run().ok().text(), PLAIN);
    }

    let socket = test.path("keys.sock");
    let address = format!("unix://{}", socket.display());
    let env = [("HOME", test.home("").display().to_string()), ("SOPS_AGE_KEY", other.secret.clone())];
    let _served = serve(Path::new(env!("CARGO_BIN_EXE_sealant")), &socket, &env);
    let mode = std::fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    for decrypt in clients(&test, &address, &["decrypt", "a.yaml"]) {
        let output = decrypt.run().code(128);
        assert!(!output.stderr.contains(&other.secret), "{output}");
    }
    let wrong = test.sealant(&["decrypt", "a.yaml"]).env("SOPS_KEYSERVICE", "nonsense").run().code(1);
    assert!(wrong.stderr.contains("is not the address of a key service"), "{wrong}");
}

/// A file for one recipient, and a service with its identity and these flags on a socket.
fn with_file(test: &Sandbox) -> (std::path::PathBuf, String, String) {
    let [me] = x25519(test);
    test.write("a.yaml", PLAIN);
    test.sops(&["encrypt", "-i", "--age", &me.recipient, "a.yaml"]).run().ok();
    let socket = test.path("keys.sock");
    let address = format!("unix://{}", socket.display());
    (socket, address, me.secret)
}

#[test]
fn each_request_is_done_when_its_owner_says_so() {
    let test = sandbox();
    let (socket, address, secret) = with_file(&test);
    let flags = ["keyservice", "--network", "unix", "--prompt", "--address"];
    let run = test.sealant(&flags).arg(&socket).env("SOPS_AGE_KEY", &secret);
    let mut terminal = run.on_terminal();
    terminal.wait_for("listening on");
    for (answer, code) in [("y", 0), ("n", 128), ("", 128)] {
        for client in clients(&test, &address, &["decrypt", "a.yaml"]) {
            let output = thread::scope(|scope| {
                let asking = scope.spawn(|| client.run());
                terminal.wait_for("Received a request to decrypt with age1");
                terminal.wait_for("[y/N] ");
                terminal.send_line(answer);
                asking.join().expect("a client")
            });
            let output = output.code(code);
            assert_eq!(output.text(), if code == 0 { PLAIN } else { "" });
        }
    }
    terminal.send("\x03");
    let shown = terminal.finish().ok().text().to_owned();
    assert!(!shown.contains("hunter2") && !shown.contains(&secret), "{shown}");
    assert!(!socket.exists());
}

#[test]
fn a_message_that_is_too_long_is_refused_and_others_are_served() {
    let test = sandbox();
    let (socket, address, secret) = with_file(&test);
    let env = [("HOME", test.home("").display().to_string()), ("SOPS_AGE_KEY", secret)];
    let _served = serve(Path::new(env!("CARGO_BIN_EXE_sealant")), &socket, &env);
    let padding = format!("{}\n", "            ".to_owned() + &"A".repeat(64)).repeat(20_000);
    let text = test.read_text("a.yaml");
    let at = text.find("-----END AGE").expect("a file of age");
    let at = text[..at].rfind('\n').expect("a line") + 1;
    test.write("long.yaml", format!("{}{padding}{}", &text[..at], &text[at..]));
    for client in clients(&test, &address, &["decrypt", "long.yaml"]) {
        client.run().code(128);
    }
    for client in clients(&test, &address, &["decrypt", "a.yaml"]) {
        assert_eq!(client.run().ok().text(), PLAIN);
    }
}

#[test]
fn only_so_many_others_are_connected() {
    let test = sandbox();
    let (socket, address, secret) = with_file(&test);
    let env = [("HOME", test.home("").display().to_string()), ("SOPS_AGE_KEY", secret)];
    let _served = serve(Path::new(env!("CARGO_BIN_EXE_sealant")), &socket, &env);
    let connect = || UnixStream::connect(&socket).expect("a connection");
    let is_closed = |stream: &UnixStream| {
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        // A server speaks first.
        matches!((&mut &*stream).read(&mut [0; 64]), Ok(0) | Err(_))
            && matches!((&mut &*stream).read(&mut [0; 64]), Ok(0))
    };
    let idle: Vec<_> = (0..200).map(|_| connect()).collect();
    let closed = idle.iter().filter(|stream| is_closed(stream)).count();
    assert!((200 - 64..200).contains(&closed), "{closed} of 200 are closed");
    let [ours, _] = clients(&test, &address, &["decrypt", "a.yaml"]);
    ours.run().code(128);
    drop(idle);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let [ours, theirs] = clients(&test, &address, &["decrypt", "a.yaml"]);
        if ours.run().text() == PLAIN {
            assert_eq!(theirs.run().ok().text(), PLAIN);
            break;
        }
        assert!(Instant::now() < deadline, "places are not given back");
        thread::sleep(Duration::from_millis(100));
    }
}
