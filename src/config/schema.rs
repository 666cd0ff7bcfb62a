//! Reads what a config says: sops's `.sops.yaml` (`config/config.go` of getsops/sops) and Sealant's addition to it.
//!
//! Owns how each key of [`keys`](super::keys) is read, and what is wrong with a config that has others. Finding the
//! file and choosing a rule are done elsewhere.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

use super::keys::{self, Table};
use crate::config::destination::{DestinationRule, KvPlace, KvVersion, Target};
use crate::config::re2::Patterns;
use crate::config::selection::{self, Selection, SelectionKind};
use crate::config::yaml::{self, Entry, Node, Value};
use crate::error::{Error, Kind, Result};
use crate::hints::{conflict_line, nearest};
use crate::names::Names;

/// Whose manners to follow where sops and Sealant differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Unknown keys are errors; a file's own directory is searched before the working directory.
    #[default]
    Sealant,
    /// Unknown keys are ignored; the working directory alone is searched. For when we are called as `sops`.
    Sops,
}

/// The longest pattern of paths, which is the longest path.
const LONGEST_GLOB: usize = 4096;

/// How much of one a message shows.
const LONGEST_SHOWN: usize = 100;

/// A master key as a creation rule names it. It is checked where master keys are made, not here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeySpec {
    /// A recipient.
    Age(String),
    /// A fingerprint.
    Pgp(String),
    Kms {
        arn: String,
        role: Option<String>,
        context: BTreeMap<String, String>,
        aws_profile: Option<String>,
    },
    /// A resource id.
    GcpKms(String),
    /// `region:key-uuid`.
    Hckms(String),
    AzureKv {
        vault_url: String,
        name: String,
        version: Option<String>,
    },
    /// The URI of a Vault transit key.
    HcVault(String),
}

impl KeySpec {
    /// A key of any kind, by what its name looks like. What looks like none is an age recipient, which says what is wrong
    /// with it.
    pub fn of_text(text: &str) -> Self {
        let text = text.trim();
        let bare = without_blanks(text);
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_huawei = bare
            .split_once(':')
            .is_some_and(|(region, id)| !region.is_empty() && id.len() == 36 && is_hex(&id.replace('-', "")));
        match azure(text) {
            _ if text.starts_with("arn:") => Self::kms(text, None),
            _ if text.starts_with("projects/") => Self::GcpKms(bare),
            // A key of Vault has more before `/keys/` than a host.
            Some(azure) => azure,
            None if text.contains("://") => Self::HcVault(text.to_owned()),
            None if bare.len() == 40 && is_hex(&bare) => Self::Pgp(bare),
            None if is_huawei => Self::Hckms(bare),
            None => Self::Age(text.to_owned()),
        }
    }

    /// A KMS key as flags and flat rules have it: `ARN` or `ARN+ROLE`, where the role is an ARN too.
    pub fn kms(text: &str, profile: Option<&str>) -> Self {
        let text = without_blanks(text);
        let (arn, role) = match text.find("+arn:").filter(|at| *at > 0) {
            Some(at) => (text[..at].to_owned(), Some(text[at + 1..].to_owned())),
            None => (text, None),
        };
        Self::Kms { arn, role, context: BTreeMap::new(), aws_profile: profile.map(str::to_owned) }
    }
}

/// A [`KeySpec`] and the line of the config on which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleKey {
    pub spec: KeySpec,
    pub line: usize,
}

/// One entry of `creation_rules`.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) line: usize,
    /// `None` matches every path.
    pub(super) path_regex: Option<Regex>,
    /// As it was written: the regex that was compiled from it spells differently.
    pub(super) pattern: Option<String>,
    /// No group at all, when the rule names no key.
    pub(super) key_groups: Vec<Vec<RuleKey>>,
    pub(super) shamir_threshold: Option<usize>,
    /// More than one is an error as soon as the rule is used: sops minds no other rule.
    pub(super) selections: Vec<Selection>,
    pub(super) mac_only_encrypted: bool,
    pub(super) pin: Option<PinSpec>,
}

/// Where the SealedSecrets of a rule belong, as the rule's `sealant:` key spells it. The scope is checked where it is
/// used, as master keys are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinSpec {
    pub line: usize,
    pub scope: Option<String>,
    pub namespace: Option<String>,
    pub name: Option<String>,
}

