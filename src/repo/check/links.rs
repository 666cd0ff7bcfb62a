//! Links whose path claims a rule other than that of the file they lead to, and repositories in the place of a folder.

use std::path::{Path, PathBuf};

use crate::config::{Configs, FILES, TakenOver};
use crate::error::Result;
use crate::os;
use crate::repo::check::{Finding, Rule, private_keys, shown};
use crate::repo::outside::is_name_of_git;

/// What is wrong with a link. `paths` are those that lead through it: to files of its folder, or itself.
pub fn check_link(
    link: &Path,
    paths: impl IntoIterator<Item = PathBuf>,
    configs: &Configs,
) -> Result<Option<Finding>> {
    if configs.locate(link)?.is_name_excluded_from_check()? {
        return Ok(None);
    }
    for path in paths {
        if let Some(misled) = configs.locate(&path)?.misled()?.filter(|misled| misled.is_worth_telling()) {
            return Ok(Some(Finding::new(1, Rule::Link, misled.to_string())));
        }
    }
    Ok(None)
}

/// What is wrong with the target of a link, which Git stores as it is spelled: a secret may be all that it is.
/// `is_there` says whether it leads to something.
pub fn check_target(link: &Path, target: &[u8], is_there: bool, configs: &Configs) -> Result<Vec<Finding>> {
    let located = configs.locate(link)?;
    if located.is_name_excluded_from_check()? {
        return Ok(Vec::new());
    }
    if target.split(|byte| matches!(byte, b'/' | b'\\')).any(|name| is_name_of_git(&os::name_of(name))) {
        let message = "leads into what Git keeps for itself: whoever writes through it writes what Git runs programs by";
        return Ok(vec![Finding::new(1, Rule::Link, message.to_owned())]);
    }
    let keys = private_keys::private_keys(target).into_iter();
    let mut findings: Vec<Finding> =
        keys.map(|(line, kind)| Finding::new(line, Rule::PrivateKey, kind.description())).collect();
    let policy = located.policy_of_name()?.filter(|policy| policy.rule.path_regex.is_some());
    if let Some(policy) = policy.filter(|_| !is_there) {
        let message = format!(
            "leads to nothing here, so its target may be a value, which is in plaintext in Git, but {} says to encrypt it",
            shown(&policy)
        );
        findings.push(Finding::new(1, Rule::Link, message));
    }
    Ok(findings)
}

/// What is wrong with a repository within another one, such as a submodule: its own config counts there, whatever a
/// rule of the outer one says about its place. `files` are some that are there.
pub fn check_repository(folder: &Path, files: &[&Path], configs: &Configs) -> Result<Option<Finding>> {
    let finding = |TakenOver { by, rule }: TakenOver| {
        let by = by.file_name().unwrap_or_default().display();
        let name = rule.file.file_name().unwrap_or_default().display();
        let message = format!(
            "is a repository of its own, so its {by} applies here instead of rule {} of {name}",
            rule.index + 1
        );
        Finding::new(1, Rule::HiddenRule, message)
    };
    Ok(configs.taken_over(folder, files.iter().copied())?.map(finding))
}

/// The paths that stand for a link to what is not to be seen here: it may be a file or a folder. What a file of it is called
/// matters where a rule names the place; a rule for all files of a type says nothing of a link.
pub fn unseen(link: &Path, configs: &Configs) -> Result<Vec<PathBuf>> {
    let count = if configs.is_in_named_folder(link)? { FILES.len() } else { 1 };
    Ok([link.to_path_buf()].into_iter().chain(FILES[..count].iter().map(|name| link.join(name))).collect())
}
