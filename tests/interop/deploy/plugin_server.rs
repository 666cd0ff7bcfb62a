//! `deploy/argocd/plugin.yaml` in Argo CD's real plugin server, asked by Argo CD's own client.

use std::thread;
use std::time::{Duration, Instant};

use sealant_test_support::{Output, PluginServer, Sandbox};
use serde_json::Value;

use super::*;

const PLUGIN: &str = include_str!("../../../deploy/argocd/plugin.yaml");

fn server(env: &[(&str, &str)]) -> PluginServer {
    PluginServer::start(PLUGIN, sealant(), env)
}

/// The plugin with arguments.
fn with_args(args: &str) -> String {
    assert!(PLUGIN.contains("args: []"));
    PLUGIN.replace("args: []", &format!("args: [{args}]"))
}

/// The objects that Argo CD got.
fn manifests(output: &Output) -> Vec<Value> {
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let objects = answer["manifests"].as_array().into_iter().flatten();
    objects.map(|object| serde_json::from_str(object.as_str().unwrap()).unwrap()).collect()
}

fn names(output: &Output) -> Vec<String> {
    let name = |object: &Value| {
        format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
    };
    manifests(output).iter().map(name).collect()
}

/// A repository with an application of each kind.
fn repository_of_all() -> Sandbox {
    let test = repository();
    sealed(&test, "folder/sealed.yaml", "db", "strict");
    test.write("folder/map.yaml", config_map("folder"));
    sealed(&test, "kustomize/base/sealed.yaml", "db", "strict");
    test.write("kustomize/base/kustomization.yaml", "resources: [sealed.yaml]\n");
    test.write(
        "kustomize/prod/kustomization.yaml",
        "resources: [../base]\nconfigMapGenerator: [{name: m, literals: [a=b]}]\n",
    );
    sealed(&test, "chart/templates/sealed.yaml", "db", "strict");
    test.write("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 1.0.0\n");
    test.write(
        "chart/templates/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\n",
    );
    test.write("plain/map.yaml", config_map("plain"));
    sops_secret(&test, "encrypted/db.yaml", "db");
    test
}

