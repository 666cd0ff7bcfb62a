//! What is looked for: one table, from which `check` and its reports take all that they say of a kind of finding.

use serde::{Serialize, Serializer};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is wrong, and the exit code says so.
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

/// What everybody is told of a rule.
struct About {
    id: &'static str,
    description: &'static str,
    advice: &'static str,
}

/// A new rule is one entry here.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident { id: $id:literal, finds: $finds:literal, advice: $advice:literal $(,)? })*) => {
        /// What is looked for. The names are for programs, and stay.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            fn about(self) -> About {
                match self {
                    $(Self::$name => About { id: $id, description: $finds, advice: $advice },)*
                }
            }
        }
    };
}

rules! {
    Plaintext {
        id: "plaintext",
        finds: "A value that a creation rule says is encrypted is in plaintext.",
        advice: "Encrypt the file: `sealant encrypt -i FILE`. A value that was put into an encrypted file comes out \
                 again, and in by `sealant edit FILE`. If it was committed before, change the secret where it comes from.",
    }
    Comment {
        id: "comment",
        finds: "A comment that a creation rule says is encrypted is in plaintext.",
        advice: "Take it out, and write it with `sealant edit FILE`, which encrypts it as `encrypt` does. If it was \
                 committed before and holds a secret, change the secret where it comes from.",
    }
    Secret {
        id: "kubernetes-secret",
        finds: "A Kubernetes Secret has values in plaintext.",
        advice: "Encrypt it with `sealant encrypt -i FILE`, or make a SealedSecret of it with `sealant seal FILE`.",
    }
    LastApplied {
        id: "last-applied",
        finds: "A Kubernetes Secret carries its values in plaintext, in an annotation of kubectl's.",
        advice: "Take the annotation out; `sealant encrypt --strip-last-applied` does so while it encrypts.",
    }
    Weakened {
        id: "weakened-config",
        finds: "A config was changed, and by it less is secret, or bound to a place, than by the one before.",
        advice: "Put back what the config said. If it is meant to say less, commit the change of the config by itself with \
                 `git commit --no-verify`, so that whoever reviews it sees it.",
    }
    /// A config that was changed in a way that is an everyday one, and that a review has to look at.
    ConfigChange {
        id: "config-change",
        finds: "A config was changed so that others can read what comes, or a rule is not for all that it was for.",
        advice: "Nothing is refused: it is for whoever reviews the change. Make sure of a new recipient with its owner, by \
                 another way than this repository.",
    }
    /// A config that is nearer to a file than one whose rule would be for it, and has no rules or is another repository's.
    HiddenRule {
        id: "hidden-rule",
        finds: "A config without creation rules, or of a repository of its own, hides a rule of the config above it.",
        advice: "What the nearer config says counts. Give it creation rules of its own, or delete it: without rules anybody who can write a file says for whom it is \
                 encrypted. If `check` is to pass the files by, `exclude` them in the config above.",
    }
    Recipients {
        id: "recipients",
        finds: "A file is encrypted for others than its creation rule says.",
        advice: "Bring the file in line with `sealant updatekeys FILE`; whoever leaves may have read it: `--rotate` \
                 makes a new data key.",
    }
    /// The same in the commit of somebody who asks to be let in, and cannot do it themselves.
    AccessRequest {
        id: "access-request",
        finds: "A rule names a new recipient, and files are not encrypted for them yet: somebody who can open the files has to finish it.",
        advice: "The commit goes through: it only asks. Push it, and let one of those named above make sure of the key by \
                 another way than this repository. They finish it on your branch: `sealant updatekeys --add KEY FILE`.",
    }
    Renamed {
        id: "renamed",
        finds: "The config gives a key a name that was another key's.",
        advice: "Whoever reads the name takes the new key for the old one. Give the new key a name of its own, such as one \
                 with a year, and let the other keep its name.",
    }
    Copied {
        id: "copied",
        finds: "A file has the data key or a ciphertext of another one, which is for other readers.",
        advice: "If the copy is meant, part the two: `sealant rotate -i --allow-copied FILE`. Else take it out: whoever \
                 may read one file can come to read the other.",
    }
    /// The same of what is in the history alone.
    Moved {
        id: "moved",
        finds: "A file has the data key or a ciphertext of one that was at another place, which fewer may read.",
        advice: "If it is meant to be for the readers of its place, give it a new data key: `sealant rotate -i \
                 --allow-copied FILE`. Else take it back: `git log --stat -- FILE` says who brought it there.",
    }
    Settings {
        id: "settings",
        finds: "A file leaves values in plaintext that its creation rule explicitly says are encrypted.",
        advice: "Bring the file in line with `sealant updatekeys --settings FILE`, which shows the values first. If \
                 nobody meant to change what the file encrypts, somebody else did: see `git log -p -- FILE`.",
    }
    /// What is in plaintext by a choice that only the file itself makes.
    OwnSettings {
        id: "own-settings",
        finds: "A file leaves a value in plaintext that has the name of a secret, by its own settings and by no rule.",
        advice: "Say in the creation rule which values are secret, with encrypted_regex for instance, and bring the file in \
                 line: `sealant updatekeys --settings FILE`. If nobody here has chosen what the file encrypts, see who did: \
                 `git log -p -- FILE`.",
    }
    Binding {
        id: "binding",
        finds: "A SealedSecret belongs to another place than its creation rule pins it to.",
        advice: "Take the change of scope, namespace or name back (`git log -p -- FILE`), or change the rule's \
                 `sealant:` key and seal the values anew.",
    }
    /// A link whose path is under another rule than its file.
    Link {
        id: "link",
        finds: "A link leads to a file of another creation rule.",
        advice: "Remove the link, or move the file. Commands refuse the link's own path, and take the file by its own: \
                 `sealant explain FILE`.",
    }
    /// A file of which the working tree has other bytes than Git.
    Encoding {
        id: "encoding",
        finds: "A file is here in an encoding that is not read, and Git has it in UTF-8, or has other parts.",
        advice: "Let it be here as it is in Git: take `working-tree-encoding` or `ident` for it out of .gitattributes, then \
                 `git rm --cached FILE`, and `git checkout HEAD -- FILE`.",
    }
    PrivateKey {
        id: "private-key",
        finds: "A file holds a private key or a token.",
        advice: "Take it out, and replace it by a new one: whoever has seen the file has the key.",
    }
    Broken {
        id: "broken",
        finds: "A file that is meant to be encrypted cannot be read as such.",
        advice: "Restore the file from Git, or mend it; `sealant inspect FILE` says what is wrong.",
    }
}

impl Rule {
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

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        self.about().advice
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
