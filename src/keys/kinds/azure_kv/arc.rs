//! Machines that Azure Arc manages: its agent gives a token to whoever can read a file that it names.

use std::path::Path;

use zeroize::Zeroizing;

use crate::host::Host;
use crate::keys::web::{Cause, Problem};
use crate::secret::SecretString;

/// Where the agent writes these files; others are nobody's to ask for.
const FOLDER: &str = "/var/opt/azcmagent/tokens";

/// The most that such a file holds.
const LONGEST: usize = 4096;

/// What is in the file that the agent names in its first answer.
pub(super) fn secret(host: &dyn Host, challenge: &str) -> Result<SecretString, Problem> {
    let wrong = |why: String| Problem::new(Cause::Credentials, format!("the agent of Azure Arc {why}"));
    let path = challenge.strip_prefix("Basic realm=").map(|path| path.trim_matches('"')).unwrap_or_default();
    let file = Path::new(path);
    if file.parent() != Some(Path::new(FOLDER)) || file.extension().is_none_or(|end| end != "key") {
        return Err(wrong(format!("asks for `{path}`, which is not one of its own files in {FOLDER}")));
    }
    let content = host.read_secret(file).map_err(|error| {
        let advice = "Only root and members of the group `himds` may read it: add your user to that group.";
        wrong(format!("wants what is in {path}, which cannot be read: {error}")).advise(advice)
    })?;
    match std::str::from_utf8(&content) {
        Ok(text) if text.len() <= LONGEST => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(wrong(format!("wants what is in {path}, which is not one of its secrets"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    #[test]
    fn only_files_of_the_agent_are_read() {
        let host = || {
            let host = FakeHost::default().file("/var/opt/azcmagent/tokens/1.key", "PLANTED");
            host.file("/var/opt/azcmagent/tokens/2.key", "x".repeat(LONGEST + 1))
                .file("/etc/x.key", "PLANTED")
        };
        let of =
            |path: &str| secret(&host(), &format!("Basic realm={path}")).map_err(|problem| problem.message);
        assert_eq!(*of("/var/opt/azcmagent/tokens/1.key").unwrap(), "PLANTED");
        assert_eq!(*of("\"/var/opt/azcmagent/tokens/1.key\"").unwrap(), "PLANTED");
        for (path, why) in [
            ("/etc/x.key", "not one of its own files"),
            ("/var/opt/azcmagent/tokens/../../../../etc/x.key", "not one of its own files"),
            ("/var/opt/azcmagent/tokens/1.txt", "not one of its own files"),
            ("", "not one of its own files"),
            ("/var/opt/azcmagent/tokens/3.key", "cannot be read"),
            ("/var/opt/azcmagent/tokens/2.key", "not one of its secrets"),
        ] {
            let told = of(path).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