#[test]
fn applications_of_each_kind_are_generated_without_a_key() {
    let test = repository_of_all();
    let server = server(&[]);
    let ask = |question: &str, app: &str, env: &[&str]| server.ask(question, &test.path(""), app, env).run();
    let generate = |app: &str| names(&ask("generate", app, &["ARGOCD_APP_NAME=shop"]).ok());
    assert_eq!(generate("folder"), ["ConfigMap folder", "SealedSecret db"]);
    assert_eq!(generate("chart"), ["ConfigMap shop", "SealedSecret db"]);
    let built = generate("kustomize/prod");
    assert!(built[0].starts_with("ConfigMap m-") && built[1..] == ["SealedSecret db"], "{built:?}");
    // What it got is what was sealed, to the letter.
    let text = test.read_text("folder/sealed.yaml");
    let sealed = manifests(&ask("generate", "folder", &[]).ok()).pop().unwrap();
    let item = sealed["spec"]["encryptedData"]["password"].as_str().unwrap();
    assert!(text.contains(item));

    let supported = |app: &str| {
        let answer: Value = serde_json::from_slice(&ask("match", app, &[]).ok().stdout).unwrap();
        answer["isSupported"] == true
    };
    assert_eq!(["folder", "chart", "encrypted", "plain"].map(supported), [true, true, true, false]);
    let announced = ask("parameters", "chart", &[]).ok();
    let answer: Value = serde_json::from_slice(&announced.stdout).unwrap();
    let names = answer["parameterAnnouncements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["source", "release-name", "value-files"]);

    refused(ask("generate", "encrypted", &[]), "Seal it, and commit the result in its place");
    test.write("empty/x", "");
    refused(ask("generate", "empty", &[]), "it holds no Kubernetes objects");
}

#[test]
fn nothing_that_an_application_says_makes_it_decrypt() {
    let test = repository_of_all();
    // A sidecar that has a key, though it needs none.
    let server = server(&[("SOPS_AGE_KEY", IDENTITY)]);
    let hostile = [
        "PARAM_DECRYPT=true",
        "ARGOCD_ENV_DECRYPT=true",
        "ARGOCD_ENV_SOPS_AGE_KEY=x",
        "ARGOCD_ENV_ARGS=--decrypt",
        "PARAM_KUSTOMIZE_ARG=--enable-exec",
    ];
    refused(server.ask("generate", &test.path(""), "encrypted", &hostile).run(), "is encrypted with sops");
    let parameter = r#"ARGOCD_APP_PARAMETERS=[{"name":"decrypt","string":"true"}]"#;
    refused(server.ask("generate", &test.path(""), "encrypted", &[parameter]).run(), "there is no parameter");
    let outside =
        r#"ARGOCD_APP_PARAMETERS=[{"name":"value-files","array":["../../../../../../etc/hostname"]}]"#;
    let output = server.ask("generate", &test.path(""), "chart", &[outside]).run();
    assert!(output.status != 0 && output.stdout.is_empty(), "{output}");
    // Not in what it logs, either, which at this level is all that was printed.
    let log = server.log();
    assert!(log.contains("is encrypted with sops"), "{log}");
    assert!(!log.contains(PLANTED) && !log.contains(IDENTITY), "{log}");
}

#[test]
fn plaintext_is_generated_where_the_plugin_says_so() {
    let test = repository_of_all();
    let server = PluginServer::start(&with_args("--decrypt"), sealant(), &[("SOPS_AGE_KEY", IDENTITY)]);
    let output = server.ask("generate", &test.path(""), "encrypted", &[]).run().ok();
    assert_eq!(manifests(&output)[0]["stringData"]["password"], format!("{PLANTED}-db"));
    assert!(server.log().contains("warning: --decrypt: Argo CD gets plaintext"), "it is told in the log");
}

#[test]
fn twenty_at_a_time_get_each_their_own() {
    let server = server(&[]);
    let sandboxes: Vec<Sandbox> = (0..20)
        .map(|number| {
            let test = repository();
            let name = format!("app-{number}");
            match number % 3 {
                0 => test.write("app/map.yaml", config_map(&name)),
                1 => test.write("app/kustomization.yaml", format!("configMapGenerator: [{{name: {name}, literals: [a=b], options: {{disableNameSuffixHash: true}}}}]\n")),
                _ => {
                    test.write("app/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 1.0.0\n");
                    test.write("app/templates/map.yaml", config_map("{{ .Release.Name }}"));
                }
            }
            test
        })
        .collect();
    thread::scope(|scope| {
        let asked: Vec<_> = sandboxes
            .iter()
            .enumerate()
            .map(|(number, test)| {
                let server = &server;
                scope.spawn(move || {
                    let name = format!("ARGOCD_APP_NAME=app-{number}");
                    server.ask("generate", &test.path(""), "app", &[&name]).run().ok()
                })
            })
            .collect();
        for (number, asked) in asked.into_iter().enumerate() {
            assert_eq!(names(&asked.join().unwrap()), [format!("ConfigMap app-{number}")]);
        }
    });
}

#[test]
fn a_request_that_is_given_up_ends_and_leaves_nothing() {
    let test = repository_of_all();
    sops_encrypted(&test, "chart/values.yaml", format!("a: {PLANTED}\n"), &[]);
    // A helm that hangs with decrypted values in its hands, and tells where it got them.
    let hangs = "#!/bin/sh\nfor arg; do case $arg in --values=*) path=${arg#--values=};; esac; done\n\
                 cat \"$path\" > \"$HOME/values\"\necho \"$path\" > \"$HOME/new\"\nmv \"$HOME/new\" \"$HOME/path\"\nexec sleep 600\n";
    test.write("slow/helm", hangs);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(test.path("slow/helm"), mode).unwrap();
    let command = "[sh, -c, 'PATH=$SLOW:$PATH exec sealant argocd generate \"$@\"', sealant]";
    let plugin = with_args("--decrypt").replace("[sealant, argocd, generate]", command);
    let slow = test.path("slow").display().to_string();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let runtime = memory.path().display().to_string();
    let env = [("SOPS_AGE_KEY", IDENTITY), ("SLOW", &slow), ("XDG_RUNTIME_DIR", &runtime)];
    let server = PluginServer::start(&plugin, sealant(), &env);
    let home = server.tmp().parent().unwrap().to_owned();

    // The repo-server's time is up, and it goes. The plugin server kills the plugin, which cannot tidy up.
    let ask = server.ask("generate", &test.path(""), "chart", &[]).to_string().replace("$ ", "");
    let script = format!("{ask} & until [ -e \"$1/path\" ]; do sleep 0.05; done; kill $!; wait $! || true");
    test.program("sh", &["-c", &script, "sh", home.to_str().unwrap()]).run().ok();
    wait_for(|| server.log().contains("finished call"));
    assert!(std::fs::read_to_string(home.join("values")).unwrap().contains(PLANTED), "helm had the values");
    let path = std::fs::read_to_string(home.join("path")).unwrap();
    assert!(path.starts_with(&runtime), "{path}");
    for entry in walkdir::WalkDir::new(memory.path()) {
        let entry = entry.unwrap();
        assert!(!entry.file_type().is_file(), "{} is left", entry.path().display());
    }
    assert!(!server.log().contains(PLANTED));
}

#[test]
fn a_plugin_that_is_told_to_stop_stops_its_programs_and_leaves_nothing() {
    let test = repository_of_all();
    sops_encrypted(&test, "chart/values.yaml", format!("a: {PLANTED}\n"), &[]);
    test.write("slow/helm", "#!/bin/sh\necho $$ > new\nmv new pid\nexec sleep 600\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(test.path("slow/helm"), mode).unwrap();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let slow = test.path("slow").display().to_string();
    // Only ours gets the signal.
    let script = format!(
        "PATH={slow}:$PATH; cd chart; '{}' argocd generate --decrypt & until [ -e pid ]; do sleep 0.05; done; kill $!; code=0; wait $! || code=$?; \
         kill -0 $(cat pid) 2> /dev/null && exit 99; exit $code",
        sealant().display()
    );
    let run = test
        .program("sh", &["-c", &script])
        .env("SOPS_AGE_KEY", IDENTITY)
        .env("XDG_RUNTIME_DIR", memory.path());
    let output = run.run().code(143);
    assert!(output.stdout.is_empty() && !output.stderr.contains(PLANTED), "{output}");
    assert_eq!(memory.path().read_dir().unwrap().count(), 0);
}

/// Waits for what is about to happen.
fn wait_for(happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < deadline, "it does not happen");
        thread::sleep(Duration::from_millis(20));
    }
}