/// How sops's stores indent. Sealant keeps a document's own indent and needs this for new documents alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stores {
    /// Blanks per level of a YAML document; 0 is sops's default, 4.
    pub yaml_indent: usize,
    /// Blanks per level of a JSON document; `None` is a tab.
    pub json_indent: Option<usize>,
    /// Blanks per level of the JSON around an encrypted binary; `None` is a tab.
    pub json_binary_indent: Option<usize>,
}

/// What a config's text says.
#[derive(Debug, Default)]
pub(super) struct Schema {
    /// `None`: there is no such key, and all is as if there were no config.
    pub(super) creation_rules: Option<Vec<Rule>>,
    pub(super) destination_rules: Vec<DestinationRule>,
    pub(super) stores: Stores,
    /// Files that `check` skips, relative to the config's folder.
    pub(super) check_exclude: Vec<GlobMatcher>,
    /// Whether there has to be an audit log.
    pub(super) audit: bool,
    /// What people call recipients.
    pub(super) names: Names,
}

/// Reads a config. Every rule is checked, not only the one that a file will need.
pub(super) fn parse(text: &str, dialect: Dialect, patterns: &Patterns) -> Result<Schema> {
    let (root, second_document) = yaml::parse(text).map_err(|error| in_conflict(text).unwrap_or(error))?;
    let reader = Reader { dialect, patterns };
    if let (Some(line), Dialect::Sealant) = (second_document, dialect) {
        return Err(Error::new(
            Kind::Config,
            "a config must be a single document, and here a second one begins",
        )
        .on_line(line));
    }
    reader.top(root)
}

/// Whether a text is YAML.
pub(super) fn syntax(text: &str) -> Result<()> {
    yaml::parse(text).map(drop).map_err(|error| in_conflict(text).unwrap_or(error))
}

/// What is said of a config that two branches have changed, most often each to let somebody in.
fn in_conflict(text: &str) -> Option<Error> {
    let line = conflict_line(text)?;
    Some(Error::new(Kind::Config, "a merge conflict of Git begins here").on_line(line).advise(
        "Keep one side, `git checkout --ours FILE` or `--theirs`; add the key that only the other one has, \
         `sealant recipient add NAME KEY`; then `git add FILE`",
    ))
}

struct Reader<'p> {
    dialect: Dialect,
    patterns: &'p Patterns,
}

/// Refuses more than one way to select leaves in the rule of this line.
pub(super) fn refuse_several(selections: &[Selection], line: usize) -> Result<()> {
    if selections.len() < 2 {
        return Ok(());
    }
    let names: Vec<_> = selections.iter().map(|selection| format!("`{}`", selection.field_name())).collect();
    let message = format!("a rule can have only one of these, but this one has {}", names.join(" and "));
    Err(Error::new(Kind::Config, message).on_line(line).advise("Keep one of them."))
}

