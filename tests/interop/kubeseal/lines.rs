//! The lines, and the files that they find.

/// Files beside keys and certificates.
pub const FILES: &[(&str, &str)] = &[
    (
        "secret.yaml",
        "apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: shop
  uid: 5a
  resourceVersion: '7'
  creationTimestamp: '2024-01-01T00:00:00Z'
  labels: {app: x, b: 'yes', n: '5'}
  annotations: {note: 'hi: <there>', kubectl.kubernetes.io/last-applied-configuration: '{}'}
  ownerReferences: [{apiVersion: v1, kind: X, name: y, uid: z}]
  finalizers: [a/b]
type: example.com/x
immutable: true
data: {password: aHVudGVyMg==}
stringData: {user: me}
",
    ),
    ("more.yaml", "metadata: {name: other, namespace: shop, labels: {more: 'yes'}}\nstringData: {token: token}\n"),
    ("empty.yaml", "kind: Secret\nmetadata: {name: a, namespace: x}\n"),
    ("stream.yaml", "kind: Secret\nmetadata: {name: a, namespace: x}\nstringData: {a: b}\n---\n---\nmetadata: {name: b, namespace: x}\ndata: {a: eA==}\n"),
    ("stream.json", "{\"metadata\": {\"name\": \"a\", \"namespace\": \"x\"}, \"stringData\": {\"a\": \"b\"}}\n{\"metadata\": {\"name\": \"b\", \"namespace\": \"x\"}, \"data\": {\"a\": \"eA==\"}}\n"),
    ("wide.yaml", "metadata: {name: a, namespace: x, annotations: {sealedsecrets.bitnami.com/cluster-wide: 'true'}}\nstringData: {a: b}\n"),
    ("old.yaml", "metadata: {name: a, namespace: n}\nstringData: {a: yes, b: 0x10, c: 5}\n"),
    ("nameless.yaml", "stringData: {a: b}\n"),
    ("homeless.yaml", "metadata: {name: a}\nstringData: {a: b}\n"),
    (
        "kubeconfig",
        "apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u, namespace: around}}, {name: d, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {token: t}}]
",
    ),
    ("sealed.json", "{\"apiVersion\": \"bitnami.com/v1alpha1\", \"kind\": \"SealedSecret\", \"metadata\": {\"name\": \"db\", \"namespace\": \"shop\"}, \"spec\": {\"encryptedData\": {\"a\": \"AAAA\"}}}"),
    ("blob.json", "{\"apiVersion\": \"bitnami.com/v1alpha1\", \"kind\": \"SealedSecret\", \"metadata\": {\"name\": \"db\", \"namespace\": \"shop\"}, \"spec\": {\"data\": \"AAAA\", \"encryptedData\": {}}}"),
];

type Line = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const fn line(words: &'static str) -> Line {
    (words, "", &[])
}

const fn with(words: &'static str, input: &'static str) -> Line {
    (words, input, &[])
}

const fn under(words: &'static str, environment: &'static [(&'static str, &'static str)]) -> Line {
    (words, "", environment)
}

