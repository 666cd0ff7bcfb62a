//! The name of a key of AWS KMS: its ARN, the encryption context, and the credentials it is used with.
//!
//! Owns the one constructor that checks an ARN. ARNs come from files of a repository, and their region and partition
//! become the host that a plaintext data key goes to. Asks nobody, and reads no settings.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::keys::kind::Complaint;

/// The partitions of AWS, each with the domain of its hosts.
const PARTITIONS: [(&str, &str); 8] = [
    ("aws", "amazonaws.com"),
    ("aws-cn", "amazonaws.com.cn"),
    ("aws-us-gov", "amazonaws.com"),
    ("aws-eusc", "amazonaws.eu"),
    ("aws-iso", "c2s.ic.gov"),
    ("aws-iso-b", "sc2s.sgov.gov"),
    ("aws-iso-e", "cloud.adc-e.uk"),
    ("aws-iso-f", "csp.hci.ic.gov"),
];

const FORM: &str = "It has the form arn:aws:kms:REGION:ACCOUNT:key/ID, or arn:aws:kms:REGION:ACCOUNT:alias/NAME: \
                    `aws kms list-aliases` lists them.";

/// A key of AWS KMS, as a file or a rule names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    arn: String,
    role: Option<String>,
    context: BTreeMap<String, String>,
    profile: Option<String>,
    /// As sops shows it.
    id: String,
}

/// The parts of an ARN that a host is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub region: &'a str,
    /// `amazonaws.com` for most.
    pub domain: &'static str,
}

impl Key {
    /// A key by its parts; an empty role or profile counts as not given. An error when the ARN is not that of a key or an
    /// alias, in a region and a partition by their names.
    pub fn new(
        arn: &str,
        role: Option<&str>,
        context: BTreeMap<String, String>,
        profile: Option<&str>,
    ) -> Result<Self> {
        let not_a_key =
            |why| Error::new(Kind::Other, format!("`{arn}` is not the ARN of a KMS key: {why}")).advise(FORM);
        place_of(arn).map_err(not_a_key)?;
        let given = |part: Option<&str>| part.filter(|part| !part.is_empty()).map(str::to_owned);
        let (role, profile) = (given(role), given(profile));
        let id = id(arn, role.as_deref(), &context, profile.as_deref());
        Ok(Self { arn: arn.to_owned(), role, context, profile, id })
    }

    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The role that is assumed before the key is used.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// The encryption context, which has to be the same whenever the key is used.
    pub fn context(&self) -> &BTreeMap<String, String> {
        &self.context
    }

    /// The profile in the user's own AWS settings whose credentials are used.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// As sops shows it: `ARN`, `ARN+ROLE`, `ARN|CONTEXT`, `ARN|CONTEXT|PROFILE`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The region in which the key is.
    pub fn region(&self) -> &str {
        self.arn.split(':').nth(3).unwrap_or_default()
    }

    /// Whether `name` means this key: what it leaves out (role, context, profile) can be anything.
    pub fn is_meant_by(&self, name: &Self) -> bool {
        self.arn == name.arn
            && (name.role.is_none() || name.role == self.role)
            && (name.context.is_empty() || name.context == self.context)
            && (name.profile.is_none() || name.profile == self.profile)
    }

    #[cfg(feature = "aws")]
    pub(super) fn place(&self) -> Place<'_> {
        let domain = place_of(&self.arn).map_or(PARTITIONS[0].1, |place| place.domain);
        Place { region: self.region(), domain }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kms {}", self.id)
    }
}

/// How sops shows a key (`ToString` of its key source).
pub(super) fn id(
    arn: &str,
    role: Option<&str>,
    context: &BTreeMap<String, String>,
    profile: Option<&str>,
) -> String {
    let mut id = arn.to_owned();
    if let Some(role) = role.filter(|role| !role.is_empty()) {
        id.extend(["+", role]);
    }
    let profile = profile.filter(|profile| !profile.is_empty());
    if profile.is_some() || !context.is_empty() {
        let pairs: Vec<String> = context.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        id.extend(["|", &pairs.join(",")]);
    }
    if let Some(profile) = profile {
        id.extend(["|", profile]);
    }
    id
}

/// An encryption context as flags have it: `NAME:VALUE,...`.
pub fn parse_context(text: &str) -> Result<BTreeMap<String, String>> {
    let pairs = text.split(',').filter(|_| !text.is_empty());
    let pair = |pair: &str| match pair.split(':').collect::<Vec<_>>()[..] {
        [name, value] => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::new(Kind::Context, format!("`{pair}` is not part of an encryption context"))
            .advise("It has the form NAME:VALUE,NAME:VALUE.")),
    };
    pairs.map(pair).collect()
}

/// What is wrong with the ARN in a name as sops shows it, if it is malformed.
pub(super) fn complaint(id: &str) -> Option<Complaint> {
    let arn = id.split(['+', '|']).next().unwrap_or_default();
    place_of(arn).err().map(|why| Complaint { why: Some(why), form: FORM })
}