impl Reader<'_> {
    fn top(&self, root: Node) -> Result<Schema> {
        let mut schema = Schema::default();
        let mut fields = self.fields(root, &keys::TOP, |entry| {
            // The usual place for anchors (`keys: [&alice age1...]`); a misspelt key is still told apart.
            entry.value.anchored && nearest(&entry.key, keys::TOP.names()).is_none()
        })?;
        if let Some(rules) = fields.node("creation_rules") {
            schema.creation_rules =
                Some(list(rules, "creation_rules")?.map(|rule| self.rule(rule)).collect::<Result<_>>()?);
        }
        for rule in fields.list("destination_rules")? {
            schema.destination_rules.push(self.destination_rule(rule)?);
        }
        if let Some(stores) = fields.node("stores") {
            schema.stores = self.stores(stores)?;
        }
        if let Some(own) = fields.node("sealant") {
            let mut own = self.fields(own, &keys::SEALANT, |_| false)?;
            // This holds under whatever name the program is called.
            schema.audit = own.flag("audit")?;
            if self.dialect == Dialect::Sops {
                return Ok(schema);
            }
            schema.names = self.names(&mut own)?;
            if let Some(check) = own.node("check") {
                let mut check = self.fields(check, &keys::CHECK, |_| false)?;
                schema.check_exclude = check
                    .list("exclude")?
                    .map(|node| glob(node, "exclude", self.patterns))
                    .collect::<Result<_>>()?;
            }
        }
        Ok(schema)
    }

    /// What paths a rule is for, compiled and as it was written.
    fn path_regex(&self, fields: &mut Fields) -> Result<Option<(Regex, String)>> {
        let Some((pattern, line)) = fields.text("path_regex")? else { return Ok(None) };
        let regex = selection::compile("path_regex", &pattern, self.patterns);
        Ok(Some((regex.map_err(|error| error.on_line(line))?, pattern)))
    }

    /// What people call recipients: each name is that of one.
    fn names(&self, own: &mut Fields) -> Result<Names> {
        let line = own.line_of("recipients");
        let names = Names::new(own.text_map("recipients")?);
        let Some((one, other, name)) = names.shared() else { return Ok(names) };
        let message = format!("two keys have the name `{name}`: {one} and {other}");
        Err(Error::new(Kind::Config, message)
            .on_line(line)
            .advise("People would mistake one key for the other: give each key a name of its own."))
    }

    fn rule(&self, node: Node) -> Result<Rule> {
        let line = node.line;
        let mut fields = self.fields(node, &keys::RULE, |_| false)?;
        let (path_regex, pattern) = self.path_regex(&mut fields)?.unzip();
        let flat = Self::flat_keys(&mut fields)?;
        let groups = self.groups(fields.list("key_groups")?)?;
        Ok(Rule {
            line,
            path_regex,
            pattern,
            key_groups: match (groups.is_empty(), flat.is_empty()) {
                (false, _) => groups,
                (true, false) => vec![flat],
                (true, true) => Vec::new(),
            },
            shamir_threshold: fields.number("shamir_threshold", 0)?.filter(|threshold| *threshold > 0),
            selections: self.selections(&mut fields, line)?,
            mac_only_encrypted: fields.flag("mac_only_encrypted")?,
            pin: self.pin(&mut fields)?,
        })
    }

    /// The place of SealedSecrets. sops knows no such key, and reads past it.
    fn pin(&self, rule: &mut Fields) -> Result<Option<PinSpec>> {
        let Some(node) = rule.node("sealant").filter(|_| self.dialect == Dialect::Sealant) else {
            return Ok(None);
        };
        let line = node.line;
        let mut fields = self.fields(node, &keys::PIN, |_| false)?;
        let mut text = |name| Ok::<_, Error>(fields.text(name)?.map(|(text, _)| text));
        Ok(Some(PinSpec { line, scope: text("scope")?, namespace: text("namespace")?, name: text("name")? }))
    }

    fn selections(&self, fields: &mut Fields, rule_line: usize) -> Result<Vec<Selection>> {
        let mut given = Vec::new();
        for kind in SelectionKind::ALL {
            if let Some((pattern, line)) = fields.text(kind.field_name())? {
                let selection = Selection::among(kind, pattern, self.patterns);
                given.push(selection.map_err(|error| error.on_line(line))?);
            }
        }
        if self.dialect == Dialect::Sealant {
            refuse_several(&given, rule_line)?;
        }
        Ok(given)
    }

    /// The keys of a rule without groups, in sops's order.
    fn flat_keys(fields: &mut Fields) -> Result<Vec<RuleKey>> {
        let profile = fields.text("aws_profile")?.map(|(profile, _)| profile);
        let mut keys = Vec::new();
        let mut add = |field, fields: &mut Fields, spec: &dyn Fn(&str) -> Option<KeySpec>| -> Result<()> {
            for (text, line) in fields.comma_list(field)? {
                let wrong =
                    || Error::new(Kind::Config, format!("`{text}` is not a key for `{field}`")).on_line(line);
                keys.push(RuleKey { spec: spec(&text).ok_or_else(wrong)?, line });
            }
            Ok(())
        };
        add("age", fields, &|text| Some(KeySpec::Age(text.to_owned())))?;
        add("pgp", fields, &|text| Some(KeySpec::Pgp(without_blanks(text))))?;
        add("kms", fields, &|text| Some(KeySpec::kms(text, profile.as_deref())))?;
        add("gcp_kms", fields, &|text| Some(KeySpec::GcpKms(without_blanks(text))))?;
        add("hckms", fields, &|text| Some(KeySpec::Hckms(text.to_owned())))?;
        add("azure_keyvault", fields, &azure)?;
        add("hc_vault_transit_uri", fields, &|text| Some(KeySpec::HcVault(text.to_owned())))?;
        Ok(deduplicated(keys))
    }

    fn groups(&self, groups: impl Iterator<Item = Node>) -> Result<Vec<Vec<RuleKey>>> {
        groups.map(|group| Ok(deduplicated(self.group(group)?))).collect()
    }

    /// The keys of a group, those of the groups it merges first, in sops's order.
    fn group(&self, node: Node) -> Result<Vec<RuleKey>> {
        let mut fields = self.fields(node, &keys::GROUP, |_| false)?;
        let mut keys = Vec::new();
        for merged in fields.list("merge")? {
            keys.extend(self.group(merged)?);
        }
        for item in fields.list("age")? {
            let recipients = parts(item, "age")?.into_iter();
            keys.extend(recipients.map(|(one, line)| RuleKey { spec: KeySpec::Age(one), line }));
        }
        for item in fields.list("pgp")? {
            let (fingerprint, line) = text(item, "pgp")?;
            keys.push(RuleKey { spec: KeySpec::Pgp(without_blanks(&fingerprint)), line });
        }
        for item in fields.list("kms")? {
            let line = item.line;
            let mut key = self.fields(item, &keys::KMS_KEY, |_| false)?;
            let spec = KeySpec::Kms {
                arn: key.required("arn", line)?,
                role: key.text("role")?.map(|(role, _)| role),
                context: key.text_map("context")?,
                aws_profile: key.text("aws_profile")?.map(|(profile, _)| profile),
            };
            keys.push(RuleKey { spec, line });
        }
        for item in fields.list("gcp_kms")? {
            let line = item.line;
            let id = self.fields(item, &keys::GCP_KEY, |_| false)?.required("resource_id", line)?;
            keys.push(RuleKey { spec: KeySpec::GcpKms(without_blanks(&id)), line });
        }
        for item in fields.list("hckms")? {
            let line = item.line;
            let id = self.fields(item, &keys::HCKMS_KEY, |_| false)?.required("key_id", line)?;
            keys.push(RuleKey { spec: KeySpec::Hckms(id), line });
        }
        for item in fields.list("azure_keyvault")? {
            let line = item.line;
            let mut key = self.fields(item, &keys::AZURE_KEY, |_| false)?;
            let spec = KeySpec::AzureKv {
                vault_url: key.required("vaultUrl", line)?,
                name: key.required("key", line)?,
                version: key.text("version")?.map(|(version, _)| version),
            };
            keys.push(RuleKey { spec, line });
        }
        for item in fields.list("hc_vault")? {
            let (uri, line) = text(item, "hc_vault")?;
            keys.push(RuleKey { spec: KeySpec::HcVault(uri.trim().to_owned()), line });
        }
        Ok(keys)
    }

    fn destination_rule(&self, node: Node) -> Result<DestinationRule> {
        let line = node.line;
        let mut fields = self.fields(node, &keys::DESTINATION, |_| false)?;
        let (path_regex, pattern) = self.path_regex(&mut fields)?.unzip();
        let mut text = |name: &str| Ok::<_, Error>(fields.text(name)?.map(|(text, _)| text));
        let s3 = text("s3_bucket")?.zip(Some(text("s3_prefix")?.unwrap_or_default()));
        let gcs = text("gcs_bucket")?.zip(Some(text("gcs_prefix")?.unwrap_or_default()));
        let (path, address, mount) =
            (text("vault_path")?, text("vault_address")?, text("vault_kv_mount_name")?);
        let version = match fields.number("vault_kv_version", 0)? {
            Some(1_u8) => KvVersion::One,
            _ => KvVersion::Two,
        };
        let vault = path.map(|path| KvPlace {
            address: address.map(|address| address.trim_end_matches('/').to_owned()),
            mount: mount.as_deref().unwrap_or("secret").trim_matches('/').to_owned(),
            path: path.trim_matches('/').to_owned(),
            version,
        });
        let targets = [
            s3.map(|(bucket, prefix)| Target::S3 { bucket, prefix }),
            gcs.map(|(bucket, prefix)| Target::Gcs { bucket, prefix }),
            vault.map(Target::Vault),
        ];
        let omit_extensions = fields.flag("omit_extensions")?;
        let recreation = fields.node("recreation_rule").map(|rule| self.rule(rule)).transpose()?;
        let targets = targets.into_iter().flatten().collect();
        Ok(DestinationRule { line, path_regex, pattern, targets, omit_extensions, recreation })
    }

    fn stores(&self, node: Node) -> Result<Stores> {
        let mut stores = self.fields(node, &keys::STORES, |_| false)?;
        for (store, table) in [("dotenv", &keys::DOTENV_STORE), ("ini", &keys::INI_STORE)] {
            if let Some(node) = stores.node(store) {
                self.fields(node, table, |_| false)?;
            }
        }
        let mut indent = |store: &str, table: &Table, least: i64| -> Result<Option<i64>> {
            let Some(node) = stores.node(store) else { return Ok(None) };
            self.fields(node, table, |_| false)?.number("indent", least)
        };
        let spaces = |indent: Option<i64>| indent.and_then(|spaces| usize::try_from(spaces).ok());
        Ok(Stores {
            yaml_indent: spaces(indent("yaml", &keys::YAML_STORE, 0)?).unwrap_or_default(),
            json_indent: spaces(indent("json", &keys::JSON_STORE, -1)?),
            json_binary_indent: spaces(indent("json_binary", &keys::JSON_BINARY_STORE, -1)?),
        })
    }

    /// The fields of a mapping: those of the table, and those that `excused` allows besides.
    fn fields(&self, node: Node, table: &Table, excused: impl Fn(&Entry) -> bool) -> Result<Fields> {
        let entries = match node.value {
            Value::Null => Vec::new(),
            Value::Map(entries) => entries,
            other => {
                let message = format!("{} has to be a mapping, not {}", table.what, other.describe());
                return Err(Error::new(Kind::Config, message).on_line(node.line));
            }
        };
        if self.dialect == Dialect::Sealant {
            let is_known = |entry: &Entry| table.names().any(|name| name == entry.key);
            let unknown = entries.iter().find(|entry| !is_known(entry) && !excused(entry));
            if let Some(entry) = unknown {
                return Err(unknown_key(entry, table));
            }
        }
        Ok(Fields(entries))
    }
}

