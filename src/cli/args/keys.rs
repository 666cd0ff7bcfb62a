//! Who is able to decrypt, and with what to decrypt.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::ui::Ui;
use crate::config::KeySpec;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::StartedBy;
use crate::keys::aws;
use crate::keys::vault::Vault;
use crate::keys::{Identities, KeyKind, KeyService, KeySet, MasterKey};
use crate::names::{self, Names};
use crate::policy;
use crate::rekey::Wish;

/// The master keys to encrypt for.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Recipients (by default those of the creation rule)")]
pub struct KeyArgs {
    /// age and SSH recipients, or their names in the config [env: SOPS_AGE_RECIPIENTS]
    #[arg(short, long, value_name = "RECIPIENT,...")]
    pub age: Vec<String>,

    /// Vault or OpenBao transit keys, https://HOST/v1/ENGINE/keys/NAME [env: SOPS_VAULT_URIS]
    #[arg(long, value_name = "URI,...")]
    pub hc_vault_transit: Vec<String>,

    /// PGP fingerprints [env: SOPS_PGP_FP]
    #[arg(short, long, value_name = "FINGERPRINT,...", hide_short_help = true)]
    pub pgp: Vec<String>,

    /// AWS KMS keys [env: SOPS_KMS_ARN]
    #[arg(short, long, value_name = "ARN,...", hide_short_help = true)]
    pub kms: Vec<String>,

    /// Google Cloud KMS keys [env: SOPS_GCP_KMS_IDS]
    #[arg(long, value_name = "ID,...", hide_short_help = true)]
    pub gcp_kms: Vec<String>,

    /// Azure Key Vault keys [env: SOPS_AZURE_KEYVAULT_URLS]
    #[arg(long, value_name = "URL,...", hide_short_help = true)]
    pub azure_kv: Vec<String>,

    /// Huawei Cloud KMS keys [env: SOPS_HUAWEICLOUD_KMS_IDS]
    #[arg(long, value_name = "ID,...", hide_short_help = true)]
    pub hckms: Vec<String>,

    #[arg(skip)]
    beside: Beside,
}

/// What says of the words of flags which keys they mean.
#[derive(Debug, Clone, Default)]
struct Beside {
    /// What goes with the KMS keys.
    aws: AwsArgs,
    /// What the config calls keys; none by the name of sops, which knows no names.
    names: Names,
}

impl Beside {
    fn of(aws: &AwsArgs, context: &Context) -> Self {
        let names = if context.is_sops() { Names::default() } else { context.names() };
        Self { aws: aws.clone(), names }
    }

    /// Says whose keys are meant by names: what the config calls a key is a claim of whoever wrote it.
    fn tell_names(&self, typed: &[String], ui: &Ui) {
        for name in split(typed) {
            if let Some(key) = self.names.key_called(name) {
                ui.note(format!("the config calls this key `{name}`: {key}"));
            }
        }
    }

    /// The key that a word after a flag for keys of this kind means.
    fn key(&self, kind: KeyKind, word: &str) -> Result<MasterKey> {
        let key = spec(kind, word, &self.aws).and_then(|spec| policy::master_key(&spec));
        key.or_else(|error| self.named(kind, word)?.ok_or_else(|| self.with_names(kind, word, error)))
    }

    /// The same for a key to be removed, which may be one that nothing can be wrapped for.
    fn key_to_remove(&self, kind: KeyKind, word: &str) -> Result<MasterKey> {
        let as_written = || spec(kind, word, &self.aws).and_then(|spec| policy::master_key_as_written(&spec));
        self.named(kind, word)?.map_or_else(as_written, Ok)
    }

    /// The key that is called so; a name stands where an age recipient does, whatever kind of key it is for.
    fn named(&self, kind: KeyKind, word: &str) -> Result<Option<MasterKey>> {
        if kind != KeyKind::Age || self.names.key_called(word).is_none() {
            return Ok(None);
        }
        policy::typed_key(word, &self.names).map(Some)
    }

