//! The plugin of `deploy/helm-plugin` in the real Helm. `docs/helm.md` is run beside it.

use std::path::Path;

use sealant_test_support::{Output, Peers, Run, Sandbox};

const PASSWORD: &str = "planted-correct-horse";

struct Chart {
    test: Sandbox,
}

impl Chart {
    fn new() -> Self {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        let identity = test.home(".config/sops/age/keys.txt").display().to_string();
        test.sealant(&["init"]).run().ok();
        let recipient = test.sealant(&["keygen", "-y", &identity]).run().ok();
        test.write(".sops.yaml", format!("creation_rules: [{{age: {}}}]\n", recipient.text().trim()));
        test.write("shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n");
        let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\n\
                        data: {password: {{ .Values.password | quote }}, port: {{ .Values.port | quote }}}\n";
        test.write("shop/templates/map.yaml", template);
        let chart = Self { test };
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm-plugin");
        chart.helm(&["plugin", "install"]).arg(plugin).run().ok();
        chart
    }

    fn helm(&self, args: &[&str]) -> Run {
        let run = self.test.program(Peers::get().program("helm"), args).with_peers();
        run.env("SEALANT", env!("CARGO_BIN_EXE_sealant"))
    }

    fn template(&self, values: &str) -> Output {
        self.helm(&["template", "db", "shop", "--values", values]).run()
    }

    fn encrypt(&self, file: &str, text: &str) {
        self.test.write(file, text);
        self.test.sealant(&["encrypt", "-i", file]).run().ok();
    }
}

#[test]
fn values_of_any_name_and_format_reach_the_chart() {
    let chart = Chart::new();
    let values = format!("password: {PASSWORD}\nport: 5432\n");
    let absolute = chart.test.path("values.yaml").display().to_string();
    for (file, address) in [
        ("values.yaml", "values.yaml"),
        ("values.yaml", &*absolute),
        ("with space.yaml", "./with space.yaml"),
        ("per cent%20.yaml", "./per cent%20.yaml"),
        ("folder/-values.yaml", "folder/-values.yaml"),
    ] {
        chart.encrypt(file, &values);
        let rendered = chart.template(&format!("sealant://{address}")).ok();
        let expected = format!(r#"data: {{password: "{PASSWORD}", port: "5432"}}"#);
        assert!(rendered.text().contains(&expected), "{file}: {rendered}");
        std::fs::remove_file(chart.test.path(file)).unwrap();
    }
    // As helm-secrets encrypts and reads them: as YAML, whatever the name says.
    let key = chart.test.home(".config/sops/age/keys.txt");
    let recipient = chart.test.sealant(&["keygen", "-y"]).arg(&key).run().ok().text().trim().to_owned();
    for file in
        ["secrets.yaml.enc", "secrets", "values.yaml.gotmpl", "values.txt", "values.env", "values.ini"]
    {
        chart.test.write("plain.yaml", &values);
        let args =
            ["encrypt", "--age", &recipient, "--input-type", "yaml", "--output-type", "yaml", "plain.yaml"];
        chart.test.write(file, chart.test.sops(&args).run().ok().stdout);
        let rendered = chart.template(&format!("sealant://{file}")).ok();
        assert!(rendered.text().contains(PASSWORD), "{file}: {rendered}");
        chart.test.write(file, &values);
        chart.test.sealant(&["encrypt", "-i", "--age", &recipient, "--input-type", "yaml", file]).run().ok();
        let rendered = chart.template(&format!("sealant://{file}")).ok();
        assert!(rendered.text().contains(PASSWORD), "{file}: {rendered}");
    }
    // Encrypted as what the name says, which is bytes: they are YAML to Helm.
    chart.encrypt("values.tpl", &values);
    let rendered = chart.template("sealant://values.tpl").ok();
    assert!(rendered.text().contains(PASSWORD), "{rendered}");
    chart.encrypt("values.json", &format!(r#"{{"password": "{PASSWORD}", "port": 5432}}"#));
    let rendered = chart.template("sealant://values.json").ok();
    assert!(rendered.text().contains(PASSWORD), "{rendered}");
    assert!(!rendered.stderr.contains(PASSWORD), "{rendered}");
}

#[test]
fn what_cannot_be_opened_renders_nothing() {
    let chart = Chart::new();
    let values = format!("password: {PASSWORD}\nport: 5432\n");
    chart.test.write("plain.yaml", &values);
    chart.encrypt("tampered.yaml", &values);
    let text = chart.test.read_text("tampered.yaml");
    let port = text.lines().find(|line| line.starts_with("port:")).unwrap();
    chart.test.write("tampered.yaml", text.replace(&format!("{port}\n"), ""));
    chart.test.sealant(&["keygen", "-o", "stranger.txt"]).run().ok();
    let recipient = chart.test.sealant(&["keygen", "-y", "stranger.txt"]).run().ok();
    let foreign = chart.test.sealant(&["encrypt", "--age", recipient.text().trim(), "plain.yaml"]).run().ok();
    chart.test.write("foreign.yaml", foreign.text());
    chart.test.write(
        "secret.yaml",
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: b}}\nstringData: {{password: {PASSWORD}}}\n"),
    );
    let sealed = chart.test.sealant(&["seal", "--age", recipient.text().trim(), "secret.yaml"]).run().ok();
    chart.test.write("sealed.yaml", sealed.text());

    for (file, reason) in [
        ("plain.yaml", "the file is not encrypted"),
        ("tampered.yaml", "MAC"),
        ("foreign.yaml", "stranger"),
        ("sealed.yaml", "sealant unseal"),
        ("missing.yaml", "no such file"),
    ] {
        let rendered = chart.template(&format!("sealant://{file}")).code(1);
        let reason = reason.replace("stranger", recipient.text().trim());
        assert!(rendered.stderr.contains(&reason), "{file}: {rendered}");
        assert_eq!(rendered.text(), "", "{file}");
        assert!(!rendered.stderr.contains(PASSWORD), "{file}: {rendered}");
    }
}