fn unknown_key(entry: &Entry, table: &Table) -> Error {
    let mut message = format!("unknown key `{}` in {}", entry.key, table.what);
    match nearest(&entry.key, table.names()) {
        Some(name) => message.push_str(&format!("; did you mean `{name}`?")),
        None => message.push_str(&format!("; it can have {}", table.names().collect::<Vec<_>>().join(", "))),
    }
    Error::new(Kind::Config, message).on_line(entry.line)
}

/// The entries of a mapping, taken out by name.
struct Fields(Vec<Entry>);

impl Fields {
    /// The field's value, unless it is absent or nothing.
    fn node(&mut self, name: &str) -> Option<Node> {
        let at = self.0.iter().position(|entry| entry.key == name)?;
        let entry = self.0.swap_remove(at);
        (!matches!(entry.value.value, Value::Null)).then_some(entry.value)
    }

    /// The line of the field; that of the beginning, where it is absent.
    fn line_of(&self, name: &str) -> usize {
        self.0.iter().find(|entry| entry.key == name).map_or(1, |entry| entry.line)
    }

    /// The field's text and its line, unless it is absent, nothing or empty: sops treats these alike.
    fn text(&mut self, name: &str) -> Result<Option<(String, usize)>> {
        let Some(node) = self.node(name) else { return Ok(None) };
        text(node, name).map(|(text, line)| (!text.is_empty()).then_some((text, line)))
    }

