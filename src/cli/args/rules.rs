//! Which leaves to encrypt.

use clap::Args;

use crate::config::{Selection, SelectionKind};
use crate::error::Result;

/// Which leaves to encrypt, and how many key groups it takes to decrypt.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What is encrypted (by default as the creation rule says)")]
pub struct RuleArgs {
    #[command(flatten)]
    selection: SelectionArgs,

    /// Compute the MAC over encrypted values only, so that plaintext values may change
    #[arg(long)]
    pub mac_only_encrypted: bool,

    /// How many key groups are needed to decrypt
    #[arg(long, value_name = "N")]
    pub shamir_secret_sharing_threshold: Option<usize>,
}

#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
struct SelectionArgs {
    /// Encrypt all but the values of keys with this suffix
    #[arg(long, value_name = "SUFFIX")]
    unencrypted_suffix: Option<String>,

    /// Encrypt only the values of keys with this suffix
    #[arg(long, value_name = "SUFFIX")]
    encrypted_suffix: Option<String>,

    /// Encrypt everything except values of matching keys
    #[arg(long, value_name = "REGEX")]
    unencrypted_regex: Option<String>,

    /// Encrypt only the values of keys that match
    #[arg(long, value_name = "REGEX")]
    encrypted_regex: Option<String>,

    /// Encrypt everything except values under a matching comment
    #[arg(long, value_name = "REGEX")]
    unencrypted_comment_regex: Option<String>,

    /// Encrypt only values under a matching comment
    #[arg(long, value_name = "REGEX")]
    encrypted_comment_regex: Option<String>,
}

impl RuleArgs {
    /// The selection that the flags ask for, if any.
    pub fn selection(&self) -> Result<Option<Selection>> {
        use SelectionKind as Is;
        let flags = &self.selection;
        let given = [
            (Is::UnencryptedSuffix, &flags.unencrypted_suffix),
            (Is::EncryptedSuffix, &flags.encrypted_suffix),
            (Is::UnencryptedRegex, &flags.unencrypted_regex),
            (Is::EncryptedRegex, &flags.encrypted_regex),
            (Is::UnencryptedCommentRegex, &flags.unencrypted_comment_regex),
            (Is::EncryptedCommentRegex, &flags.encrypted_comment_regex),
        ];
        let given = given.into_iter().find_map(|(kind, flag)| Some((kind, flag.as_ref()?)));
        given.map(|(kind, pattern)| Selection::new(kind, pattern)).transpose()
    }
}