    fn with_names(&self, kind: KeyKind, word: &str, error: Error) -> Error {
        let is_meant_as_key = ["age1", "ssh-", "AGE-"].iter().any(|start| word.starts_with(start));
        let names: Vec<String> = self.names.iter().map(|(key, name)| names::short(name, key)).collect();
        if kind != KeyKind::Age || is_meant_as_key || names.is_empty() {
            return error;
        }
        error.advise(format!("The config has these names: {}.", names.join(", ")))
    }
}

/// What goes with the AWS KMS keys that flags name. A command has it beside its keys: several of those share it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "AWS KMS keys that flags name")]
pub struct AwsArgs {
    /// Use them with the credentials of this profile of `~/.aws/config`
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    aws_profile: Option<String>,

    /// Use them with this encryption context
    #[arg(long, value_name = "NAME:VALUE,...", hide_short_help = true)]
    encryption_context: Option<String>,
}

impl AwsArgs {
    fn context(&self) -> Result<BTreeMap<String, String>> {
        aws::parse_context(self.encryption_context.as_deref().unwrap_or_default())
            .map_err(|error| error.in_file("--encryption-context"))
    }

    fn apply(&self, spec: KeySpec) -> Result<KeySpec> {
        let KeySpec::Kms { arn, role, .. } = spec else { return Ok(spec) };
        let context = self.context()?;
        Ok(KeySpec::Kms { arn, role, context, aws_profile: self.aws_profile.clone() })
    }
}

impl KeyArgs {
    /// The same with this for KMS keys, and the names of the config.
    #[must_use]
    pub fn using(&self, aws: &AwsArgs, context: &Context) -> Self {
        let beside = Beside::of(aws, context);
        beside.tell_names(&self.age, context.ui);
        Self { beside, ..self.clone() }
    }

    /// The master keys that flags and environment name: one group, as in sops. `None` when they name none, and the
    /// creation rule counts.
    pub fn key_set(&self, host: &dyn Host) -> Result<Option<KeySet>> {
        // As in sops it has to be right, whether a key needs it or not.
        self.beside.aws.context()?;
        let mut keys = Vec::new();
        for (kind, flags) in self.sources() {
            let variable = kind.variable();
            if flags.is_empty() {
                // A variable counts in every repository, so names that one of them has are not for it.
                let aws = Beside { aws: self.beside.aws.clone(), names: Names::default() };
                let words: Vec<String> = host.env_text(variable)?.into_iter().collect();
                add_keys(&mut keys, kind, &words, &aws, variable)?;
            }
            add_keys(&mut keys, kind, flags, &self.beside, &format!("--{}", kind.flag()))?;
        }
        Ok((!keys.is_empty()).then(|| KeySet::any_of(keys)))
    }

    /// The master keys that flags name, whatever the environment says.
    pub fn named(&self) -> Result<Vec<MasterKey>> {
        let mut keys = Vec::new();
        for (kind, words) in self.sources() {
            add_keys(&mut keys, kind, words, &self.beside, &format!("--{}", kind.flag()))?;
        }
        Ok(keys)
    }

    /// Tells of flags that were given and name nobody.
    pub fn warn_of_empty(&self, ui: &Ui) {
        for (kind, flags) in self.sources() {
            warn_of_empty(ui, kind.flag(), flags);
        }
    }

    fn sources(&self) -> [(KeyKind, &[String]); 7] {
        [
            (KeyKind::Age, &self.age),
            (KeyKind::HcVault, &self.hc_vault_transit),
            (KeyKind::Pgp, &self.pgp),
            (KeyKind::Kms, &self.kms),
            (KeyKind::GcpKms, &self.gcp_kms),
            (KeyKind::AzureKv, &self.azure_kv),
            (KeyKind::HcKms, &self.hckms),
        ]
    }
}

/// As in sops a flag that names nobody counts as not given. It mostly comes of a variable that is not set.
fn warn_of_empty(ui: &Ui, flag: &str, values: &[String]) {
    if !values.is_empty() && split(values).next().is_none() {
        ui.warning(format!("--{flag} is empty, and is ignored"));
    }
}