    fn required(&mut self, name: &str, line: usize) -> Result<String> {
        let missing = || Error::new(Kind::Config, format!("`{name}` is missing")).on_line(line);
        self.text(name)?.map(|(text, _)| text).ok_or_else(missing)
    }

    fn list(&mut self, name: &str) -> Result<impl Iterator<Item = Node> + use<>> {
        let items = self.node(name).map(|node| list(node, name)).transpose()?;
        Ok(items.into_iter().flatten())
    }

    /// A text with commas, or a list of such texts, each part with its line.
    fn comma_list(&mut self, name: &str) -> Result<Vec<(String, usize)>> {
        let items = match self.node(name) {
            None => Vec::new(),
            Some(node) if matches!(node.value, Value::List(_)) => list(node, name)?.collect(),
            Some(node) if matches!(node.value, Value::Scalar { .. }) => vec![node],
            Some(node) => return Err(wrong_type(name, "a string or a list of strings", &node)),
        };
        let mut parts = Vec::new();
        for item in items {
            parts.extend(self::parts(item, name)?);
        }
        Ok(parts)
    }

    fn text_map(&mut self, name: &str) -> Result<BTreeMap<String, String>> {
        let entries = match self.node(name) {
            None => Vec::new(),
            Some(Node { value: Value::Map(entries), .. }) => entries,
            Some(node) => return Err(wrong_type(name, "a mapping", &node)),
        };
        entries.into_iter().map(|entry| Ok((entry.key, text(entry.value, name)?.0))).collect()
    }

