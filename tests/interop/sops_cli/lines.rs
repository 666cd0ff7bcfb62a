//! The command lines that are compared: generated from what can be combined, and written by hand where it cannot.
//!
//! A line is for a shell in which `sops` is the one or the other. [`World`](super::world::World) says which files and
//! variables it finds.

use std::collections::BTreeSet;

/// A line for the shell, and under which heading it counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub topic: Topic,
    pub words: String,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    Decrypt,
    Types,
    Extract,
    Encrypt,
    Rules,
    Edit,
    Set,
    Unset,
    Rotate,
    Updatekeys,
    ExecEnv,
    ExecFile,
    Groups,
    Publish,
    Filestatus,
    Identities,
    Vault,
    BadInput,
    Usage,
    Clients,
    NotBuilt,
}

impl Topic {
    pub const ALL: [Self; 21] = [
        Self::Decrypt,
        Self::Types,
        Self::Extract,
        Self::Encrypt,
        Self::Rules,
        Self::Edit,
        Self::Set,
        Self::Unset,
        Self::Rotate,
        Self::Updatekeys,
        Self::ExecEnv,
        Self::ExecFile,
        Self::Groups,
        Self::Publish,
        Self::Filestatus,
        Self::Identities,
        Self::Vault,
        Self::BadInput,
        Self::Usage,
        Self::Clients,
        Self::NotBuilt,
    ];

    /// What it is called on the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decrypt => "`decrypt`, `-d`",
            Self::Types => "types of files by name and by flag",
            Self::Extract => "`--extract`",
            Self::Encrypt => "`encrypt`, `-e`",
            Self::Rules => "creation rules and which values are encrypted",
            Self::Edit => "`edit`, and no command",
            Self::Set => "`set`, `--set`",
            Self::Unset => "`unset`",
            Self::Rotate => "`rotate`, `-r`",
            Self::Updatekeys => "`updatekeys`",
            Self::ExecEnv => "`exec-env`",
            Self::ExecFile => "`exec-file`",
            Self::Groups => "`groups`",
            Self::Publish => "`publish`",
            Self::Filestatus => "`filestatus`",
            Self::Identities => "where identities come from",
            Self::Vault => "transit keys of OpenBao",
            Self::BadInput => "files that are not as they should be",
            Self::Usage => "command lines that are wrong",
            Self::Clients => "as helm-secrets, Ansible and others call it",
            Self::NotBuilt => "`keyservice`, `--keyservice`",
        }
    }

    /// Its lines, some of which may be there twice.
    fn lines(self) -> Vec<String> {
        match self {
            Self::Decrypt => decrypt(),
            Self::Types => types(),
            Self::Extract => extract(),
            Self::Encrypt => encrypt(),
            Self::Rules => rules(),
            Self::Edit => edit(),
            Self::Set => set(),
            Self::Unset => unset(),
            Self::Rotate => rotate(),
            Self::Updatekeys => updatekeys(),
            Self::ExecEnv => exec_env(),
            Self::ExecFile => exec_file(),
            Self::Groups => groups(),
            Self::Publish => publish(),
            Self::Filestatus => filestatus(),
            Self::Identities => [identities(), shared_flags()].concat(),
            Self::Vault => vault(),
            Self::BadInput => bad_input(),
            Self::Usage => usage(),
            Self::Clients => clients(),
            Self::NotBuilt => not_built(),
        }
    }
}

const EXTENSIONS: [&str; 5] = ["yaml", "json", "env", "ini", "txt"];
const TYPES: [&str; 5] = ["yaml", "json", "dotenv", "ini", "binary"];