/// A region by its name, with the domain of the partition that it is in.
#[cfg(all(feature = "aws", feature = "cli"))]
pub(super) fn place_in(region: &str) -> Place<'_> {
    let partition = match region.split('-').collect::<Vec<_>>()[..] {
        ["cn", ..] => "aws-cn",
        ["us", "gov", ..] => "aws-us-gov",
        ["us", "iso", ..] => "aws-iso",
        ["us", "isob", ..] => "aws-iso-b",
        _ => "aws",
    };
    let found = PARTITIONS.into_iter().find(|(name, _)| *name == partition);
    Place { region, domain: found.unwrap_or(PARTITIONS[0]).1 }
}

/// Whether this is an ARN, or the beginning of one down to its account or further; else what is wrong with it.
pub(super) fn check_beginning(text: &str) -> Result<(), &'static str> {
    let rest = match text.split(':').count() {
        ..5 => return Err("it names no account: arn:aws:kms:REGION:ACCOUNT"),
        5 => ":key/x",
        6 if text.ends_with(":key") || text.ends_with(":alias") => "/x",
        _ => "",
    };
    place_of(&format!("{text}{rest}")).map(drop)
}

/// Region and domain of an ARN; else what is wrong with it.
fn place_of(arn: &str) -> Result<Place<'_>, &'static str> {
    let [prefix, partition, service, region, account, resource] = arn.splitn(6, ':').collect::<Vec<_>>()[..]
    else {
        return Err("it has too few parts");
    };
    if (prefix, service) != ("arn", "kms") {
        return Err("it does not begin with arn:aws:kms:");
    }
    let Some((_, domain)) = PARTITIONS.into_iter().find(|(name, _)| *name == partition) else {
        return Err("AWS has no such partition");
    };
    let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty() || !region.bytes().all(is_region) {
        return Err("its region is not valid");
    }
    if account.is_empty() || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("its account is not a number");
    }
    let name = resource.strip_prefix("key/").or_else(|| resource.strip_prefix("alias/"));
    let is_plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    match name.is_some_and(is_plain) {
        true => Ok(Place { region, domain }),
        false => Err("it names neither a key nor an alias"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn context(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_arn_is_one_of_a_key_or_an_alias() {
        for (arn, region) in [
            (ARN, "us-east-1"),
            ("arn:aws:kms:eu-west-3:1:alias/team/prod", "eu-west-3"),
            ("arn:aws-cn:kms:cn-north-1:1:key/mrk-1234", "cn-north-1"),
        ] {
            assert_eq!(Key::new(arn, None, context(&[]), None).unwrap().region(), region);
        }
    }

    #[test]
    fn what_could_lead_a_data_key_elsewhere_is_refused() {
        for arn in [
            "",
            "alias/prod",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:us-east-1:1:key/",
            "arn:aws:kms:us-east-1:1:grant/x",
            "arn:aws:s3:us-east-1:1:key/x",
            "arn:aws:kms::1:key/x",
            "arn:aws:kms:evil.example.com/:1:key/x",
            "arn:aws:kms:us-east-1.evil:1:key/x",
            "arn:aws:kms:US-EAST-1:1:key/x",
            "arn:aws:kms:us@evil:1:key/x",
            "arn:aws-evil:kms:us-east-1:1:key/x",
            "arn:aws:kms:us-east-1:x:key/x",
            "arn:aws:kms:us-east-1:1:key/a b",
            "arn:aws:kms:us-east-1:1:key/a\nb",
        ] {
            assert!(Key::new(arn, None, context(&[]), None).is_err(), "{arn}");
        }
    }

    #[test]
    fn a_key_is_shown_as_sops_shows_it() {
        for (role, pairs, profile, shown) in [
            (None, &[][..], None, "A"),
            (Some(""), &[], Some(""), "A"),
            (Some("r"), &[], None, "A+r"),
            (None, &[("b", "2"), ("a", "1")], None, "A|a:1,b:2"),
            (Some("r"), &[], Some("p"), "A+r||p"),
            (Some("r"), &[("a", "1")], Some("p"), "A+r|a:1|p"),
        ] {
            assert_eq!(id("A", role, &context(pairs), profile), shown);
        }
    }

    #[test]
    fn a_context_is_pairs() {
        assert_eq!(parse_context("a:1,b:").unwrap(), context(&[("a", "1"), ("b", "")]));
        assert_eq!(parse_context("").unwrap(), context(&[]));
        for text in ["a", "a:b:c", "a:1,", ","] {
            assert!(parse_context(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_without_role_context_and_profile_means_the_key_with_any() {
        let key = |role, pairs: &[_], profile| Key::new(ARN, role, context(pairs), profile).unwrap();
        let full = key(Some("r"), &[("a", "1")], Some("p"));
        assert!(full.is_meant_by(&full) && full.is_meant_by(&key(None, &[], None)));
        assert!(!full.is_meant_by(&key(Some("other"), &[], None)));
        assert!(!key(None, &[], None).is_meant_by(&full));
    }
}