/// Words, standard input, and variables.
pub const LINES: &[Line] = &[
    // Words that are flags, and words that are not.
    line("--help"),
    line("-h"),
    line("--bogus"),
    line("--cer key.crt"),
    line("-cert key.crt"),
    line("-z"),
    line("-zx"),
    line("--cert"),
    line("-o"),
    line("--=x"),
    line("---"),
    line("--raw=x"),
    line("--raw=T --cert key.crt --scope cluster-wide"),
    line("--scope x"),
    line("--scope strict --scope cluster-wide --cert key.crt -f secret.yaml"),
    line("--v=x"),
    line("-v x"),
    line("-v 4 --cert key.crt -f secret.yaml"),
    line("--logtostderr --add_dir_header --cert key.crt -f secret.yaml"),
    line("--logtostderr=x"),
    line("--log_file_max_size=x"),
    line("--log_file_max_size=5 --cert key.crt -f secret.yaml"),
    line("--stderrthreshold=x"),
    line("--stderrthreshold=INFO --cert key.crt -f secret.yaml"),
    line("--vmodule=x"),
    line("--vmodule=a=2,b=3 --cert key.crt -f secret.yaml"),
    line("--log_backtrace_at=x"),
    line("--disable-compression=q"),
    line("--from-file a,\"b"),
    line("--from-file x -f secret.yaml"),
    line("--version=false -f nope"),
    line("stray --cert key.crt -f secret.yaml words"),
    line("--cert key.crt -f secret.yaml -- --bogus"),
    line("--allow-empty-data true --cert key.crt -f empty.yaml"),
    line("--allow-empty-data=T --cert key.crt -f empty.yaml"),
    // Sealing.
    line("--cert key.crt -f secret.yaml"),
    line("--cert=key.crt -f=secret.yaml -oyaml"),
    line("--cert key.crt -f secret.yaml -o=YAML"),
    line("--cert key.crt -f secret.yaml -o xml"),
    line("--cert key.crt -f secret.yaml -w=out.json"),
    line("--cert key.crt -f secret.yaml -o json -w out.yaml"),
    line("--cert key.crt -f stream.yaml"),
    line("--cert key.crt -f stream.yaml -o yaml"),
    line("--cert key.crt -f stream.json"),
    line("--cert key.crt -f wide.yaml"),
    line("--cert key.crt -f wide.yaml --scope strict"),
    line("--cert key.crt -f wide.yaml --scope namespace-wide"),
    line("--cert key.crt -f old.yaml -o yaml"),
    line("--cert key.crt -f empty.yaml"),
    line("--cert key.crt -f nameless.yaml"),
    line("--cert key.crt -f nameless.yaml --name x -n y"),
    line("--cert key.crt -f homeless.yaml"),
    line("--cert key.crt -f homeless.yaml -n y"),
    line("--cert key.crt -f homeless.yaml --kubeconfig kubeconfig"),
    line("--cert key.crt -f homeless.yaml --kubeconfig kubeconfig --context d"),
    line("--cert key.crt -f homeless.yaml --kubeconfig kubeconfig -n y"),
    line("--cert key.crt -f homeless.yaml --scope cluster-wide"),
    line("--cert key.crt -f secret.yaml -n other"),
    line("--cert key.crt -f secret.yaml -n other --scope cluster-wide"),
    line("--cert key.crt -f nope.yaml"),
    with("--cert key.crt", "metadata: {name: a, namespace: x}\nstringData: {a: b}\n"),
    with("--cert key.crt", "garbage"),
    line("--cert key.crt"),
    with("--cert key.crt", "metadata: {name: a, namespace: x}\ndata: {a: 5}\n"),
    with("--cert key.crt", "metadata: {name: a, namespace: x}\ndata: {a: '$'}\n"),
    with(
        "--cert key.crt",
        "{\"metadata\": {\"name\": \"a\", \"namespace\": \"x\"}, \"stringData\": {\"a\": 5}}",
    ),
    // Certificates.
    line("--cert nope.crt -f secret.yaml"),
    line("--cert key.key -f secret.yaml"),
    line("--cert ec.crt -f secret.yaml"),
    line("--cert expired.crt -f secret.yaml"),
    line("--fetch-cert --cert key.crt"),
    line("--fetch-cert --cert key.crt -w out.json"),
    line("-f secret.yaml"),
    line("--fetch-cert --kubeconfig kubeconfig"),
    line("--fetch-cert --kubeconfig kubeconfig --context nope"),
    line("--fetch-cert --kubeconfig kubeconfig --request-timeout x"),
    // A value alone.
    with("--raw --cert key.crt -n x --name y", "value"),
    with("--raw --cert key.crt -n x", "value"),
    with("--raw --cert key.crt -n x --scope namespace-wide", "value"),
    with("--raw --cert key.crt --scope cluster-wide", "value"),
    line("--raw --cert key.crt -n x --name y --from-file secret.yaml"),
    line("--raw --cert key.crt -n x --name y --from-file a=secret.yaml"),
    line("--raw --cert key.crt -n x --name y --from-file secret.yaml,more.yaml"),
    line("--raw --cert key.crt -n x --name y --from-file nope"),
    // With a private key.
    line("--recovery-unseal --recovery-private-key key.key -f sealed.json"),
    line("--recovery-unseal --recovery-private-key nope -f sealed.json"),
    line("--recovery-unseal --recovery-private-key secret.yaml -f sealed.json"),
    line("--recovery-unseal --recovery-private-key key.key -f blob.json"),
    line("--recovery-unseal -f sealed.json"),
    line("--recovery-unseal --recovery-private-key key.key -f secret.yaml"),
    // The controller.
    line("--validate --kubeconfig kubeconfig -f sealed.json"),
    line("--rotate --kubeconfig kubeconfig -f sealed.json"),
    line("--re-encrypt --kubeconfig kubeconfig -f sealed.json"),
    // Into another file.
    line("--merge-into nope.json --cert key.crt -f secret.yaml"),
    line("--merge-into sealed.json --cert key.crt -f secret.yaml"),
    // Variables.
    under("-f secret.yaml", &[("SEALED_SECRETS_CERT", "key.crt")]),
    under("-f secret.yaml", &[("SEALED_SECRETS_CERT", "nope"), ("SEALED_SECRETS_SCOPE", "bogus")]),
    under(
        "-f secret.yaml --cert key.crt",
        &[("SEALED_SECRETS_CERT", "nope"), ("SEALED_SECRETS_SCOPE", "cluster-wide")],
    ),
    under(
        "--raw --cert key.crt -n x --name y --from-file secret.yaml",
        &[("SEALED_SECRETS_FROM_FILE", "more.yaml")],
    ),
    under(
        "--cert key.crt",
        &[("SEALED_SECRETS_SECRET_FILE", "secret.yaml"), ("SEALED_SECRETS_FORMAT", "yaml")],
    ),
];

/// Lines that differ on purpose, with their standard input, and why.
pub const KNOWN: &[(&str, &str, &str)] = &[
    ("--cert key.crt", "metadata: {name: a, namespace: x}\ndata: {a: 5}\n", WORDS),
    ("--cert key.crt", "metadata: {name: a, namespace: x}\ndata: {a: '$'}\n", WORDS),
    ("--cert key.crt", "garbage", "ours says what cannot be read"),
    ("--cert ec.crt -f secret.yaml", "", WORDS),
    ("--fetch-cert --kubeconfig kubeconfig", "", WORDS),
    ("--validate --kubeconfig kubeconfig -f sealed.json", "", WORDS),
    ("--rotate --kubeconfig kubeconfig -f sealed.json", "", WORDS),
    ("--re-encrypt --kubeconfig kubeconfig -f sealed.json", "", WORDS),
    ("--recovery-unseal --recovery-private-key secret.yaml -f sealed.json", "", "ours names the file"),
    ("--recovery-unseal --recovery-private-key key.key -f secret.yaml", "", WORDS),
    (
        "--merge-into sealed.json --cert key.crt -f secret.yaml",
        "",
        "theirs panics where the template has no labels",
    ),
];

const WORDS: &str = "theirs is what a library of Go says, in words of Go";
