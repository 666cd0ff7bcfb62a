//! What we look for: one table, from which `check` and its reports take everything that they say about a kind of
//! finding.

use serde::{Serialize, Serializer};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is wrong, and the exit code says so.
    Error,
    /// Somebody has to look at it, and nothing is refused.
    Warning,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What we tell everybody about a rule.
struct About {
    id: &'static str,
    description: &'static str,
    advice: &'static str,
    besides: &'static str,
}

/// A new rule is one entry here.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident { id: $id:literal, finds: $finds:literal, advice: $advice:literal $(, besides: $besides:literal)? $(,)? })*) => {
        /// What is looked for. The names are for programs, and stay.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            fn about(self) -> About {
                match self {
                    $(Self::$name => About { id: $id, description: $finds, advice: $advice, besides: concat!($($besides)?) },)*
                }
            }
        }
    };
}

rules! {
    Plaintext {
        id: "plaintext",
        finds: "A value that a creation rule says is encrypted is in plaintext.",
        advice: "Encrypt the file: `sealant encrypt -i FILE`. If a plaintext value was added to an encrypted file, \
                 remove the value, then add it with `sealant edit FILE`. If this was ever committed, \
                 replace the secret itself.",
        besides: "If this was ever committed, replace the secret itself.",
    }
    Comment {
        id: "comment",
        finds: "A comment that a creation rule says is encrypted is in plaintext.",
        advice: "Remove it, then add it with `sealant edit FILE`, which encrypts it as `encrypt` does. If it holds \
                 a secret and was ever committed, replace the secret itself.",
        besides: "If it holds a secret and was ever committed, replace the secret itself.",
    }
    Secret {
        id: "kubernetes-secret",
        finds: "A Kubernetes Secret has values in plaintext.",
        advice: "Encrypt it with `sealant encrypt -i FILE`, or turn it into a SealedSecret with \
                 `sealant seal FILE`.",
        besides: "For a SealedSecret, use `sealant seal` instead of `sealant encrypt`.",
    }
    LastApplied {
        id: "last-applied",
        finds: "A Kubernetes Secret has its values in plaintext in an annotation that kubectl wrote.",
        advice: "Remove the annotation; `sealant encrypt --strip-last-applied` removes it while encrypting.",
    }
    Weakened {
        id: "weakened-config",
        finds: "A config was changed so that less is secret, or bound to a place, than before.",
        advice: "Restore what the config said. If you mean to weaken it, commit that change by itself with \
                 `git commit --no-verify`, so that its reviewers see it.",
        besides: "If you mean to weaken it, commit that change by itself with `git commit --no-verify`, so that its \
                  reviewers see it.",
    }
    /// An everyday change of a config, which reviewers have to look at.
    ConfigChange {
        id: "config-change",
        finds: "A config was changed so that others can read new values, or a rule no longer covers everything that \
                it did.",
        advice: "This is not an error: it is for the reviewers of the change. Verify a new recipient with its owner, \
                 through a channel other than this repository.",
    }
    /// A config that is nearer to a file than one whose rule would be for it, and has no rules or is another repository's.
    HiddenRule {
        id: "hidden-rule",
        finds: "A config without creation rules, or in a repository of its own, hides a rule of the config above \
                it.",
        advice: "The nearest config applies. Give it creation rules of its own, or delete it: without rules, anybody \
                 who can write a file decides who can read it. If `check` should skip the files, `exclude` them in \
                 the config above.",
    }
    Recipients {
        id: "recipients",
        finds: "A file has other recipients than its creation rule says.",
        advice: "Make the file match the rule with `sealant updatekeys FILE`. If the rule no longer names somebody, \
                 add `--rotate`, which makes a new data key: they may have kept the old one.",
        besides: "If the rule no longer names somebody, add `--rotate`, which makes a new data key: they may have kept \
                  the old one.",
    }
    /// The same in the commit of somebody who asks for access, and cannot grant it themselves.
    AccessRequest {
        id: "access-request",
        finds: "A rule names a new recipient, but files are not encrypted for them yet: somebody who can open the \
                files has to finish this.",
        advice: "The commit is allowed: it only asks for access. Push it, and have one of the people named above \
                 verify the key through a channel other than this repository. They finish it on your branch: \
                 `sealant updatekeys --add KEY FILE`.",
    }
    Renamed {
        id: "renamed",
        finds: "The config gives a key a name that belonged to another key.",
        advice: "People would mistake the new key for the old one. Give the new key a name of its own, such as one \
                 with a year, and leave the old key its name.",
    }
    Altered {
        id: "altered",
        finds: "An encrypted file was changed without Sealant or sops, or merged as text, so nobody can open it.",
        advice: "Get the file back, and change it with `sealant edit FILE` or `sealant set FILE PATH`.",
        besides: "Change encrypted files with `sealant edit FILE` or `sealant set FILE PATH`.",
    }
    Copied {
        id: "copied",
        finds: "A file has the data key or a ciphertext of another file, which has other readers.",
        advice: "If you mean to copy it, give the copy its own data key: `sealant rotate -i --allow-copied FILE`. \
                 Otherwise remove it: readers of one file could also read the other.",
        besides: "Readers of one file could also read the other.",
    }
    /// The same of what is in the history alone.
    Moved {
        id: "moved",
        finds: "A file has the data key or a ciphertext of a file that was at another path, which fewer people can \
                read.",
        advice: "If the readers of this path should have it, give it a new data key: \
                 `sealant rotate -i --allow-copied FILE`. Otherwise move it back: `git log --stat -- FILE` shows who \
                 moved it.",
        besides: "If the readers of this path should not have it, move it back: `git log --stat -- FILE` shows who \
                  moved it.",
    }
    Settings {
        id: "settings",
        finds: "A file leaves values in plaintext that its creation rule explicitly says are encrypted.",
        advice: "Make the file match the rule with `sealant updatekeys --settings FILE`, which shows the values \
                 first. If you did not change what the file encrypts, see who did: `git log -p -- FILE`.",
        besides: "It shows the values first. If you did not change what the file encrypts, see who did: \
                  `git log -p -- FILE`.",
    }
    /// What is in plaintext by a choice that only the file itself makes.
    OwnSettings {
        id: "own-settings",
        finds: "A file leaves a value in plaintext whose name sounds secret; the file's own settings say so, not a \
                rule.",
        advice: "Say in the creation rule which values are secret, with encrypted_regex for instance, then run \
                 `sealant updatekeys --settings FILE`. If you did not choose what the file encrypts, see who did: \
                 `git log -p -- FILE`.",
        besides: "If you did not choose what the file encrypts, see who did: `git log -p -- FILE`.",
    }
    Binding {
        id: "binding",
        finds: "A SealedSecret belongs to another place than its creation rule pins it to.",
        advice: "Revert the change of scope, namespace or name (`git log -p -- FILE`), or change the rule's \
                 `sealant:` key and seal the values again.",
    }
    /// A link whose path is under another rule than its file.
    Link {
        id: "link",
        finds: "A link leads to a file of another creation rule.",
        advice: "Remove the link, or move the file. Commands refuse the path of the link, and accept the file's own \
                 path: `sealant explain FILE`.",
    }
    /// A file of which the working tree has other bytes than Git.
    Encoding {
        id: "encoding",
        finds: "A file's content here differs from what Git stores: it has another encoding, expanded keywords, or a filter.",
        advice: "Keep it here as it is in Git: remove `working-tree-encoding` or `ident` for it from .gitattributes, \
                 then `git rm --cached FILE && git checkout HEAD -- FILE`; or `filter`, then `git add --renormalize FILE`.",
    }
    PrivateKey {
        id: "private-key",
        finds: "A file holds a private key or a token.",
        advice: "Remove it, and replace it with a new one: everybody who has seen the file has the key.",
        besides: "Replace the key with a new one if anybody else may have seen it.",
    }
    Broken {
        id: "broken",
        finds: "A file that is meant to be encrypted cannot be read as such.",
        advice: "Restore the file from Git, or fix it; `sealant inspect FILE` says what is wrong.",
    }
}