/// The words in values that hold several, with commas between them, or a line each as commands print them.
fn split(values: &[String]) -> impl Iterator<Item = &str> {
    values.iter().flat_map(|value| value.split([',', '\n'])).map(str::trim).filter(|word| !word.is_empty())
}

/// Adds the master keys that `words` mean. An error says that they come `from` a flag or a variable.
fn add_keys(
    keys: &mut Vec<MasterKey>,
    kind: KeyKind,
    words: &[String],
    beside: &Beside,
    from: &str,
) -> Result<()> {
    for word in split(words) {
        let key = beside.key(kind, word).map_err(|error| error.in_file(from))?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(())
}

fn spec(kind: KeyKind, name: &str, aws: &AwsArgs) -> Result<KeySpec> {
    let name = name.to_owned();
    Ok(match kind {
        KeyKind::Age => KeySpec::Age(name),
        KeyKind::HcVault => KeySpec::HcVault(name),
        KeyKind::Pgp => KeySpec::Pgp(name),
        KeyKind::Kms => aws.apply(KeySpec::kms(&name, None))?,
        KeyKind::GcpKms => KeySpec::GcpKms(name),
        KeyKind::AzureKv => azure_kv(&name)?,
        KeyKind::HcKms => KeySpec::Hckms(name),
    })
}

fn azure_kv(url: &str) -> Result<KeySpec> {
    let parts =
        url.split_once("/keys/").map(|(vault, key)| (vault, key.split_once('/').unwrap_or((key, ""))));
    let Some((vault_url, (name, version))) = parts else {
        return Err(Error::new(Kind::Other, format!("`{url}` is not the URL of a key"))
            .advise("It has the form https://VAULT.vault.azure.net/keys/NAME/VERSION."));
    };
    Ok(KeySpec::AzureKv {
        vault_url: vault_url.to_owned(),
        name: name.to_owned(),
        version: (!version.is_empty()).then(|| version.to_owned()),
    })
}

/// Keys as texts, those that were typed by what the config calls them as what they are.
pub fn by_name(typed: &[String], names: &Names) -> Vec<String> {
    let key = |text: &String| match names.key_called(text) {
        Some(_) => policy::typed_key(text, names).map_or_else(|_| text.clone(), |key| key.to_string()),
        None => text.clone(),
    };
    typed.iter().map(key).collect()
}

/// The master keys that come and go.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Recipients from now on (by default those of the file)")]
pub struct ChangeKeyArgs {
    /// Add these age and SSH recipients, by key or name
    #[arg(long, value_name = "RECIPIENT,...")]
    add_age: Vec<String>,

    /// Remove these age and SSH recipients, by key or name
    #[arg(long, value_name = "RECIPIENT,...")]
    rm_age: Vec<String>,

    /// Keep this recipient although the creation rule does not name it; may be repeated
    #[arg(long, value_name = "RECIPIENT")]
    allow_recipient: Vec<String>,

    /// Add these Vault or OpenBao transit keys
    #[arg(long, value_name = "URI,...", hide_short_help = true)]
    add_hc_vault_transit: Vec<String>,

    /// Remove these Vault or OpenBao transit keys
    #[arg(long, value_name = "URI,...", hide_short_help = true)]
    rm_hc_vault_transit: Vec<String>,

    /// Add these PGP keys
    #[arg(long, value_name = "FINGERPRINT,...", hide_short_help = true)]
    add_pgp: Vec<String>,

    /// Remove these PGP keys
    #[arg(long, value_name = "FINGERPRINT,...", hide_short_help = true)]
    rm_pgp: Vec<String>,

    /// Add these AWS KMS keys
    #[arg(long, value_name = "ARN,...", hide_short_help = true)]
    add_kms: Vec<String>,

    /// Remove these AWS KMS keys
    #[arg(long, value_name = "ARN,...", hide_short_help = true)]
    rm_kms: Vec<String>,

    /// Add these Google Cloud KMS keys
    #[arg(long, value_name = "ID,...", hide_short_help = true)]
    add_gcp_kms: Vec<String>,

    /// Remove these Google Cloud KMS keys
    #[arg(long, value_name = "ID,...", hide_short_help = true)]
    rm_gcp_kms: Vec<String>,

    /// Add these Azure Key Vault keys
    #[arg(long, value_name = "URL,...", hide_short_help = true)]
    add_azure_kv: Vec<String>,

    /// Remove these Azure Key Vault keys
    #[arg(long, value_name = "URL,...", hide_short_help = true)]
    rm_azure_kv: Vec<String>,

    /// Add these Huawei Cloud KMS keys
    #[arg(long, value_name = "ID,...", hide_short_help = true)]
    add_hckms: Vec<String>,

    /// Remove these Huawei Cloud KMS keys
    #[arg(long, value_name = "ID,...", hide_short_help = true)]
    rm_hckms: Vec<String>,

    #[arg(skip)]
    beside: Beside,
}

impl ChangeKeyArgs {
    /// The same with this for KMS keys, and the names of the config.
    #[must_use]
    pub fn using(&self, aws: &AwsArgs, context: &Context) -> Self {
        let beside = Beside::of(aws, context);
        for (kind, add, _) in self.flags() {
            beside.tell_names(if kind == KeyKind::Age { add } else { &[] }, context.ui);
        }
        Self { beside, ..self.clone() }
    }

    /// What the flags ask for. An error for a master key that nothing can be wrapped for.
    pub fn wish(&self) -> Result<Wish> {
        let mut wish = Wish::default();
        for (kind, add, remove) in self.flags() {
            add_keys(&mut wish.add, kind, add, &self.beside, &format!("--add-{}", kind.flag()))?;
            for word in split(remove) {
                let key = self.beside.key_to_remove(kind, word);
                wish.remove.push(key.map_err(|error| error.in_file(format!("--rm-{}", kind.flag())))?);
            }
        }
        let unsupported = |key| Some((key, MasterKey::why_unsupported(key)?));
        if let Some((key, why)) = wish.add.iter().find_map(unsupported) {
            return Err(Error::new(Kind::Other, why)
                .in_file(format!("--add-{}", key.kind().flag()))
                .advise(key.instead()));
        }
        if let Some(both) = wish.add.iter().find(|key| wish.remove.contains(key)) {
            return Err(Error::new(Kind::Conflict, format!("{both} is to be added and removed")));
        }
        let allowed: Vec<String> = split(&self.allow_recipient).map(str::to_owned).collect();
        wish.allow = by_name(&allowed, &self.beside.names);
        Ok(wish)
    }

    /// Refuses recipients to remove that the file does not have, as sops does; for files that have them, they are removed.
    pub fn refuse_wrong_removals(&self) -> Result<()> {
        add_keys(&mut Vec::new(), KeyKind::Age, &self.rm_age, &self.beside, "--rm-age")
    }

    /// Tells of flags that were given and name nobody.
    pub fn warn_of_empty(&self, ui: &Ui) {
        for (kind, add, remove) in self.flags() {
            warn_of_empty(ui, &format!("add-{}", kind.flag()), add);
            warn_of_empty(ui, &format!("rm-{}", kind.flag()), remove);
        }
        warn_of_empty(ui, "allow-recipient", &self.allow_recipient);
    }

    fn flags(&self) -> [(KeyKind, &[String], &[String]); 7] {
        [
            (KeyKind::Age, &self.add_age, &self.rm_age),
            (KeyKind::HcVault, &self.add_hc_vault_transit, &self.rm_hc_vault_transit),
            (KeyKind::Pgp, &self.add_pgp, &self.rm_pgp),
            (KeyKind::Kms, &self.add_kms, &self.rm_kms),
            (KeyKind::GcpKms, &self.add_gcp_kms, &self.rm_gcp_kms),
            (KeyKind::AzureKv, &self.add_azure_kv, &self.rm_azure_kv),
            (KeyKind::HcKms, &self.add_hckms, &self.rm_hckms),
        ]
    }
}

/// The identities to decrypt with.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What to decrypt with")]
pub struct IdentityArgs {
    /// Try the age identities or the SSH key in this file before those that sops would use; may be repeated
    #[arg(long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,

    /// The order in which to try kinds of keys, such as `age,hc_vault` [env: SOPS_DECRYPTION_ORDER]
    #[arg(long, value_name = "KIND,...")]
    pub decryption_order: Option<String>,
}

impl IdentityArgs {
    /// The sources of identities: files that were named, then the places into which sops looks.
    pub fn identities(&self, host: &dyn Host) -> Result<Identities> {
        // The library takes a missing file as one source of many that gave nothing; here somebody named it.
        if let Some(missing) = self.identity.iter().find(|file| !file.exists()) {
            return Err(Error::new(Kind::NoFile, "no such file")
                .in_file(missing)
                .advise("Correct the path given with --identity."));
        }
        let named = self.identity.iter().fold(Identities::none(), |found, file| found.with_file(file));
        Ok(named.with_user_sources(host))
    }

    /// The service that opens data keys with these identities, for a command that somebody has typed.
    pub fn key_service<'h>(&self, context: &Context<'h>) -> Result<KeyService<'h>> {
        let started_by = if context.is_sops() { StartedBy::Sops } else { StartedBy::Person };
        let service = self.key_service_of(context.host, started_by)?.with_others(context.others()?);
        // A variable that is wrong stops the commands that go by it.
        let keys = KeyArgs::default().key_set(context.host).ok().flatten();
        let service = if context.is_sops() { service } else { service.with_names(context.names()) };
        Ok(service.naming(keys.iter().flat_map(|keys| keys.groups.iter().flatten())))
    }

    /// As [`IdentityArgs::key_service`]; who started the command decides which servers are asked.
    pub fn key_service_of<'h>(&self, host: &'h dyn Host, started_by: StartedBy) -> Result<KeyService<'h>> {
        let service = KeyService::new(host, self.identities(host)?)
            .with_vault(Vault::of_user(started_by))
            .with_clouds(started_by);
        let order = match &self.decryption_order {
            Some(order) => Some(order.clone()),
            None => host.env_text("SOPS_DECRYPTION_ORDER")?,
        };
        Ok(match order {
            Some(order) if started_by == StartedBy::Sops => {
                service.with_decryption_order(KeyKind::parse_order(&KeyKind::known_of_order(&order))?)
            }
            Some(order) => service.with_decryption_order(KeyKind::parse_order(&order)?),
            None => service,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Closed;

    const ONE: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";
    const TWO: &str = "age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd";

    #[test]
    fn flags_name_one_group_without_repetition() {
        let args = KeyArgs {
            age: vec![format!("{ONE}, {TWO},"), format!("{TWO}\n{ONE}\n")],
            pgp: vec!["85D77543 B3D624B6".to_owned()],
            kms: vec!["arn:aws:kms:eu-west-1:1:key/k+arn:aws:iam::role".to_owned()],
            azure_kv: vec!["https://v.vault.azure.net/keys/k/1".to_owned()],
            ..KeyArgs::default()
        };
        let keys = args.key_set(&Closed).unwrap().unwrap();
        let names: Vec<_> = keys.groups.concat().iter().map(ToString::to_string).collect();
        let expected = [
            ONE,
            TWO,
            "pgp 85D77543B3D624B6",
            "kms arn:aws:kms:eu-west-1:1:key/k+arn:aws:iam::role",
            "azure_kv https://v.vault.azure.net/keys/k/1",
        ];
        assert_eq!(names, expected);
        assert_eq!(keys.groups.len(), 1);
    }

    #[test]
    fn no_flags_leave_it_to_the_rule() {
        assert_eq!(KeyArgs::default().key_set(&Closed).unwrap(), None);
        let blank = KeyArgs { age: vec![" , ".to_owned()], ..KeyArgs::default() };
        assert_eq!(blank.key_set(&Closed).unwrap(), None);
    }
}
