//! Who has written a line, as Git has it: a claim, as everything in a repository is.

use std::path::Path;

use crate::error::Result;
use crate::repo::git::Git;

/// How much of a commit's name is shown.
const SHORT: usize = 10;

/// What Git says of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// By nobody yet: it is in no commit.
    NotCommitted,
    In {
        /// Name and address.
        author: String,
        /// A short name.
        commit: String,
    },
}

/// Who has written line `line`, from 1, of the file that is called so from the top.
pub fn of_line(git: &Git, file: &Path, line: usize) -> Result<Written> {
    let range = format!("-L{line},{line}");
    let args = ["blame", "--porcelain", "--no-textconv", "--ignore-revs-file=", &range, "--"]
        .map(std::ffi::OsStr::new);
    let answer = git.run(args.into_iter().chain([file.as_os_str()]))?;
    Ok(written(&String::from_utf8_lossy(&answer)))
}

fn written(porcelain: &str) -> Written {
    let commit = porcelain.split_whitespace().next().unwrap_or_default();
    if commit.bytes().all(|byte| byte == b'0') {
        return Written::NotCommitted;
    }
    let field = |name: &str| {
        let line = porcelain.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_default()
    };
    let author = format!("{} {}", field("author"), field("author-mail"));
    Written::In { author, commit: commit.get(..SHORT).unwrap_or(commit).to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_an_author_once_it_is_committed() {
        let porcelain = "cae05f9bbf7d6eed0cdd2ba0e2bd3d39c6a5b6a1 3 3 1\nauthor Ben\nauthor-mail <ben@example.com>\n\
                         committer author Eve\nsummary author Mallory\nfilename .sops.yaml\n\t- age1\n";
        let author = "Ben <ben@example.com>".to_owned();
        assert_eq!(written(porcelain), Written::In { author, commit: "cae05f9bbf".to_owned() });
        let porcelain = "0000000000000000000000000000000000000000 3 3 1\nauthor Not Committed Yet\n";
        assert_eq!(written(porcelain), Written::NotCommitted);
    }
}