impl Rule {
    /// Whether it is about values in plaintext, or a file that cannot be read.
    pub fn is_of_contents(self) -> bool {
        matches!(self, Self::Plaintext | Self::Comment | Self::Broken)
    }

    /// Whether it is about what may be a value in plaintext, or lets one be: that stays in a commit that has it. The rest is
    /// as the next commit has it.
    pub fn shows_values(self) -> bool {
        match self {
            Self::Plaintext | Self::Comment | Self::Secret | Self::LastApplied | Self::PrivateKey => true,
            Self::Settings | Self::OwnSettings | Self::Weakened | Self::Link | Self::Encoding => true,
            Self::Broken => true,
            Self::ConfigChange | Self::HiddenRule | Self::Recipients | Self::AccessRequest => false,
            Self::Renamed | Self::Altered | Self::Copied | Self::Moved | Self::Binding => false,
        }
    }

    pub fn id(self) -> &'static str {
        self.about().id
    }

    pub fn level(self) -> Level {
        match self {
            Self::ConfigChange | Self::HiddenRule | Self::AccessRequest => Level::Warning,
            _ => Level::Error,
        }
    }

    /// What it finds, in a sentence.
    pub fn description(self) -> &'static str {
        self.about().description
    }

    /// What to do about it, whatever the file is like.
    pub fn advice(self) -> &'static str {
        self.about().advice
    }

    /// What to say besides the command that fixes the file as it is.
    pub fn besides(self) -> &'static str {
        self.about().besides
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