    fn number<N: TryFrom<i64>>(&mut self, name: &str, least: i64) -> Result<Option<N>> {
        let Some(node) = self.node(name) else { return Ok(None) };
        let number = match &node.value {
            Value::Scalar { text, quoted: false } => text.parse::<i64>().ok(),
            _ => None,
        };
        let number = number.filter(|number| *number >= least).and_then(|number| N::try_from(number).ok());
        let expected = format!("a whole number, {least} or more");
        number.map(Some).ok_or_else(|| wrong_type(name, &expected, &node))
    }

    fn flag(&mut self, name: &str) -> Result<bool> {
        let Some(node) = self.node(name) else { return Ok(false) };
        if let Value::Scalar { text, quoted: false } = &node.value {
            // go-yaml takes YAML 1.1's words where a truth value is expected.
            match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => return Ok(true),
                "false" | "no" | "off" | "n" => return Ok(false),
                _ => {}
            }
        }
        Err(wrong_type(name, "true or false", &node))
    }
}

fn text(node: Node, name: &str) -> Result<(String, usize)> {
    match node.value {
        Value::Scalar { text, .. } => Ok((text, node.line)),
        Value::Null => Ok((String::new(), node.line)),
        _ => Err(wrong_type(name, "a string", &node)),
    }
}

/// A pattern of paths: `*` stops at a slash, `**` does not.
fn glob(node: Node, name: &str, patterns: &Patterns) -> Result<GlobMatcher> {
    let (pattern, line) = text(node, name)?;
    if pattern.len() > LONGEST_GLOB {
        let message = format!("a pattern of `{name}` is longer than {LONGEST_GLOB} bytes, as no path is");
        return Err(Error::new(Kind::Config, message).on_line(line));
    }
    let refused = |reason: String| {
        let rest = if pattern.chars().nth(LONGEST_SHOWN).is_some() { "..." } else { "" };
        let shown: String = pattern.chars().take(LONGEST_SHOWN).collect();
        Error::new(Kind::Config, format!("`{shown}{rest}` is not a pattern: {reason}")).on_line(line)
    };
    let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
    let glob = glob.map_err(|error| refused(error.kind().to_string()))?;
    patterns.compile_glob(&glob).map_err(refused)
}

fn list(node: Node, name: &str) -> Result<std::vec::IntoIter<Node>> {
    match node.value {
        Value::List(items) => Ok(items.into_iter()),
        _ => Err(wrong_type(name, "a list", &node)),
    }
}

fn wrong_type(name: &str, expected: &str, node: &Node) -> Error {
    let found = match &node.value {
        Value::Scalar { text, .. } => format!("`{text}`"),
        other => other.describe().to_owned(),
    };
    Error::new(Kind::Config, format!("`{name}` has to be {expected}, not {found}")).on_line(node.line)
}

/// The parts of a text with commas, each with its line.
fn parts(node: Node, name: &str) -> Result<Vec<(String, usize)>> {
    let (all, _) = text(node.clone(), name)?;
    Ok(split(&all).map(|part| (part.to_owned(), node.line_of(part))).collect())
}

/// The parts of a text with commas, trimmed; empty ones are skipped, as sops does.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn without_blanks(text: &str) -> String {
    text.replace(' ', "")
}

/// `https://VAULT/keys/NAME`, with or without `/VERSION`.
fn azure(text: &str) -> Option<KeySpec> {
    let (vault, key) = text.strip_prefix("https://")?.split_once("/keys/")?;
    let (name, version) = key.split_once('/').unwrap_or((key, ""));
    let well_formed = !vault.is_empty() && !vault.contains('/') && !name.is_empty() && !version.contains('/');
    well_formed.then(|| KeySpec::AzureKv {
        vault_url: format!("https://{vault}"),
        name: name.to_owned(),
        version: (!version.is_empty()).then(|| version.to_owned()),
    })
}

/// The keys without those that stand a second time.
fn deduplicated(keys: Vec<RuleKey>) -> Vec<RuleKey> {
    let mut unique: Vec<RuleKey> = Vec::with_capacity(keys.len());
    for key in keys {
        if !unique.iter().any(|seen| seen.spec == key.spec) {
            unique.push(key);
        }
    }
    unique
}