/// All lines, each once.
pub fn lines() -> Vec<Line> {
    let mut seen = BTreeSet::new();
    let all = Topic::ALL
        .into_iter()
        .flat_map(|topic| topic.lines().into_iter().map(move |words| Line { topic, words }));
    all.filter(|line| seen.insert(line.words.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

fn all(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// `.../e.EXT` and the type that is its name's.
fn stores() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXTENSIONS.into_iter().zip(TYPES)
}

fn decrypt() -> Vec<String> {
    let mut lines = all(&[
        "sops -d -- e.yaml",
        "sops -decrypt e.yaml",
        "sops --d=true e.yaml",
        "sops -d=1 e.yaml",
        "sops -d e.yaml e.json",
        // What JSON holds that a web page would take for its own.
        "sops -d eweb.json",
        "sops decrypt -i eweb.json",
        "sops decrypt --output-type yaml eweb.json",
        "sops decrypt --extract '[\"html\"]' eweb.json",
        "sops decrypt --extract '[\"list\"]' eweb.json",
        "sops exec-file --no-fifo eweb.json 'cat {}'",
        "sops set eweb.json '[\"list\"][0]' '\"&\"' && sops -d eweb.json",
        "sops decrypt e.yaml e.json",
        "sops -d decrypt e.yaml",
        "sops -i --input-type json decrypt e.yaml",
        "sops --indent 2 --verbose=false -d e.yaml",
        "sops --verbose -d e.yaml",
        "sops -d --output-type nonsense e.yaml",
        "sops -d --input-type nonsense e.yaml",
        "sops decrypt --input-type nonsense --output-type '' e.yaml",
        "sops -d --output nowhere/out.yaml e.yaml",
        "sops decrypt --output nowhere/out.yaml e.yaml",
        "sops decrypt --output folder e.yaml",
        "sops -d --output out.yaml -i e.yaml",
        "sops decrypt --output out.yaml -i e.yaml",
        "sops decrypt -i < e.yaml",
        "sops decrypt --output out.yaml < e.yaml",
        "sops decrypt /dev/stdin < e.yaml",
        "cat e.yaml | sops decrypt --input-type yaml /dev/stdin",
        "cat e.yaml | sops -d --input-type yaml --output-type yaml /dev/stdin",
        "cat e.yaml | sops -d --filename-override x.yaml /dev/stdin",
        "sops decrypt --filename-override nowhere/x.yaml e.conf",
        "sops -d ./folder/../e.yaml",
        "sops -d \"$PWD/e.yaml\"",
        "ln -s e.yaml link.yaml; sops -d link.yaml",
        "ln -s e.yaml link.yaml; sops -d -i link.yaml; test -L link.yaml",
        "ln -s e.yaml link; sops -d link",
        "chmod 444 e.yaml; sops -d e.yaml",
        "chmod 640 e.yaml; sops -d -i e.yaml",
        "cp e.yaml ./-d; sops decrypt -- -d",
        "cp e.yaml 'a b.yaml'; sops -d 'a b.yaml'",
        "cp e.yaml 'ä\u{1F600}.yaml'; sops -d 'ä\u{1F600}.yaml'",
        "sops -d ecommented.yaml",
        "sops decrypt --output-type json ecommented.yaml",
        "sops -e -a $ME commented.yaml",
        "sops encrypt -a $ME -i commented.yaml && sops set commented.yaml '[\"user\"]' 1 && sops -d commented.yaml",
        "sops rotate -i ecommented.yaml",
        "sops set ecommented.yaml '[\"list\"][1]' 1",
        "EDITOR='sed -i s/admin/root/' sops ecommented.yaml",
        "sops -d estream.yaml",
        "sops -d --output-type json estream.yaml",
        "sops -d --output-type dotenv estream.yaml",
        "sops -d --ignore-mac e.yaml",
        "sops decrypt --ignore-mac e.yaml",
        "sops -d --extract '' e.yaml",
        "sops decrypt --extract '' e.yaml",
    ]);
    for (extension, _) in stores() {
        for form in ["-d", "decrypt"] {
            lines.push(format!("sops {form} -i e.{extension}"));
            lines.push(format!("sops {form} --in-place both.{extension}"));
            lines.push(format!("sops {form} --output out.{extension} e.{extension}"));
            lines.push(format!("sops {form} --output e.{extension} e.{extension}"));
            for kind in TYPES.into_iter().chain(["nonsense"]) {
                lines.push(format!("sops {form} --output-type {kind} e.{extension}"));
                lines.push(format!("sops {form} --input-type {kind} e.{extension}"));
            }
            lines.push(format!("sops {form} e.{extension}"));
        }
        for kind in TYPES {
            lines.push(format!("sops decrypt -i --output-type {kind} e.{extension}"));
            lines.push(format!("sops decrypt --input-type {kind} --output-type {kind} < e.{extension}"));
            lines.push(format!("sops decrypt --input-type {kind} < e.{extension}"));
        }
        lines.push(format!("sops decrypt < e.{extension}"));
        lines.push(format!("sops decrypt --filename-override x.{extension} < e.{extension}"));
    }
    lines
}

/// Names that say another type than the content, or none, and conversions on the way.
fn types() -> Vec<String> {
    let mut lines = all(&[
        // Types by name while files are written.
        "sops encrypt --age $ME --input-type dotenv --in-place .env.local && \
         sops decrypt --output-type dotenv --in-place .env.local",
        "sops encrypt --age $ME --input-type dotenv --in-place .env.local && \
         sops decrypt --input-type dotenv --output-type dotenv --in-place .env.local",
        "sops encrypt --age $ME --input-type dotenv --output-type dotenv --in-place .env.local",
        "sops encrypt --age $ME p.txt > p.txt.enc && sops --decrypt --input-type json --output-type text p.txt.enc",
        "sops encrypt --age $ME p.txt > p.txt.enc && sops --decrypt --input-type json p.txt.enc",
        "sops encrypt --age $ME --output-type json p.yaml > x.json && sops -d --output-type yaml x.json",
        "sops encrypt --age $ME p > x && sops -d x",
        "sops encrypt --age $ME --input-type json p",
        "sops encrypt --age $ME --input-type json --output-type yaml p",
        "sops -e --age $ME .env.local",
        "sops -e --age $ME --filename-override .env .env.local",
        "sops -e --age $ME --filename-override x.env .env.local",
    ]);
    for name in ["e.conf", "e", ".env.production", "e.yaml.enc", "e.YAML", "e.yml", "e.json.bak"] {
        for flags in [
            "",
            "--input-type yaml",
            "--output-type yaml",
            "--input-type yaml --output-type yaml",
            "--input-type yaml --output-type json",
            "--input-type yaml --output-type nonsense",
            "--input-type json --output-type json",
            "--filename-override x.yaml",
            "--filename-override x.json --input-type yaml",
            "--input-type yaml -i",
            "--input-type yaml --output-type yaml -i",
            "--input-type yaml --output out.yaml",
        ] {
            lines.push(format!("sops decrypt {flags} {name}"));
        }
        for flags in ["", "--input-type yaml", "--input-type yaml --output-type yaml"] {
            lines.push(format!("sops -d {flags} {name}"));
            lines.push(format!("sops rotate {flags} {name}"));
            lines.push(format!("sops rotate -i {flags} {name}"));
            lines.push(format!("sops set {flags} {name} '[\"user\"]' '\"root\"'"));
            lines.push(format!("sops unset {flags} {name} '[\"user\"]'"));
            lines.push(format!("EDITOR='sed -i s/swordfish/x/' sops edit {flags} {name}"));
            lines.push(format!("sops exec-file {flags} {name} 'cat {{}}'"));
        }
        lines.push(format!("sops filestatus {name}"));
        lines.push(format!("sops filestatus --input-type yaml {name}"));
    }
    for (name, kind) in [("json.conf", "json"), ("env.conf", "dotenv"), ("ini.conf", "ini")] {
        for output in TYPES {
            lines.push(format!("sops -d --input-type {kind} --output-type {output} {name}"));
        }
        lines.push(format!("sops -d {name}"));
        lines.push(format!("sops -d --input-type {kind} {name}"));
        lines.push(format!("sops filestatus {name}"));
    }
    // Sops reads the JSON of a tree under any name that it takes for binary.
    for command in [
        "--output-type json -d FILE",
        "-d --extract '[\"user\"]' FILE",
        "-d --extract '[\"deep\"]' FILE",
        "decrypt --extract '[\"nowhere\"]' FILE",
        "exec-file --no-fifo FILE 'cat {}'",
        "exec-file --no-fifo --output-type json FILE 'cat {}'",
        "exec-file --no-fifo --output-type yaml FILE 'cat {}'",
        "rotate FILE",
        "rotate -i FILE",
        "set FILE '[\"user\"]' '\"root\"'",
        "set FILE '[\"new\"]' 1",
        "unset FILE '[\"user\"]'",
        "unset FILE '[\"deep\"][\"down\"]'",
        "unset FILE '[\"nowhere\"]'",
        "unset --idempotent FILE '[\"nowhere\"]'",
        "--config repo/.sops.yaml updatekeys -y FILE",
        "decrypt --output-type json < FILE",
        "decrypt < FILE",
        "decrypt --extract '[\"user\"]' < FILE",
    ] {
        lines.push(format!("sops {}", command.replace("FILE", "json.conf")));
    }
    lines.push("EDITOR='sed -i s/swordfish/x/' sops edit json.conf".to_owned());
    lines.push("sops exec-env flat.conf 'echo $user'".to_owned());
    lines.push("sops exec-env json.conf 'echo $user'".to_owned());
    lines.push("cp json.conf repo/secrets.conf && cd repo && sops updatekeys -y secrets.conf".to_owned());
    for name in ["p.conf", "p.yml", "p.YAML", "p", ".env.local"] {
        for flags in [
            "",
            "--input-type yaml",
            "--output-type yaml",
            "--input-type yaml --output-type yaml",
            "--input-type dotenv --output-type dotenv",
            "--input-type json --output-type json",
            "--filename-override x.yaml",
            "--filename-override x.env",
        ] {
            lines.push(format!("sops encrypt --age $ME {flags} {name}"));
        }
    }
    lines
}

const PATHS: [&str; 22] = [
    "[\"user\"]",
    "['password']",
    "[\"port\"]",
    "[\"ratio\"]",
    "[\"on\"]",
    "[\"none\"]",
    "[\"empty\"]",
    "[\"text\"]",
    "[\"hosts\"]",
    "[\"hosts\"][0]",
    "[\"hosts\"][1]",
    "[\"hosts\"][9]",
    "[\"hosts\"][-1]",
    "[\"hosts\"][\"a\"]",
    "[\"deep\"]",
    "[\"deep\"]['down']",
    "[\"deep\"][0]",
    "[\"user\"][\"a\"]",
    "[\"nowhere\"]",
    "[0]",
    "nonsense",
    "[\"user\"",
];

fn extract() -> Vec<String> {
    let mut lines = Vec::new();
    for path in PATHS {
        lines.push(format!("sops -d --extract '{}' e.yaml", path.replace('\'', "'\\''")));
        lines.push(format!("sops decrypt --extract '{}' e.json", path.replace('\'', "'\\''")));
    }
    for path in [
        "[\"user\"]",
        "[\"port\"]",
        "[\"ratio\"]",
        "[\"on\"]",
        "[\"none\"]",
        "[\"hosts\"]",
        "[\"deep\"]",
        "[\"text\"]",
    ] {
        for kind in TYPES {
            lines.push(format!("sops -d --extract '{path}' --output-type {kind} e.yaml"));
            lines.push(format!("sops decrypt --output-type {kind} --extract '{path}' e.json"));
        }
    }
    for kind in [
        "",
        "--output-type yaml",
        "--output-type json",
        "--output-type dotenv",
        "--output-type ini",
        "--output-type binary",
    ] {
        for (path, file) in [
            ("[\"USER_NAME\"]", "e.env"),
            ("[\"TEXT\"]", "e.env"),
            ("[\"EMPTY\"]", "e.env"),
            ("[\"db\"]", "e.ini"),
            ("[\"web\"]", "e.ini"),
            ("[\"db\"][\"port\"]", "e.ini"),
            ("[\"data\"]", "e.txt"),
            ("[\"a\"]", "estream.yaml"),
            ("[\"b\"]", "estream.yaml"),
        ] {
            lines.push(format!("sops decrypt {kind} --extract '{path}' {file}"));
        }
    }
    lines.extend(all(&[
        "sops decrypt --extract '[\"user\"]' --output out e.yaml",
        "sops decrypt --extract '[\"deep\"]' --output out e.yaml",
        "sops decrypt -i --extract '[\"deep\"]' e.yaml",
        "sops decrypt --extract '[\"user\"]' --input-type yaml < e.yaml",
        "sops decrypt --extract '[\"deep\"]' --input-type yaml < e.yaml",
        "sops decrypt --extract '[\"deep\"]' --filename-override x.yaml < e.yaml",
        "sops decrypt --ignore-mac --extract '[\"password\"]' changed.yaml",
        "sops decrypt --extract '[\"password\"]' changed.yaml",
        "sops -e -a $ME --extract '[\"user\"]' p.yaml",
    ]));
    lines
}

fn encrypt() -> Vec<String> {
    let mut lines = all(&[
        "sops -e --age $ME,$OTHER p.json",
        "sops -e --age \"$ME, $OTHER\" p.json",
        "sops -e --age $OTHER --age $ME -i p.env",
        "sops -e -a $ME --age $OTHER p.yaml",
        "sops -e -a $ME -a '' p.yaml",
        "sops -e -a '' p.yaml",
        "sops -e -a $ME,$ME p.yaml",
        "SOPS_AGE_RECIPIENTS=$ME sops -e p.yaml",
        "SOPS_AGE_RECIPIENTS=$ME sops encrypt p.yaml",
        "SOPS_AGE_RECIPIENTS=$ME,$OTHER sops encrypt p.yaml",
        "SOPS_AGE_RECIPIENTS=$ME sops encrypt -a $OTHER p.yaml",
        "SOPS_AGE_RECIPIENTS=nonsense sops encrypt p.yaml",
        "SOPS_AGE_RECIPIENTS= sops encrypt p.yaml",
        "SOPS_AGE_RECIPIENTS=$ME sops encrypt --filename-override x.yaml < p.yaml",
        "SOPS_AGE_KEY= sops encrypt -a $ME p.yaml",
        "sops -e -a nonsense p.yaml",
        "sops -e -a $ME,nonsense p.yaml",
        "sops encrypt -a $ME --encryption-context nonsense p.yaml",
        "sops encrypt -a $ME --encryption-context a:1,b:2:3 p.yaml",
        "sops encrypt -a $ME --encryption-context a:1 p.yaml",
        "sops encrypt -a age1nonsense p.yaml",
        "sops encrypt -a $MY_IDENTITY p.yaml",
        "sops -e p.yaml",
        "sops encrypt p.yaml",
        "sops encrypt < p.yaml",
        "sops encrypt -i < p.yaml",
        "sops encrypt -a $ME --output out.yaml --in-place p.yaml",
        "sops -e -a $ME --output out.yaml --in-place p.yaml",
        "sops encrypt -a $ME --output nowhere/out.yaml p.yaml",
        "sops encrypt -a $ME --output folder p.yaml",
        "sops encrypt -a $ME p.yaml p.json",
        "sops -e -a $ME --filename-override x.json p.yaml",
        "sops -e -a $ME --filename-override x.yaml p.json",
        "sops encrypt -a $ME --filename-override x.json < p.json",
        "sops encrypt -a $ME --filename-override x.env < p.env",
        "sops encrypt -a $ME --filename-override x.ini < p.ini",
        "sops encrypt -a $ME --filename-override x < p.txt",
        "sops encrypt -a $ME --filename-override x --input-type yaml < p.yaml",
        "sops encrypt -a $ME --filename-override x --input-type yaml --output-type yaml < p.yaml",
        "sops encrypt -a $ME --input-type yaml --output-type yaml < p.yaml",
        "cat p.yaml | sops -a $ME --input-type yaml --output-type yaml -e /dev/stdin",
        "cat p.yaml | sops encrypt -a $ME --input-type yaml --output-type yaml /dev/stdin",
        "cat p.json | sops -a $ME -e /dev/stdin",
        "sops -e -d -a $ME e.yaml",
        "sops -e -r -a $ME e.yaml",
        "sops -e -d -a $ME p.yaml",
        "sops -d -r e.yaml",
        "sops encrypt -a $ME secret.yaml",
        "sops encrypt -a $ME applied.yaml",
        "sops encrypt -a $ME stream.yaml",
        "sops -e -a $ME --indent 2 p.yaml",
        "sops --indent 2 encrypt -a $ME p.yaml",
        "sops --indent -1 encrypt -a $ME p.json",
        "sops --indent -5 encrypt -a $ME p.json",
        "sops --indent x -e -a $ME p.json",
        "sops --verbose encrypt -a $ME p.yaml",
        "sops -e --verbose -a $ME p.yaml",
        "chmod 640 p.yaml; sops encrypt -i -a $ME p.yaml",
        "chmod 600 p.yaml; sops -e -i -a $ME p.yaml",
        "ln -s p.yaml link.yaml; sops encrypt -i -a $ME link.yaml; test -L link.yaml",
        "umask 077; sops encrypt -a $ME --output out.yaml p.yaml",
        "sops encrypt -a $ME p.yaml > x.yaml && sops -d x.yaml",
        "sops encrypt -a $ME p.json > x.json && sops -d x.json",
        "sops encrypt -a $ME p.env > x.env && sops -d x.env",
        "sops encrypt -a $ME p.ini > x.ini && sops -d x.ini",
        "sops encrypt -a $ME p.txt > x.txt && sops -d x.txt",
        "printf 'a: 1.10\\n' > x.yaml; sops encrypt -i -a $ME x.yaml && sops -d x.yaml",
        "printf 'a: !x b\\n' > x.yaml; sops encrypt -i -a $ME x.yaml && sops -d x.yaml",
        "printf 'a: 2020-01-02\\nb: 12345_6\\nc: 0o17\\n' > x.yaml; sops encrypt -i -a $ME x.yaml",
        "printf 'a: &x 1\\nb: *x\\n' > x.yaml; sops encrypt -a $ME x.yaml",
        "printf 'a: &x {b: 1}\\nc: *x\\n' > x.yaml; sops encrypt -a $ME x.yaml",
        "printf 'a: &x {b: 1}\\nc:\\n  <<: *x\\n' > x.yaml; sops encrypt -a $ME x.yaml",
        "printf '{\"a\": 1.0, \"b\": 1e400}' > x.json; sops encrypt -a $ME x.json",
        "printf '{\"a\": 1.0, \"b\": 1e3, \"c\": 12345678901234567890}' > x.json; sops encrypt -a $ME x.json",
        "printf '{\"a\": 1, \"a\": 2}' > x.json; sops encrypt -a $ME x.json",
        "printf 'a: 1\\na: 2\\n' > x.yaml; sops encrypt -a $ME x.yaml",
        "printf 'A=1\\nA=2\\n' > x.env; sops encrypt -a $ME x.env",
        "printf 'export A=1\\nB=\"two words\"\\nC = x # y\\n' > x.env; sops encrypt -a $ME x.env",
        "printf 'a = 1\\n[b]\\nc = \"x y\"\\nd = a;b\\n' > x.ini; sops encrypt -a $ME x.ini",
        "printf '1: a\\n' > x.yaml; sops encrypt -a $ME x.yaml",
        "printf -- '--- \\na: 1\\n' > x.yaml; sops encrypt -a $ME x.yaml",
        "printf -- '...\\n' > x.yaml; sops encrypt -a $ME x.yaml",
        "printf '\\377\\376' > x.txt; sops encrypt -a $ME x.txt > y.txt && sops -d y.txt",
        "printf 'a: \"\\\\ud83d\"\\n' > x.yaml; sops encrypt -a $ME x.yaml",
        "printf '# only\\n' > x.yaml; sops encrypt -a $ME x.yaml",
        "printf '# only\\n' > x.env; sops encrypt -a $ME x.env",
        "printf '{}' > x.json; sops encrypt -a $ME x.json",
        "printf '[]' > x.json; sops encrypt -a $ME x.json",
        "printf '\"a\"' > x.json; sops encrypt -a $ME x.json",
        "printf 'null' > x.json; sops encrypt -a $ME x.json",
        "printf '{}' > x.yaml; sops encrypt -a $ME x.yaml",
        "printf 'a' > x.yaml; sops encrypt -a $ME x.yaml",
    ]);
    for (extension, _) in stores() {
        for form in ["-e", "encrypt"] {
            lines.push(format!("sops {form} -a $ME p.{extension}"));
            lines.push(format!("sops {form} -a $ME -i p.{extension}"));
            lines.push(format!("sops {form} -a $ME --output out.{extension} p.{extension}"));
            for kind in TYPES.into_iter().chain(["nonsense"]) {
                lines.push(format!("sops {form} -a $ME --input-type {kind} p.{extension}"));
                lines.push(format!(
                    "sops {form} -a $ME --output-type {kind} -i p.{extension} && sops -d --input-type {kind} p.{extension}"
                ));
            }
        }
    }
    lines
}

/// Which values are encrypted and for whom: flags and creation rules.
fn rules() -> Vec<String> {
    let mut lines = all(&[
        "cd repo && sops encrypt p.yaml",
        "cd repo && sops encrypt other.yaml",
        "cd repo && sops -e other.yaml",
        "cd repo && sops encrypt -a $ME other.yaml",
        "cd repo && sops -e -a $ME other.yaml",
        "cd repo && SOPS_AGE_RECIPIENTS=$ME sops encrypt other.yaml",
        "cd repo && sops encrypt --filename-override secrets.yaml other.yaml",
        "cd repo && sops -e --filename-override secrets.yaml other.yaml",
        "cd repo && sops encrypt --filename-override other.yaml secrets.yaml",
        "cd repo && sops encrypt --filename-override secrets.yaml < other.yaml",
        "cd repo && sops -e -a $OTHER secrets.yaml",
        "cd repo && sops encrypt -a $OTHER regex.yaml",
        "cd repo && sops encrypt --encrypted-suffix x regex.yaml",
        "cd repo && sops encrypt --encrypted-regex x regex.yaml",
        "cd repo && sops -e --encrypted-comment-regex x regex.yaml",
        "cd repo && sops encrypt --shamir-secret-sharing-threshold 3 shares.yaml",
        "cd repo && sops encrypt --shamir-secret-sharing-threshold 9 shares.yaml",
        "cd repo && sops encrypt --shamir-secret-sharing-threshold 1 shares.yaml",
        "cd repo && sops encrypt --shamir-secret-sharing-threshold -1 shares.yaml",
        "cd repo && sops encrypt regex.yaml > x && sops -d --input-type yaml --output-type yaml x",
        "cd repo && cp secrets.yaml mac-secrets.yaml && sops encrypt mac-secrets.yaml",
        "cd repo/below && sops -e ../secrets.yaml",
        "cd repo/below && sops encrypt x.yaml",
        "cd repo/below && cp x.yaml secrets.yaml && sops encrypt secrets.yaml",
        "sops -e repo/secrets.yaml",
        "sops encrypt repo/secrets.yaml",
        "sops --config repo/.sops.yaml -e repo/secrets.yaml",
        "sops --config repo/.sops.yaml encrypt repo/secrets.yaml",
        "sops -config=repo/.sops.yaml encrypt repo/secrets.yaml",
        "sops encrypt --config repo/.sops.yaml repo/secrets.yaml",
        "SOPS_CONFIG=repo/.sops.yaml sops encrypt repo/secrets.yaml",
        "SOPS_CONFIG=repo/.sops.yaml sops -e repo/secrets.yaml",
        "SOPS_CONFIG=nowhere.yaml sops --config repo/.sops.yaml -e repo/secrets.yaml",
        "SOPS_CONFIG= sops encrypt -a $ME p.yaml",
        "SOPS_CONFIG=nowhere.yaml sops encrypt -a $ME p.yaml",
        "SOPS_CONFIG=nowhere.yaml sops decrypt e.yaml",
        "sops --config nowhere.yaml -e -a $ME p.yaml",
        "sops --config nowhere.yaml -d e.yaml",
        "sops --config unreadable/.sops.yaml -d e.yaml",
        "sops --config unreadable/.sops.yaml -e -a $ME p.yaml",
        "sops --config folder -d e.yaml",
        "sops --config empty.yaml -d e.yaml",
        "sops --config empty.yaml -e p.yaml",
        "sops --config empty.yaml encrypt -a $ME p.yaml",
        "cd unreadable && sops -d ../e.yaml",
        "cd unreadable && sops -e -a $ME ../p.yaml",
        "cd unreadable && sops encrypt -a $ME ../p.yaml",
        "cd unreadable && sops rotate ../e.yaml",
        "cd unreadable && sops filestatus ../e.yaml",
        "cd unreadable && sops exec-env ../eflat.yaml true",
        "cd unreadable && sops set ../e.yaml '[\"user\"]' 1",
        "cd unreadable && EDITOR=true sops ../e.yaml",
        "cd unreadable && sops updatekeys -y ../e.yaml",
        "cd indented && sops -d ../e.yaml",
        "cd indented && sops -d ../e.json",
        "cd indented && sops encrypt -a $ME ../p.yaml",
        "cd indented && sops encrypt -a $ME ../p.json",
        "cd indented && sops encrypt ../p.json",
        "cd repo && mv .sops.yaml .sops.yml && sops encrypt secrets.yaml",
        "cd repo && mv .sops.yaml .sops.yml && sops -d ../e.yaml",
        "cd repo && printf 'creation_rules: []\\n' > .sops.yaml && sops encrypt secrets.yaml",
        "cd repo && printf 'creation_rules: []\\n' > .sops.yaml && sops -e -a $ME secrets.yaml",
        "cd repo && printf 'creation_rules:\\n  - age: %s\\n' $ME > .sops.yaml && sops encrypt other.yaml",
        "cd repo && printf 'creation_rules:\\n  - path_regex: \"[\"\\n    age: %s\\n' $ME > .sops.yaml && sops encrypt other.yaml",
        "cd repo && printf 'creation_rules:\\n  - encrypted_regex: \"[\"\\n    age: %s\\n' $ME > .sops.yaml && sops encrypt other.yaml",
        "cd repo && printf 'creation_rules:\\n  - key_groups: [{age: [%s]}, {}]\\n' $ME > .sops.yaml && sops encrypt other.yaml",
        "cd repo && printf 'creation_rules:\\n  - key_groups: []\\n' > .sops.yaml && sops encrypt other.yaml",
        "cd repo && printf 'creation_rules:\\n  - key_groups: [{merge: [{age: [%s]}, {age: [%s]}]}]\\n' $ME $OTHER > .sops.yaml && sops encrypt other.yaml",
        "cd repo && printf 'creation_rules:\\n  - age: \"%s,\\n      %s\"\\n' $ME $OTHER > .sops.yaml && sops encrypt other.yaml",
        "cd repo && printf 'creation_rules:\\n  - pth_regex: x\\n    age: %s\\n' $ME > .sops.yaml && sops encrypt other.yaml",
        "cd repo && printf 'creation_rules:\\n  - age: %s\\n    shamir_threshold: 2\\n' $ME > .sops.yaml && sops encrypt other.yaml",
        "sops --mac-only-encrypted encrypt -a $ME --unencrypted-regex '^user$' p.yaml",
        "sops --mac-only-encrypted -e -a $ME --unencrypted-regex '^user$' p.yaml",
        "sops -e -a $ME --mac-only-encrypted p.txt",
        "sops encrypt -a $ME --mac-only-encrypted p.yaml",
        "sops --encrypted-comment-regex behind encrypt -a $ME p.yaml",
        "sops -e -a $ME --encrypted-regex a --encrypted-suffix b p.yaml",
        "sops encrypt -a $ME --unencrypted-regex a --encrypted-regex b p.yaml",
        "sops encrypt -a $ME --encrypted-regex a --encrypted-regex b p.yaml",
        "sops encrypt -a $ME --encrypted-regex '' p.yaml",
        "sops encrypt -a $ME --encrypted-regex '[' p.yaml",
        "sops encrypt -a $ME --unencrypted-regex '[' p.yaml",
        "sops encrypt -a $ME --encrypted-regex '(?i)PASS' p.yaml",
        "sops encrypt -a $ME --unencrypted-suffix '' p.yaml",
        "sops -e -a $ME --shamir-secret-sharing-threshold x p.yaml",
        "sops -e -a $ME --shamir-secret-sharing-threshold 2 p.yaml",
        "sops encrypt -a $ME --shamir-secret-sharing-threshold 0 p.yaml",
    ]);
    for rule in
        ["secrets", "both", "regex", "suffix", "comment", "mac", "shares", "broken", "nobody", "twice"]
    {
        lines.push(format!("cd repo && sops encrypt {rule}.yaml"));
        lines.push(format!("cd repo && sops -e {rule}.yaml"));
        lines.push(format!("cd repo && sops encrypt -i {rule}.yaml"));
        lines.push(format!("cd repo && cp ../e.yaml {rule}.yaml && sops -r -i {rule}.yaml"));
        lines.push(format!("cd repo && cp ../e.yaml {rule}.yaml && sops set {rule}.yaml '[\"new\"]' 1"));
        lines.push(format!("cd repo && cp ../e.yaml {rule}.yaml && sops --set '[\"new\"] 1' {rule}.yaml"));
        lines.push(format!(
            "cd repo && rm {rule}.yaml && EDITOR='sh -c \"echo a: 1 > \\$0\"' sops {rule}.yaml"
        ));
    }
    for extension in EXTENSIONS {
        lines.push(format!("cd repo && sops encrypt secrets.{extension}"));
        lines.push(format!("cd repo && sops -e -i secrets.{extension}"));
    }
    for (flag, value) in [
        ("encrypted-suffix", "word"),
        ("unencrypted-suffix", "word"),
        ("unencrypted-suffix", "_unencrypted"),
        ("encrypted-regex", "^pass|PASS|down|port"),
        ("unencrypted-regex", "^user|USER|db"),
        ("encrypted-comment-regex", "behind|who"),
        ("unencrypted-comment-regex", "behind|which|secret"),
    ] {
        for extension in EXTENSIONS {
            lines.push(format!("sops -e -a $ME --{flag} '{value}' p.{extension}"));
            if !flag.contains("comment") {
                lines.push(format!("sops encrypt -a $ME --{flag} '{value}' p.{extension}"));
            }
        }
    }
    lines
}

fn edit() -> Vec<String> {
    let mut lines = all(&[
        "SOPS_EDITOR='sed -i s/swordfish/x/' EDITOR=false sops edit e.yaml",
        "SOPS_EDITOR='sed -i s/swordfish/x/' EDITOR=false sops e.yaml",
        "SOPS_EDITOR= EDITOR='sed -i s/swordfish/x/' sops e.yaml",
        "EDITOR='sed -i \"s/sword fish/x/\"' sops e.yaml",
        "EDITOR=\"sed -i 's/5432/1234/'\" sops edit e.json",
        "EDITOR=\"sh -c 'echo \\\"a: 1\\\" > \\$0'\" sops -a $ME new.yaml",
        "EDITOR=\"sh -c 'echo \\\"a: 1\\\" > \\$0'\" sops edit -a $ME new.yaml",
        "EDITOR=\"sh -c 'echo \\\"a: 1\\\" > \\$0'\" sops edit -a $ME --encrypted-regex b new.yaml",
        "EDITOR=\"sh -c 'echo A=1 > \\$0'\" sops edit -a $ME new.env",
        "EDITOR=\"sh -c 'echo {} > \\$0'\" sops edit -a $ME new.json",
        "EDITOR=\"sh -c 'echo hello > \\$0'\" sops edit -a $ME new.txt",
        "EDITOR=\"sh -c 'echo hello > \\$0'\" sops edit -a $ME new",
        "EDITOR=\"sh -c 'echo a = 1 > \\$0'\" sops edit -a $ME new.ini",
        "EDITOR=\"sh -c 'echo \\\"a: 1\\\" > \\$0'\" sops edit -a $ME --input-type yaml --output-type yaml new",
        "EDITOR=\"sh -c 'echo \\\"a: 1\\\" > \\$0'\" sops edit -a $ME --input-type yaml new",
        "EDITOR=\"sh -c 'echo \\\"a: 1\\\" > \\$0'\" sops -a $ME --filename-override x.yaml new",
        "EDITOR=\"sh -c 'cat \\$0'\" sops -a $ME new.yaml",
        "EDITOR=\"sh -c 'cat \\$0'\" sops -a $ME new.json",
        "EDITOR=\"sh -c 'cat \\$0'\" sops -a $ME new.env",
        "EDITOR=\"sh -c 'cat \\$0'\" sops -a $ME new.ini",
        "EDITOR=\"sh -c 'cat \\$0'\" sops -a $ME new.txt",
        "EDITOR='sh -c \"basename $0\"' sops e.yaml",
        "EDITOR=\"sh -c 'cat \\$0'\" sops edit e.yaml",
        "EDITOR=\"sh -c 'cat \\$0'\" sops edit e.txt",
        "EDITOR=\"sh -c 'basename \\$0; stat -c %a \\$0'\" sops edit e.yaml",
        "EDITOR=true sops new.yaml",
        "EDITOR=true sops -a $ME new.yaml",
        "EDITOR=true sops edit new.yaml",
        "EDITOR=true sops edit -a $ME new.yaml",
        "EDITOR=false sops edit -a $ME new.yaml",
        "EDITOR=true sops edit p.yaml",
        "EDITOR=true sops p.yaml",
        "EDITOR=true sops empty.yaml",
        "EDITOR=true sops folder",
        "EDITOR=true sops edit nowhere/new.yaml",
        "EDITOR=\"sh -c 'echo \\\"a: 1\\\" > \\$0'\" sops edit -a $ME nowhere/new.yaml",
        "EDITOR=/nowhere sops edit e.yaml",
        "EDITOR=/nowhere sops e.yaml",
        "EDITOR='\"' sops e.yaml",
        "PATH=$BIN sops e.yaml",
        "PATH=$BIN sops edit e.yaml",
        "sops edit",
        "EDITOR='sed -i s/swordfish/x/' sops edit e.yaml e.json",
        "EDITOR='sed -i s/swordfish/x/' sops edit -s e.yaml",
        "EDITOR='sed -i s/swordfish/x/' sops -s e.yaml",
        "EDITOR='sed -i s/swordfish/x/' sops --show-master-keys e.json",
        "EDITOR='sed -i s/swordfish/x/' sops edit eother.yaml",
        "EDITOR='sed -i s/swordfish/x/' sops edit changed.yaml",
        "EDITOR='sed -i s/swordfish/x/' sops edit --ignore-mac changed.yaml",
        "EDITOR='sed -i s/swordfish/x/' sops --ignore-mac changed.yaml",
        "EDITOR='sed -i /user/d' sops e.yaml",
        "EDITOR='sed -i $anew: 1' sops e.yaml",
        "EDITOR='sed -i s/here/there/' sops edit eshares.yaml",
        "SOPS_AGE_KEY=\"$MY_IDENTITY $OTHER_IDENTITY\" EDITOR='sed -i s/here/there/' sops edit eshares.yaml",
        "EDITOR='sed -i s/swordfish/x/' sops edit eregex.yaml",
        "cd repo && cp ../e.yaml other.yaml && EDITOR='sed -i s/swordfish/x/' sops other.yaml",
        "cd repo && cp ../e.yaml other.yaml && EDITOR='sed -i s/swordfish/x/' sops edit other.yaml",
        "chmod 640 e.yaml; EDITOR='sed -i s/swordfish/x/' sops e.yaml",
        "ln -s e.yaml link.yaml; EDITOR='sed -i s/swordfish/x/' sops link.yaml; test -L link.yaml",
    ]);
    for extension in EXTENSIONS {
        for form in ["", "edit"] {
            for editor in ["true", "false", "sed -i s/swordfish/x/", "sed -i s/admin/root/"] {
                lines.push(format!("EDITOR='{editor}' sops {form} e.{extension}"));
            }
        }
    }
    lines
}

const VALUES: [&str; 14] = [
    "\"text\"",
    "\"\"",
    "\"one\\ntwo\"",
    "\"1\"",
    "5",
    "-5",
    "1.5",
    "1e3",
    "1.0",
    "true",
    "null",
    "[1, \"a\"]",
    "{\"a\": {\"b\": true}}",
    "{}",
];

fn set() -> Vec<String> {
    let mut lines = all(&[
        "sops set e.yaml '[\"hosts\"][2]' '\"new\"'",
        "sops set e.yaml '[\"hosts\"][9]' '\"new\"'",
        "sops set e.yaml '[\"hosts\"][-1]' '\"new\"'",
        "sops set e.yaml '[\"hosts\"]' '[]'",
        "sops set e.yaml '[\"deep\"][\"more\"][\"down\"]' 1",
        "sops set e.yaml '[\"a\"][\"b\"][0]' 1",
        "sops set e.yaml '[\"user\"][\"b\"]' 1",
        "sops set e.yaml '[\"hosts\"][\"b\"]' 1",
        "sops set e.yaml '[\"deep\"][0]' 1",
        "sops set e.yaml '[0]' 1",
        "sops set e.yaml '' 1",
        "sops set e.yaml '[\"deep\"][\"owner_unencrypted\"]' '\"x\"'",
        "sops set e.yaml '[\"new_unencrypted\"]' '\"x\"'",
        "sops set eregex.yaml '[\"user\"]' '\"x\"'",
        "sops set eregex.yaml '[\"password\"]' '\"x\"'",
        "sops set eregex.yaml '[\"new\"]' '\"x\"'",
        "sops set eregex.yaml '[\"passphrase\"]' '\"x\"'",
        "sops set estream.yaml '[\"a\"]' 2",
        "sops set estream.yaml '[\"b\"]' 3",
        "sops set e.yaml '[\"user\"]' nonsense",
        "sops set e.yaml '[\"user\"]' '1 2'",
        "sops set e.yaml '[\"user\"]' ''",
        "sops set e.yaml user '\"x\"'",
        "sops set e.yaml '[user]' '\"x\"'",
        "sops set e.yaml '[\"user\"' '\"x\"'",
        "sops set e.yaml '[\"user\"]'",
        "sops set e.yaml '[\"user\"]' 1 2",
        "sops set e.yaml",
        "sops set",
        "sops set nowhere.yaml '[\"user\"]' 1",
        "sops set p.yaml '[\"user\"]' 1",
        "sops set folder '[\"user\"]' 1",
        "sops set --idempotent e.yaml '[\"user\"]' '\"admin\"'",
        "sops set --idempotent e.yaml '[\"user\"]' '\"root\"'",
        "sops set --idempotent e.yaml '[\"port\"]' 5432",
        "sops set --idempotent e.yaml '[\"port\"]' '\"5432\"'",
        "sops set --idempotent e.yaml '[\"deep\"]' '{\"down\": \"here\"}'",
        "printf '\"x\"' | sops set --value-stdin e.yaml '[\"user\"]'",
        "printf '{\"a\": 1}\\n' | sops set --value-stdin e.yaml '[\"user\"]'",
        "printf 'x' | sops set --value-stdin e.yaml '[\"user\"]'",
        "printf '\"x\"' | sops set --value-stdin e.yaml '[\"user\"]' 1",
        "printf '\"x\"' > value && sops set --value-file e.yaml '[\"user\"]' value",
        "printf 'x' > value && sops set --value-file e.yaml '[\"user\"]' value",
        "sops set --value-file e.yaml '[\"user\"]' nowhere",
        "sops set --value-file --value-stdin e.yaml '[\"user\"]'",
        "sops set changed.yaml '[\"user\"]' 1",
        "sops set --ignore-mac changed.yaml '[\"user\"]' 1",
        "sops set --shamir-secret-sharing-threshold 2 e.yaml '[\"user\"]' 1",
        "sops set eother.yaml '[\"user\"]' 1",
        "sops --set '[\"user\"] nonsense' e.yaml",
        "sops --set '[\"user\"]' e.yaml",
        "sops --set '[\"user\"]1' e.yaml",
        "sops --set 'user 1' e.yaml",
        "sops --set '[\"user\"]  1' e.yaml",
        "sops --set '[\"user\"] 1' nowhere.yaml",
        "sops --set '[\"user\"] 1' p.yaml",
        "sops --set '[\"user\"] 1' --ignore-mac changed.yaml",
        "sops --set '[\"user\"] 1' --set '[\"port\"] 1' e.yaml",
        "sops --set '' e.yaml",
        "sops -d --set '[\"user\"] 1' e.yaml",
        "sops -i --set '[\"user\"] 1' e.yaml",
        "sops --output out.yaml --set '[\"user\"] 1' e.yaml",
        "sops set e.txt '[\"data\"]' '\"a\\nb\"'",
        "sops set e.txt '[\"other\"]' '\"a\"'",
        "chmod 600 e.yaml; sops set e.yaml '[\"user\"]' 1",
        "ln -s e.yaml link.yaml; sops set link.yaml '[\"user\"]' 1; test -L link.yaml",
        "sops set e.yaml '[\"a.b/c d\"]' 1",
        "sops set e.yaml '[\"\"]' 1",
        "sops set e.yaml '[\"null\"]' 1",
        "sops set e.yaml '[\"sops\"]' 1",
        "sops set e.env '[\"A=B\"]' '\"x\"'",
        "sops set e.env '[\"a b\"]' '\"x\"'",
        "sops set e.ini '[\"top\"]' '\"x\"'",
        "sops set e.ini '[\"db\"][\"new\"]' '\"x\"'",
        "sops set e.ini '[\"new\"][\"key\"]' '\"x\"'",
        "sops set e.ini '[\"db\"]' '{\"a\": \"b\"}'",
    ]);
    for value in VALUES {
        let (file, form) = ("e.yaml", value);
        lines.push(format!("sops set {file} '[\"user\"]' '{form}'"));
        lines.push(format!("sops set {file} '[\"deep\"][\"new\"]' '{form}'"));
        lines.push(format!("sops --set '[\"new\"] {form}' {file}"));
        lines.push(format!("sops set e.json '[\"user\"]' '{form}'"));
        lines.push(format!("sops --set '[\"deep\"][\"new\"] {form}' e.json"));
        lines.push(format!("sops set e.env '[\"USER_NAME\"]' '{form}'"));
        lines.push(format!("sops set e.env '[\"NEW\"]' '{form}'"));
        lines.push(format!("sops set e.ini '[\"db\"][\"user\"]' '{form}'"));
        lines.push(format!("sops set e.txt '[\"data\"]' '{form}'"));
    }
    lines
}

fn unset() -> Vec<String> {
    let mut lines = all(&[
        "sops unset estream.yaml '[\"b\"]'",
        "sops unset eregex.yaml '[\"user\"]'",
        "sops unset e.yaml",
        "sops unset e.yaml user",
        "sops unset e.yaml '[\"user\"'",
        "sops unset e.yaml ''",
        "sops unset e.yaml '[\"user\"]' more",
        "sops unset nowhere.yaml '[\"user\"]'",
        "sops unset p.yaml '[\"user\"]'",
        "sops unset",
        "sops unset changed.yaml '[\"password\"]'",
        "sops unset --ignore-mac changed.yaml '[\"password\"]'",
        "sops unset eother.yaml '[\"user\"]'",
        "sops unset --shamir-secret-sharing-threshold 1 e.yaml '[\"user\"]'",
    ]);
    for path in PATHS {
        let path = path.replace('\'', "\"");
        lines.push(format!("sops unset e.yaml '{path}'"));
        lines.push(format!("sops unset --idempotent e.yaml '{path}'"));
        lines.push(format!("sops unset e.json '{path}'"));
    }
    for (path, file) in [
        ("[\"USER_NAME\"]", "e.env"),
        ("[\"nowhere\"]", "e.env"),
        ("[\"db\"]", "e.ini"),
        ("[\"db\"][\"user\"]", "e.ini"),
        ("[\"db\"][\"nowhere\"]", "e.ini"),
        ("[\"data\"]", "e.txt"),
        ("[\"nowhere\"]", "e.txt"),
    ] {
        lines.push(format!("sops unset {file} '{path}'"));
        lines.push(format!("sops unset --idempotent {file} '{path}'"));
    }
    lines
}

fn rotate() -> Vec<String> {
    let mut lines = all(&[
        "cd repo && sops rotate -i ../both.yaml",
        "cd repo && sops -r -i ../both.yaml",
        "cd repo && cp ../both.yaml secrets.yaml && sops -r -i secrets.yaml",
        "cd repo && cp ../both.yaml secrets.yaml && sops rotate -i secrets.yaml",
        "cd repo && cp ../both.yaml other.yaml && sops rotate -i other.yaml",
        "cd repo && cp ../both.yaml other.yaml && sops -r -i other.yaml",
        "sops rotate --rm-age $ME e.yaml",
        "sops rotate --rm-age $OTHER e.yaml",
        "sops rotate --rm-age nonsense e.yaml",
        "sops rotate --add-age nonsense e.yaml",
        "sops rotate --add-age '' e.yaml",
        "sops rotate --add-age $ME e.yaml",
        "sops rotate --add-age $OTHER --rm-age $OTHER e.yaml",
        "sops rotate --add-age $OTHER,$ME -i e.yaml",
        "sops rotate p.yaml",
        "sops rotate changed.yaml",
        "sops rotate --ignore-mac changed.yaml",
        "sops -r --ignore-mac changed.yaml",
        "sops -r changed.yaml",
        "sops rotate",
        "sops -r nowhere.yaml",
        "sops rotate nowhere.yaml",
        "sops rotate --add-age $OTHER nowhere.yaml",
        "sops rotate --rm-age $OTHER nowhere.yaml",
        "sops -r --add-age $OTHER nowhere.yaml",
        "sops -d --add-age $OTHER nowhere.yaml",
        "sops -d --add-age $OTHER e.yaml",
        "sops rotate -i --output out.yaml e.yaml",
        "sops rotate < e.yaml",
        "sops rotate -i eshares.yaml",
        "SOPS_AGE_KEY=\"$MY_IDENTITY $OTHER_IDENTITY\" sops rotate -i eshares.yaml",
        "sops rotate --add-age $OTHER -i eshares.yaml",
        "sops rotate --rm-age $OTHER -i eshares.yaml",
        "sops rotate --rm-age $ME -i eshares.yaml",
        "sops rotate -i eregex.yaml",
        "sops rotate -i estream.yaml",
        "sops rotate -i eother.yaml",
        "sops rotate e.yaml e.json",
        "sops rotate --filename-override x.yaml e.conf",
        "sops rotate --input-type yaml --output-type json e.yaml",
        "sops rotate --output-type json e.yaml",
        "sops rotate --output-type yaml e.json",
        "sops rotate --output-type dotenv e.yaml",
        "sops rotate --output-type binary e.yaml",
        "sops rotate --output-type binary e.json",
        "sops rotate --output-type nonsense e.yaml",
        "sops -r -i --output-type json e.yaml",
        "sops rotate --decryption-order age,pgp -i e.yaml",
        "sops rotate --decryption-order age,age -i e.yaml",
        "chmod 600 e.yaml; sops rotate -i e.yaml",
        "sops --verbose rotate -i e.yaml",
    ]);
    for extension in EXTENSIONS {
        for form in ["-r", "rotate"] {
            for keys in ["", "--add-age $OTHER"] {
                for place in ["", "-i", "--output out"] {
                    lines.push(format!("sops {form} {keys} {place} e.{extension}"));
                }
            }
            lines.push(format!("sops {form} --rm-age $OTHER -i both.{extension}"));
            lines.push(format!("sops {form} --rm-age $ME -i both.{extension}"));
            lines.push(format!("sops {form} --rm-age $ME,$OTHER -i both.{extension}"));
        }
    }
    lines
}

fn updatekeys() -> Vec<String> {
    let mut lines = all(&[
        "cd repo && cp ../e.yaml secrets.yaml && sops updatekeys --yes secrets.yaml",
        "cd repo && cp ../e.yaml secrets.yaml && sops updatekeys --yes secrets.yaml nowhere.yaml",
        "cd repo && cp ../both.yaml secrets.yaml && cp ../e.yaml secrets.2.yaml && sops updatekeys --yes secrets*.yaml",
        "cd repo && cp ../both.yaml secrets.yaml && SOPS_AGE_KEY= sops updatekeys -y secrets.yaml",
        "cd repo && cp ../eother.yaml secrets.yaml && sops updatekeys -y secrets.yaml",
        "cd repo && cp ../e.conf secrets.conf && sops updatekeys -y secrets.conf",
        "cd repo && cp ../e.conf secrets.conf && sops updatekeys -y --input-type yaml secrets.conf",
        "cd repo && sops updatekeys -y secrets.yaml",
        "cd repo && sops updatekeys -y below",
        "cd repo && sops updatekeys",
        "cd repo && sops updatekeys -y",
        "cd repo && sops updatekeys -y nowhere.yaml",
        "cd repo && cp ../changed.yaml secrets.yaml && sops updatekeys -y secrets.yaml",
        "cd repo && cp ../eshares.yaml secrets.yaml && sops updatekeys -y secrets.yaml",
        "cd repo && cp ../eshares.yaml shares.yaml && sops updatekeys -y shares.yaml",
        "sops updatekeys -y e.yaml",
        "sops --config repo/.sops.yaml updatekeys -y both.yaml",
        "SOPS_CONFIG=repo/.sops.yaml sops updatekeys -y both.yaml",
        "sops --config repo/.sops.yaml updatekeys -y e.yaml",
        "sops --config nowhere.yaml updatekeys -y e.yaml",
        "cd repo && cp ../both.yaml secrets.yaml && chmod 600 secrets.yaml && sops updatekeys -y secrets.yaml",
        "cd repo/below && cp ../../both.yaml secrets.yaml && sops updatekeys -y secrets.yaml",
    ]);
    for rule in ["secrets", "both", "regex", "shares", "broken", "nobody", "other", "twice"] {
        for (from, answer) in [("both", "y"), ("both", "n"), ("e", "y")] {
            lines.push(format!(
                "cd repo && cp ../{from}.yaml {rule}.yaml && echo {answer} | sops updatekeys {rule}.yaml"
            ));
        }
        lines.push(format!("cd repo && cp ../both.yaml {rule}.yaml && sops updatekeys -y {rule}.yaml"));
        lines.push(format!("cd repo && cp ../both.yaml {rule}.yaml && sops updatekeys {rule}.yaml"));
    }
    for extension in EXTENSIONS {
        lines.push(format!(
            "cd repo && cp ../both.{extension} secrets.{extension} && sops updatekeys -y secrets.{extension}"
        ));
    }
    lines
}

fn exec_env() -> Vec<String> {
    let mut lines = all(&[
        "sops exec-env e.env 'echo $USER_NAME:$PORT'",
        "sops exec-env e.env 'echo \"$TEXT:$EMPTY:$PASSWORD\"'",
        "sops exec-env --pristine e.env '/usr/bin/env | grep -v ^PWD= | grep -v ^_= | grep -v ^SHLVL= | sort'",
        "sops exec-env --same-process e.env 'echo $PASSWORD; exit 3'",
        "sops exec-env --same-process --pristine e.env 'echo $PASSWORD; exit 3'",
        "sops exec-env eflat.yaml 'echo $port $ratio $on $user'",
        "sops exec-env e.yaml true",
        "sops exec-env e.json true",
        "sops exec-env e.ini true",
        "sops exec-env e.txt 'echo $data'",
        "sops exec-env e.conf true",
        "sops exec-env e.env",
        "sops exec-env",
        "sops exec-env e.env true more",
        "sops exec-env e.env -- true",
        "sops exec-env -- e.env true",
        "sops exec-env nowhere.env true",
        "sops exec-env p.env true",
        "sops exec-env empty.env true",
        "sops exec-env folder true",
        "sops exec-env changed.yaml true",
        "sops exec-env eother.yaml true",
        "sops exec-env --user nobody e.env 'id -un; cat {} > /dev/null'",
        "sops exec-env --user nosuchuser e.env 'id -un'",
        "sops exec-env --user nobody e.env 'id; echo $HOME:$USER:$LOGNAME:$PORT'",
        "sops exec-env --user nobody --pristine e.env '/usr/bin/env | grep -v ^PWD= | grep -v ^_= | grep -v ^SHLVL= | sort'",
        "sops exec-env --user nobody --same-process e.env 'id; echo $HOME:$PORT; exit 3'",
        "sops exec-env --user nobody e.env 'exit 4'",
        "printf 'USER=me\\n' > d.env; sops -e -i -a $ME d.env; sops exec-env --user nobody d.env 'echo $USER:$LOGNAME'",
        "sops exec-env --background e.env true",
        "sops exec-env --background e.env 'exit 3'",
        "sops exec-env --background e.env 'echo $PORT > made; mv made ran'; until test -e ran; do sleep 0.1; done",
        "sops exec-env --background --same-process e.env true",
        "sops exec-env --decryption-order age,pgp e.env true",
        "sops exec-env --decryption-order age,age e.env true",
        "SOPS_DECRYPTION_ORDER=age,age sops exec-env e.env true",
        "sops exec-env --ignore-mac changed.yaml true",
        "echo in | sops exec-env e.env cat",
        "PASSWORD=old sops exec-env e.env 'echo $PASSWORD'",
        "sops exec-env e.env 'sh -c \"kill -9 \\$\\$\"'",
        "sops exec-env e.env nosuchprogram",
        "sops exec-env e.env ''",
        "sops exec-env estream.yaml 'echo $a:$b'",
        "printf 'A=1\\nA=2\\n' > d.env; sops -e -i -a $ME d.env; sops exec-env d.env 'echo $A'",
        "printf 'export A=1\\nB=\"two words\"\\nC = x # y\\n' > d.env; sops -e -i -a $ME d.env; sops exec-env d.env 'echo \"$A:$B:$C\"'",
        "printf 'PATH=/nowhere\\nLD_PRELOAD=\\n' > d.env; sops -e -i -a $ME d.env; sops exec-env d.env 'echo $PATH'",
        "printf 'a: 2020-01-02\\nb: 1e10\\nc: null\\nd: 1.0\\ne: \"x=y\"\\n' > d.yaml; sops -e -i -a $ME d.yaml; sops exec-env d.yaml 'echo \"$a:$b:$c:$d:$e\"'",
        "printf 'a=b: 1\\n' > d.yaml; sops -e -i -a $ME d.yaml; sops exec-env d.yaml true",
        "printf 'a-b: 1\\n' > d.yaml; sops -e -i -a $ME d.yaml; sops exec-env d.yaml '/usr/bin/env | grep a-b'",
        "printf '{\"a\": 1, \"b\": 0.00001, \"c\": 1e21}' > d.json; sops -e -i -a $ME d.json; sops exec-env d.json 'echo \"$a:$b:$c\"'",
    ]);
    for code in [1, 2, 3, 7, 100, 126, 127, 128, 200, 255] {
        lines.push(format!("sops exec-env e.env 'exit {code}'"));
        lines.push(format!("sops exec-file e.env 'cat {{}} > /dev/null; exit {code}'"));
    }
    for signal in ["TERM", "INT", "KILL"] {
        lines.push(format!("sops exec-env e.env 'kill -{signal} $$'"));
        lines.push(format!("sops exec-file --no-fifo e.env 'kill -{signal} $$'"));
    }
    lines
}

/// A command that ends before the real sops has opened its FIFO makes it fail: each reads its file, or has `--no-fifo`.
fn exec_file() -> Vec<String> {
    let mut lines = all(&[
        "sops exec-file e.env",
        "sops exec-file",
        "sops exec-file e.env 'cat {}' more",
        "sops exec-file e.env 'cat {} > /dev/null'",
        "sops exec-file --no-fifo e.env true",
        "sops exec-file nowhere.env 'cat {}'",
        "sops exec-file p.env 'cat {}'",
        "sops exec-file empty.env 'cat {}'",
        "sops exec-file folder 'cat {}'",
        "sops exec-file changed.yaml 'cat {}'",
        "sops exec-file --ignore-mac changed.yaml 'cat {}'",
        "sops exec-file eother.yaml 'cat {}'",
        "sops exec-file --no-fifo e.env 'stat -c %a {}'",
        "sops exec-file e.env 'stat -c %a {}; cat {} > /dev/null'",
        "sops exec-file e.env 'basename {}; cat {} > /dev/null'",
        "sops exec-file --no-fifo e.env 'basename {}'",
        "sops exec-file --no-fifo e.env 'basename {} | cut -c1-8'",
        "sops exec-file --filename x.env e.env 'cat {}; basename {}'",
        "sops exec-file --no-fifo --filename x.env e.env 'cat {}; basename {}; exit 9'",
        "sops exec-file --no-fifo --filename ../x.env e.env 'basename {}'",
        "sops exec-file --no-fifo --filename a/b.env e.env 'cat {}'",
        "sops exec-file --no-fifo e.env 'cat {} {}'",
        "TMPDIR=/tmp sops exec-file --user nobody e.env 'id -un; cat {} > /dev/null'",
        "sops exec-file --user nosuchuser e.env 'id -un'",
        "TMPDIR=/tmp sops exec-file --user nobody e.env 'cat {}; id; echo $HOME:$USER:$LOGNAME'",
        "TMPDIR=/tmp sops exec-file --user nobody --no-fifo e.env 'cat {}; stat -c %a:%U:%G {}; exit 3'",
        "TMPDIR=/tmp sops exec-file --user nobody --no-fifo --filename x.env e.env 'cat {}; basename {}'",
        "sops exec-file --background e.env 'cat {}'",
        "sops exec-file --background --no-fifo e.env 'exit 3'",
        "sops exec-file --background --user nosuchuser e.env true",
        "sops exec-file --decryption-order age,age e.env 'cat {}'",
        "sops exec-file e.env 'cat {} > /dev/null; nosuchprogram'",
        "echo in | sops exec-file e.env 'cat {} > /dev/null; cat'",
        "sops exec-file --input-type yaml e.conf 'cat {}'",
        "sops exec-file estream.yaml 'cat {}'",
    ]);
    for extension in EXTENSIONS {
        lines.push(format!("sops exec-file e.{extension} 'cat {{}}'"));
        lines.push(format!("sops exec-file --no-fifo e.{extension} 'cat {{}}'"));
        for kind in TYPES {
            lines.push(format!("sops exec-file --output-type {kind} e.{extension} 'cat {{}}'"));
        }
    }
    lines
}

fn groups() -> Vec<String> {
    let mut lines = all(&[
        "sops groups",
        "sops groups nonsense",
        "sops groups add",
        "sops groups add more",
        "sops groups add --age $OTHER",
        "sops groups add -f e.yaml --age $OTHER more",
        "sops groups add -f e.yaml --age $OTHER",
        "sops groups add --file e.yaml --age $OTHER --in-place",
        "sops groups add -f e.yaml -i --age $OTHER --age $ME",
        "sops groups add -f e.yaml -i --age $OTHER,$ME",
        "sops groups add -f e.yaml --age $OTHER --shamir-secret-sharing-threshold 2",
        "sops groups add -f e.yaml -i --age $OTHER --shamir-secret-sharing-threshold 1",
        "sops groups add -f e.yaml -i --age $OTHER --shamir-secret-sharing-threshold 3",
        "sops groups add -f e.yaml -i",
        "sops groups add -f e.yaml -i --age nonsense",
        "sops groups add -f e.yaml -i --age ''",
        "SOPS_AGE_RECIPIENTS=$OTHER sops groups add -f e.yaml -i --age $ME",
        "sops groups add -f eshares.yaml -i --age $OTHER",
        "sops groups add -f eshares.yaml -i --age $ME --shamir-secret-sharing-threshold 3",
        "sops groups add -f e.yaml -i --hc-vault-transit $VAULT",
        "sops groups add -f e.yaml -i --hc-vault-transit nonsense",
        "sops groups add -f eother.yaml -i --age $ME",
        "sops groups add -f p.yaml -i --age $ME",
        "sops groups add -f changed.yaml -i --age $ME",
        "sops groups add -f nowhere.yaml -i --age $ME",
        "sops groups add -f folder -i --age $ME",
        "sops groups add -f empty.yaml -i --age $ME",
        "sops groups add e.yaml --age $ME",
        "sops groups add --enable-local-keyservice=false -f e.yaml -i --age $OTHER",
        "cd repo && cp ../both.yaml secrets.yaml && sops groups add -i -f secrets.yaml --age $ME",
        "sops groups delete",
        "sops groups delete 0",
        "sops groups delete -f eshares.yaml",
        "sops groups delete -f eshares.yaml 0 1",
        "sops groups delete -f eshares.yaml x",
        "sops groups delete -f eshares.yaml ''",
        "sops groups delete -f eshares.yaml -- -1",
        "sops groups delete -f eshares.yaml 0",
        "sops groups delete -f eshares.yaml -i 1",
        "sops groups delete -f eshares.yaml -i 5",
        "sops groups delete --file eshares.yaml --in-place --shamir-secret-sharing-threshold 2 1",
        "sops groups delete -f eshares.yaml -i --shamir-secret-sharing-threshold 1 1",
        "sops groups delete -f e.yaml -i 0",
        "sops groups delete -f p.yaml -i 0",
        "sops groups delete -f nowhere.yaml -i 0",
        "sops groups delete -f eother.yaml -i 0",
        "sops groups delete --enable-local-keyservice=false -f eshares.yaml -i 1",
        "sops groups add -f eshares.yaml -i --age $OTHER && sops groups delete -f eshares.yaml -i 0",
        "sops groups add -f e.yaml -i --age $ME && sops groups delete -f e.yaml -i --shamir-secret-sharing-threshold 1 0",
    ]);
    for extension in EXTENSIONS {
        lines.push(format!("sops groups add -f e.{extension} --age $ME"));
        lines.push(format!("sops groups add -f e.{extension} -i --age $ME"));
    }
    lines
}

/// Places that are there are for `interop::keys`.
fn publish() -> Vec<String> {
    let mut lines = all(&[
        "sops publish",
        "sops publish e.yaml",
        "sops publish nowhere.yaml",
        "sops publish folder",
        "sops publish --yes --recursive folder",
        "sops publish --enable-local-keyservice=false -y e.yaml",
        "sops publish --verbose --decryption-order age -y e.yaml",
        "sops publish -y --omit-extensions e.yaml",
    ]);
    for rule in [
        "vault_path: x",
        "path_regex: other\\n    vault_path: x",
        "vault_path: x\\n    s3_bucket: y",
        "omit_extensions: true",
        "s3_bucket: x\\n    vault_kv_version: many",
    ] {
        for file in ["e.yaml", "p.yaml", "changed.yaml", "eother.yaml"] {
            lines.push(format!(
                "export VAULT_ADDR=http://127.0.0.1:1 VAULT_TOKEN=x VAULT_MAX_RETRIES=0; printf 'destination_rules:\\n  - {rule}\\n' > .sops.yaml; sops publish -y {file}"
            ));
        }
    }
    for answer in ["n", "y", ""] {
        lines.push(format!(
            "export VAULT_ADDR=http://127.0.0.1:1 VAULT_TOKEN=x VAULT_MAX_RETRIES=0; printf 'destination_rules:\\n  - vault_path: x\\n' > .sops.yaml; echo '{answer}' | sops publish e.yaml > /dev/null"
        ));
    }
    lines
}

fn filestatus() -> Vec<String> {
    let mut lines = all(&["sops filestatus", "sops filestatus e.yaml p.yaml", "sops filestatus < e.yaml"]);
    for extension in EXTENSIONS {
        for name in ["e", "p", "both", "empty"] {
            lines.push(format!("sops filestatus {name}.{extension}"));
        }
        for kind in TYPES {
            lines.push(format!("sops filestatus --input-type {kind} e.{extension}"));
        }
    }
    for name in ["eshares", "eother", "eregex", "estream", "flat", "secret", "stream", "list"] {
        lines.push(format!("sops filestatus {name}.yaml"));
    }
    lines
}

/// Where identities come from.
fn identities() -> Vec<String> {
    let mut lines = Vec::new();
    let keys = "mkdir -p $HOME/.config/sops/age; cp me.key $HOME/.config/sops/age/keys.txt;";
    for setup in [
        "export SOPS_AGE_KEY=;",
        "unset SOPS_AGE_KEY;",
        "unset SOPS_AGE_KEY; export SOPS_AGE_KEY_FILE=me.key;",
        "unset SOPS_AGE_KEY; export SOPS_AGE_KEY_FILE=other.key;",
        "unset SOPS_AGE_KEY; export SOPS_AGE_KEY_FILE=nowhere.key;",
        "unset SOPS_AGE_KEY; export SOPS_AGE_KEY_FILE=p.yaml;",
        "unset SOPS_AGE_KEY; export SOPS_AGE_KEY_FILE=folder;",
        "unset SOPS_AGE_KEY; export SOPS_AGE_KEY_CMD='cat me.key';",
        "unset SOPS_AGE_KEY; export SOPS_AGE_KEY_CMD=false;",
        "unset SOPS_AGE_KEY; export SOPS_AGE_KEY_CMD='cat nowhere.key';",
        "unset SOPS_AGE_KEY; export SOPS_AGE_KEY_CMD=/nowhere;",
        "export SOPS_AGE_KEY=$OTHER_IDENTITY;",
        "export SOPS_AGE_KEY=$OTHER_IDENTITY SOPS_AGE_KEY_FILE=me.key;",
        "export SOPS_AGE_KEY=nonsense;",
        "export SOPS_AGE_KEY=nonsense SOPS_AGE_KEY_FILE=me.key;",
        "export SOPS_AGE_KEY=$ME;",
        "export SOPS_AGE_KEY=\"$OTHER_IDENTITY $MY_IDENTITY\";",
        "export SOPS_AGE_KEY=\"# me\n$MY_IDENTITY\";",
        "unset SOPS_AGE_KEY; export SOPS_AGE_SSH_PRIVATE_KEY_FILE=nowhere;",
        "export SOPS_AGE_SSH_PRIVATE_KEY_FILE=nowhere;",
    ] {
        for command in ["sops -d e.yaml", "sops decrypt both.json", "sops rotate -i both.yaml"] {
            lines.push(format!("{setup} {command}"));
        }
    }
    for command in [
        "sops -d e.yaml",
        "XDG_CONFIG_HOME=$HOME/.config sops -d e.yaml",
        "XDG_CONFIG_HOME= sops -d e.yaml",
        "XDG_CONFIG_HOME=/nowhere sops -d e.yaml",
        "HOME=/nowhere XDG_CONFIG_HOME= sops -d e.yaml",
        "sops -d eother.yaml",
        "SOPS_AGE_KEY_FILE=other.key sops -d eother.yaml",
        "SOPS_AGE_KEY_FILE=other.key sops -d eshares.yaml",
        "sops exec-env eflat.yaml 'echo $user'",
    ] {
        lines.push(format!("unset SOPS_AGE_KEY; {keys} {command}"));
    }
    lines.extend(all(&[
        "sops -d eother.yaml",
        "sops -d eshares.yaml",
        "SOPS_AGE_KEY=$OTHER_IDENTITY sops -d eshares.yaml",
        "SOPS_AGE_KEY=\"$MY_IDENTITY $OTHER_IDENTITY\" sops -d eshares.yaml",
        "sops -d --decryption-order age,pgp e.yaml",
        "sops -d --decryption-order pgp,age e.yaml",
        "sops -d --decryption-order pgp e.yaml",
        "sops -d --decryption-order nonsense e.yaml",
        "sops -d --decryption-order age,age e.yaml",
        "sops -d --decryption-order '' e.yaml",
        "sops decrypt --decryption-order age,age e.yaml",
        "sops edit --decryption-order age,age e.yaml",
        "sops set --decryption-order age,age e.yaml '[\"user\"]' 1",
        "sops unset --decryption-order age,age e.yaml '[\"user\"]'",
        "sops --decryption-order age,age decrypt e.yaml",
        "SOPS_DECRYPTION_ORDER=pgp,age sops -d e.yaml",
        "SOPS_DECRYPTION_ORDER=age,age sops -d e.yaml",
        "SOPS_DECRYPTION_ORDER=age,age sops decrypt e.yaml",
        "SOPS_DECRYPTION_ORDER=age,age sops decrypt --decryption-order age e.yaml",
        "sops -d --enable-local-keyservice e.yaml",
        "sops -d --enable-local-keyservice=true e.yaml",
        "sops -d --enable-local-keyservice=false e.yaml",
        "sops decrypt --enable-local-keyservice=false e.yaml",
        "SOPS_ENABLE_LOCAL_KEYSERVICE=false sops -d e.yaml",
        "SOPS_ENABLE_LOCAL_KEYSERVICE=true sops decrypt e.yaml",
        "sops encrypt --enable-local-keyservice=false -a $ME p.yaml",
        "sops -e -i -a \"$(cat id.pub)\" p.yaml; SOPS_AGE_SSH_PRIVATE_KEY_FILE=id sops -d p.yaml",
        "sops -e -i -a \"$(cat id.pub)\" p.yaml; SOPS_AGE_SSH_PRIVATE_KEY_CMD='cat id' sops -d p.yaml",
        "mkdir $HOME/.ssh; mv id $HOME/.ssh/id_ed25519; sops -e -i -a \"$(cat id.pub)\" p.yaml; sops -d p.yaml",
        "sops -e -i -a \"$(cat id.pub)\" p.yaml; sops -d p.yaml",
    ]));
    lines
}

/// Transit keys of a real server.
fn vault() -> Vec<String> {
    let mut lines = all(&[
        "sops -e --hc-vault-transit $VAULT,$VAULT_NEXT p.yaml > v.yaml && sops -d v.yaml",
        "sops -e --hc-vault-transit $VAULT -a $ME p.yaml > v.yaml && VAULT_TOKEN= sops -d v.yaml",
        "SOPS_VAULT_URIS=$VAULT sops encrypt p.yaml > v.yaml && sops -d v.yaml",
        "sops encrypt --hc-vault-transit $VAULT p.yaml > v.yaml && VAULT_TOKEN=wrong sops -d v.yaml",
        "sops encrypt --hc-vault-transit $VAULT p.yaml > v.yaml && VAULT_TOKEN= sops -d v.yaml",
        "sops encrypt --hc-vault-transit $VAULT p.yaml > v.yaml && unset VAULT_TOKEN && sops -d v.yaml",
        "sops encrypt --hc-vault-transit $VAULT p.yaml > v.yaml && printf %s \"$VAULT_TOKEN\" > $HOME/.vault-token && unset VAULT_TOKEN && sops -d v.yaml",
        "sops encrypt --hc-vault-transit $VAULT p.yaml > v.yaml && unset VAULT_ADDR && sops -d v.yaml",
        "sops encrypt --hc-vault-transit $VAULT p.yaml > v.yaml && VAULT_ADDR=http://127.0.0.1:1 sops -d v.yaml",
        "sops encrypt --hc-vault-transit $VAULT p.yaml > v.yaml && SOPS_HC_VAULT_ALLOWLIST=none sops -d v.yaml",
        "sops encrypt --hc-vault-transit $VAULT p.yaml > v.yaml && SOPS_HC_VAULT_ALLOWLIST=all sops -d v.yaml",
        "VAULT_TOKEN=wrong sops encrypt --hc-vault-transit $VAULT p.yaml",
        "sops encrypt --hc-vault-transit ${VAULT}missing/x p.yaml",
        "sops encrypt --hc-vault-transit nonsense p.yaml",
        "sops encrypt --hc-vault-transit $VAULT/ p.yaml",
        "sops rotate --add-hc-vault-transit $VAULT -i e.yaml && SOPS_AGE_KEY= sops -d e.yaml",
        "sops rotate --rm-hc-vault-transit $VAULT -i e.yaml",
        "sops rotate --add-hc-vault-transit nonsense -i e.yaml",
        "sops encrypt --hc-vault-transit $VAULT -a $ME -i p.yaml && sops rotate --rm-hc-vault-transit $VAULT -i p.yaml",
        "sops encrypt --hc-vault-transit $VAULT -i p.yaml && sops rotate -i p.yaml",
        "sops encrypt --hc-vault-transit $VAULT -i p.yaml && sops set p.yaml '[\"user\"]' 1",
        "sops encrypt --hc-vault-transit $VAULT -i p.env && sops exec-env p.env 'echo $PASSWORD'",
        "sops encrypt --hc-vault-transit $VAULT -a $ME -i p.yaml && sops -d --decryption-order hc_vault,age p.yaml",
        "sops encrypt --hc-vault-transit $VAULT -i p.yaml && sops filestatus p.yaml",
        "cd repo && printf 'creation_rules:\\n  - hc_vault_transit_uri: %s\\n' $VAULT > .sops.yaml && sops encrypt other.yaml",
        "cd repo && printf 'creation_rules:\\n  - hc_vault_transit_uri: %s\\n' $VAULT > .sops.yaml && cp ../e.yaml other.yaml && sops updatekeys -y other.yaml",
        "cd repo && printf 'creation_rules:\\n  - key_groups: [{hc_vault: [%s], age: [%s]}]\\n' $VAULT $ME > .sops.yaml && sops encrypt other.yaml",
    ]);
    for extension in EXTENSIONS {
        lines.push(format!(
            "sops encrypt --hc-vault-transit $VAULT p.{extension} > v.{extension} && sops -d v.{extension}"
        ));
        lines.push(format!(
            "\"$REAL\" encrypt --hc-vault-transit $VAULT p.{extension} > v.{extension} && sops rotate -i v.{extension}"
        ));
    }
    lines
}

/// Every command on files that are not as they should be.
fn bad_input() -> Vec<String> {
    let mut lines = Vec::new();
    let files = [
        "bad.yaml",
        "bad.json",
        "bad.env",
        "empty.yaml",
        "empty.json",
        "empty.env",
        "empty.ini",
        "empty.txt",
        "list.yaml",
        "reserved.yaml",
        "p.yaml",
        "p.txt",
        "e.yaml",
        "wide.yaml",
        "changed.yaml",
        "moved.yaml",
        "cut.yaml",
        "nomac.yaml",
        "noversion.yaml",
        "nolastmodified.yaml",
        "future.yaml",
        "doubled.yaml",
        "conflict.yaml",
        "eother.yaml",
        "folder",
        "nowhere.yaml",
    ];
    for file in files {
        for command in [
            "sops -d FILE",
            "sops decrypt -i FILE",
            "sops decrypt --ignore-mac FILE",
            "sops -e -a $ME FILE",
            "sops encrypt -a $ME -i FILE",
            "sops rotate -i FILE",
            "sops set FILE '[\"user\"]' 1",
            "sops unset FILE '[\"password\"]'",
            "EDITOR='sed -i s/swordfish/x/' sops edit FILE",
            "sops exec-env FILE true",
            "sops exec-file --no-fifo FILE 'cat {}'",
            "sops filestatus FILE",
            "sops --config repo/.sops.yaml updatekeys -y FILE",
        ] {
            lines.push(command.replace("FILE", file));
        }
    }
    lines
}

/// What is understood of a command line, and what not.
fn usage() -> Vec<String> {
    let mut lines = all(&[
        "sops",
        "sops -d",
        "sops -e",
        "sops -r",
        "sops --nonsense",
        "sops -d --nonsense e.yaml",
        "sops decrypt --nonsense e.yaml",
        "sops nonsense",
        "sops nonsense e.yaml",
        "sops -d --input-type",
        "sops decrypt --extract",
        "sops decrypt --set x e.yaml",
        "sops -d=maybe e.yaml",
        "sops decrypt -i=maybe e.yaml",
        "sops -di e.yaml",
        "sops -x e.yaml",
        "sops - < e.yaml",
        "sops -d - < e.yaml",
        "sops decrypt - < e.yaml",
        "sops -d ''",
        "sops ''",
        "sops -- -d e.yaml",
        "sops --version > /dev/null",
        "sops -v > /dev/null",
        "sops --version --disable-version-check > /dev/null",
        "sops --help > /dev/null",
        "sops -h > /dev/null",
        "sops help > /dev/null",
        "sops help decrypt > /dev/null",
        "sops decrypt --help > /dev/null",
        "sops decrypt -h > /dev/null",
        "sops completion bash > /dev/null",
        "sops completion zsh > /dev/null",
        "sops completion",
        "sops completion nonsense > /dev/null",
        "sops --disable-version-check -d e.yaml",
        "SOPS_DISABLE_VERSION_CHECK=1 sops -d e.yaml",
        "sops -d e.yaml > /dev/full",
        "sops -d e.yaml --output-type json",
        "sops decrypt e.yaml --output-type json",
        "sops set e.yaml --idempotent '[\"user\"]' '\"admin\"'",
        "sops encrypt p.yaml -a $ME",
        "sops decrypt e.yaml -i",
    ]);
    for command in [
        "encrypt",
        "decrypt",
        "rotate",
        "edit",
        "set",
        "unset",
        "updatekeys",
        "exec-env",
        "exec-file",
        "filestatus",
    ] {
        lines.push(format!("sops {command} --nonsense"));
        lines.push(format!("sops {command} --input-type"));
        lines.push(format!("sops {command} --help > /dev/null"));
        lines.push(format!("sops -i -a $ME {command}"));
    }
    lines
}

/// The flags that most commands have.
fn shared_flags() -> Vec<String> {
    let mut lines = Vec::new();
    for (command, rest) in [
        ("encrypt", "-a $ME p.yaml"),
        ("decrypt", "e.yaml"),
        ("rotate", "-i e.yaml"),
        ("edit", "e.yaml"),
        ("set", "e.yaml '[\"password\"]' '\"x\"'"),
        ("unset", "e.yaml '[\"password\"]'"),
        ("exec-env", "eflat.yaml 'echo $user'"),
        ("exec-file", "e.yaml 'cat {}'"),
        ("updatekeys", "-y secrets.yaml"),
    ] {
        let before = match command {
            "edit" => "EDITOR='sed -i s/swordfish/x/' ",
            "updatekeys" => "cd repo && cp ../both.yaml secrets.yaml && ",
            _ => "",
        };
        for flag in [
            "--enable-local-keyservice",
            "--enable-local-keyservice=false",
            "--keyservice tcp://127.0.0.1:1",
            "--enable-local-keyservice=false --keyservice tcp://127.0.0.1:1",
        ] {
            lines.push(format!("{before}sops {command} {flag} {rest}"));
        }
    }
    let new = "EDITOR=\"sh -c 'echo \\\"user: admin\\\" > \\$0'\" sops edit";
    for flag in [
        "--unencrypted-suffix er",
        "--encrypted-suffix er",
        "--unencrypted-regex ^us",
        "--encrypted-regex ^us",
        "--shamir-secret-sharing-threshold 2",
        "--hc-vault-transit $VAULT",
    ] {
        lines.push(format!("{new} -a $ME {flag} new.yaml"));
    }
    lines
}

/// As other programs call it.
fn clients() -> Vec<String> {
    all(&[
        // helm-secrets, standard error along with standard output.
        "sops --decrypt --input-type yaml --output-type yaml e.yaml 2>&1",
        "sops --decrypt --input-type yaml --output-type yaml --in-place e.yaml",
        "sops --decrypt --input-type yaml --output-type yaml --output out.yaml e.yaml 2>&1",
        "sops --decrypt --input-type json --output-type json --output out.json e.json 2>&1",
        "sops --decrypt --input-type binary --output-type binary e.txt 2>&1",
        "cat e.json | sops --decrypt --input-type json --output-type json /dev/stdin 2>&1",
        "cd repo && sops --encrypt --input-type yaml --output-type yaml secrets.yaml",
        "cd repo && sops --encrypt --input-type yaml --output-type yaml --in-place secrets.yaml",
        "cd repo && sops --encrypt --input-type yaml --output-type yaml --output out.yaml secrets.yaml",
        "cd repo && sops --encrypt --input-type binary --output-type binary secrets.txt",
        "EDITOR='sed -i s/swordfish/correct-horse/' sops --input-type yaml --output-type yaml e.yaml",
        // Ansible's community.sops.
        "cat e.yaml | sops --input-type yaml --output-type json --decrypt /dev/stdin",
        "cd repo && cat secrets.yaml | sops --age $ME --input-type yaml --output-type yaml --encrypt /dev/stdin",
        "cat p.yaml | sops --age $ME --input-type yaml --output-type yaml --encrypt /dev/stdin",
        "cat p.yaml | sops encrypt --age $ME --input-type yaml --output-type yaml --filename-override x.yaml",
        "sops decrypt --input-type yaml --output-type json e.yaml",
        "sops filestatus --input-type yaml e.yaml",
        "sops --config repo/.sops.yaml decrypt --input-type yaml --output-type json --extract '[\"deep\"]' /dev/stdin < e.yaml",
        "sops decrypt --enable-local-keyservice=true --decryption-order age,pgp --input-type yaml --output-type yaml e.yaml",
        "cat p.yaml | sops encrypt --age $ME --encrypted-regex ^pass --input-type yaml --output-type yaml --filename-override $PWD/x.yaml /dev/stdin",
        "cat p.txt | sops encrypt --age $ME --input-type binary --output-type binary --filename-override $PWD/x.bin /dev/stdin",
        "cd repo && cat secrets.json | sops encrypt --input-type json --output-type json --filename-override $PWD/secrets.json /dev/stdin",
        "sops filestatus $PWD/e.yaml",
        // sopsy.
        "sops --config repo/.sops.yaml decrypt --extract '[\"user\"]' --input-type yaml e.yaml",
        "sops --config repo/.sops.yaml decrypt --input-type json --filename-override dummy.json < e.json",
        "sops --config repo/.sops.yaml decrypt --input-type env --filename-override dummy.env < e.env",
        "sops --config repo/.sops.yaml decrypt --in-place --output-type json e.yaml",
        "sops --config repo/.sops.yaml encrypt --in-place repo/secrets.json",
        "sops --config repo/.sops.yaml encrypt --input-type yaml --filename-override repo/secrets.yaml < p.yaml",
        "sops --config repo/.sops.yaml rotate --in-place e.env",
        // Terraform's and editors' ways.
        "sops --decrypt --output-type json e.yaml",
        "sops --encrypt --in-place --age $ME --unencrypted-regex ^user p.yaml",
        "sops -d --output-type json e.env",
        "sops --decrypt --output-type binary e.yaml",
        // kustomize generators and Makefiles.
        "sops -d e.yaml > d.yaml && sops -e -a $ME d.yaml > x.yaml",
        "for f in e.yaml e.json e.env; do sops -d -i $f; done",
        "sops -d e.env | grep USER",
        "sops -d e.yaml | head -c 4",
        "sops exec-env e.env 'env' | grep -c USER_NAME",
    ])
}

/// What sops has, and we do not have yet.
fn not_built() -> Vec<String> {
    all(&[
        "sops keyservice --network unix --address /nowhere/sops.sock",
        "sops -d --keyservice tcp://127.0.0.1:1 e.yaml",
        "SOPS_KEYSERVICE=tcp://127.0.0.1:1 sops decrypt e.yaml",
    ])
}
