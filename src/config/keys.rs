//! Every key of a config: its name, what it takes, and what it is for.
//!
//! Owns this table alone. [`schema`](super::schema) reads configs by it, and so knows which keys there are;
//! [`json_schema`](super::json_schema) makes of it what editors read.

/// The keys of one kind of mapping.
pub(super) struct Table {
    /// Its name among the definitions of the JSON schema.
    pub id: &'static str,
    /// What a message calls the mapping.
    pub what: &'static str,
    pub keys: &'static [Key],
}

/// A key of a mapping.
pub(super) struct Key {
    pub name: &'static str,
    pub takes: Takes,
    pub about: &'static str,
}

/// What a key takes. Every key also takes nothing, which is as if it were absent, unless it is required.
pub(super) enum Takes {
    Text,
    /// A text that must be there.
    Required,
    /// A text, of which only these mean something.
    OneOf(&'static [&'static str]),
    /// A text with commas, or a list of such texts.
    CommaTexts,
    Texts,
    TextsByName,
    Flag,
    AtLeast(i64),
    Map(&'static Table),
    Maps(&'static Table),
}

use Takes::*;

const fn key(name: &'static str, takes: Takes, about: &'static str) -> Key {
    Key { name, takes, about }
}

impl Table {
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.keys.iter().map(|key| key.name)
    }
}

pub(super) static TOP: Table = Table {
    id: "config",
    what: "the config",
    keys: &[
        key(
            "creation_rules",
            Maps(&RULE),
            "Who can decrypt which files, and which values are encrypted. The first rule that matches a file's path applies.",
        ),
        key(
            "destination_rules",
            Maps(&DESTINATION),
            "Where `sealant publish` sends files. The first rule that matches a file's path applies.",
        ),
        key("stores", Map(&STORES), "How new files are indented. Existing files keep their indentation."),
        key("sealant", Map(&SEALANT), "What only Sealant reads; sops ignores it."),
    ],
};

pub(super) static SEALANT: Table = Table {
    id: "sealant",
    what: "`sealant`",
    keys: &[
        key("audit", Flag, "Whether everybody who works on these files has to keep an audit log."),
        key("check", Map(&CHECK), "What `sealant check` and the hook skip."),
        key(
            "recipients",
            TextsByName,
            "Names of keys, for reports and messages: KEY: NAME. They prove nothing.",
        ),
    ],
};

pub(super) static CHECK: Table = Table {
    id: "check",
    what: "`check`",
    keys: &[key(
        "exclude",
        Texts,
        "Patterns of paths below the config's folder. `*` stops at a slash, `**` does not.",
    )],
};

const UNENCRYPTED_SUFFIX: &str = "Encrypt everything except what is below a key that ends in this.";
const ENCRYPTED_SUFFIX: &str = "Encrypt only what is below a key that ends in this.";
const UNENCRYPTED_REGEX: &str =
    "Encrypt everything except what is below a key that matches this regular expression.";
const ENCRYPTED_REGEX: &str = "Encrypt only what is below a key that matches this regular expression.";
const UNENCRYPTED_COMMENT_REGEX: &str =
    "Encrypt everything except what is below a comment that matches this regular expression.";
const ENCRYPTED_COMMENT_REGEX: &str =
    "Encrypt only what is below a comment that matches this regular expression.";

pub(super) static RULE: Table = Table {
    id: "creation_rule",
    what: "a creation rule",
    keys: &[
        key(
            "path_regex",
            Text,
            "A regular expression (RE2) for paths relative to the config's folder. It may match anywhere in the path; without it the rule matches every file.",
        ),
        key(
            "age",
            CommaTexts,
            "age recipients (age1...) and SSH public keys (ssh-ed25519 ..., ssh-rsa ...).",
        ),
        key("pgp", CommaTexts, "Fingerprints of PGP keys."),
        key("kms", CommaTexts, "ARNs of AWS KMS keys. ARN+ROLE assumes a role first."),
        key("gcp_kms", CommaTexts, "Resource IDs of Google Cloud KMS keys."),
        key("hckms", CommaTexts, "Huawei Cloud KMS keys: REGION:ID."),
        key("azure_keyvault", CommaTexts, "URLs of Azure Key Vault keys: https://VAULT/keys/NAME/VERSION."),
        key(
            "hc_vault_transit_uri",
            CommaTexts,
            "Transit keys of Vault or OpenBao: https://HOST/v1/ENGINE/keys/NAME.",
        ),
        key("aws_profile", Text, "The profile of ~/.aws/config for the keys in `kms`."),
        key(
            "key_groups",
            Maps(&GROUP),
            "Groups of keys, instead of the keys above. `shamir_threshold` says how many groups are needed.",
        ),
        key(
            "shamir_threshold",
            AtLeast(0),
            "From how many key groups a key is needed to decrypt; by default from all.",
        ),
        key("unencrypted_suffix", Text, UNENCRYPTED_SUFFIX),
        key("encrypted_suffix", Text, ENCRYPTED_SUFFIX),
        key("unencrypted_regex", Text, UNENCRYPTED_REGEX),
        key("encrypted_regex", Text, ENCRYPTED_REGEX),
        key("unencrypted_comment_regex", Text, UNENCRYPTED_COMMENT_REGEX),
        key("encrypted_comment_regex", Text, ENCRYPTED_COMMENT_REGEX),
        key(
            "mac_only_encrypted",
            Flag,
            "Whether the MAC covers only encrypted values, so that others may be changed without a key.",
        ),
        key("sealant", Map(&PIN), "What the SealedSecrets of this rule must be bound to; sops ignores it."),
    ],
};

pub(super) static PIN: Table = Table {
    id: "pin",
    what: "`sealant` of a creation rule",
    keys: &[
        key("scope", OneOf(&["strict", "namespace", "cluster"]), "The scope that SealedSecrets must have."),
        key("namespace", Text, "The namespace that SealedSecrets must be for."),
        key("name", Text, "The name that SealedSecrets must be for."),
    ],
};

pub(super) static GROUP: Table = Table {
    id: "key_group",
    what: "a key group",
    keys: &[
        key("merge", Maps(&GROUP), "Groups whose keys are added to this group."),
        key("age", Texts, "age recipients and SSH public keys."),
        key("pgp", Texts, "Fingerprints of PGP keys."),
        key("kms", Maps(&KMS_KEY), "AWS KMS keys."),
        key("gcp_kms", Maps(&GCP_KEY), "Google Cloud KMS keys."),
        key("hckms", Maps(&HCKMS_KEY), "Huawei Cloud KMS keys."),
        key("azure_keyvault", Maps(&AZURE_KEY), "Azure Key Vault keys."),
        key("hc_vault", Texts, "Transit keys of Vault or OpenBao: https://HOST/v1/ENGINE/keys/NAME."),
    ],
};

pub(super) static KMS_KEY: Table = Table {
    id: "kms_key",
    what: "a KMS key",
    keys: &[
        key("arn", Required, "The ARN of the key."),
        key("role", Text, "The ARN of a role to assume first."),
        key("context", TextsByName, "The encryption context: NAME: VALUE."),
        key("aws_profile", Text, "The profile of ~/.aws/config."),
    ],
};

pub(super) static GCP_KEY: Table = Table {
    id: "gcp_kms_key",
    what: "a GCP KMS key",
    keys: &[key("resource_id", Required, "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")],
};

pub(super) static HCKMS_KEY: Table =
    Table { id: "hckms_key", what: "a HuaweiCloud KMS key", keys: &[key("key_id", Required, "REGION:ID")] };

pub(super) static AZURE_KEY: Table = Table {
    id: "azure_key",
    what: "an Azure Key Vault key",
    keys: &[
        key("vaultUrl", Required, "https://VAULT.vault.azure.net"),
        key("key", Required, "The name of the key."),
        key("version", Text, "The version of the key; the newest, if it is left out."),
    ],
};

pub(super) static DESTINATION: Table = Table {
    id: "destination_rule",
    what: "a destination rule",
    keys: &[
        key(
            "path_regex",
            Text,
            "A regular expression (RE2) for paths relative to the config's folder; without it the rule matches every file.",
        ),
        key("s3_bucket", Text, "A bucket of AWS S3."),
        key("s3_prefix", Text, "What names of objects begin with."),
        key("gcs_bucket", Text, "A bucket of Google Cloud Storage."),
        key("gcs_prefix", Text, "What names of objects begin with."),
        key("vault_path", Text, "A path in a key-value engine of Vault or OpenBao."),
        key("vault_address", Text, "The address of the Vault server; by default VAULT_ADDR."),
        key("vault_kv_mount_name", Text, "Where the key-value engine is mounted; by default `secret`."),
        key("vault_kv_version", AtLeast(0), "The version of the key-value engine, 1 or 2; by default 2."),
        key(
            "recreation_rule",
            Map(&RULE),
            "The recipients of what is sent, if they are not those of the file.",
        ),
        key("omit_extensions", Flag, "Whether to leave out file name extensions."),
    ],
};

pub(super) static STORES: Table = Table {
    id: "stores",
    what: "`stores`",
    keys: &[
        key("yaml", Map(&YAML_STORE), "New YAML files."),
        key("json", Map(&JSON_STORE), "New JSON files."),
        key("json_binary", Map(&JSON_BINARY_STORE), "The JSON around encrypted binary files."),
        key("dotenv", Map(&DOTENV_STORE), "It has no settings."),
        key("ini", Map(&INI_STORE), "It has no settings."),
    ],
};

const INDENT_OR_TAB: &str = "The number of spaces for each level; -1 means a tab.";

pub(super) static YAML_STORE: Table = Table {
    id: "yaml_store",
    what: "`stores.yaml`",
    keys: &[key("indent", AtLeast(0), "The number of spaces for each level; 0 means 4.")],
};

pub(super) static JSON_STORE: Table =
    Table { id: "json_store", what: "`stores.json`", keys: &[key("indent", AtLeast(-1), INDENT_OR_TAB)] };

pub(super) static JSON_BINARY_STORE: Table = Table {
    id: "json_binary_store",
    what: "`stores.json_binary`",
    keys: &[key("indent", AtLeast(-1), INDENT_OR_TAB)],
};

pub(super) static DOTENV_STORE: Table = Table { id: "dotenv_store", what: "`stores.dotenv`", keys: &[] };

pub(super) static INI_STORE: Table = Table { id: "ini_store", what: "`stores.ini`", keys: &[] };
