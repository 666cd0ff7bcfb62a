//! Whom a merge of Git's, or the end of one, may give a data key.
//!
//! Owns that in a rebase, and in several cherry-picks or reverts, a rule counts as far as it does where these begin or end: each step
//! is merged under the config of its own commit, which nobody has reviewed by itself.

use std::path::Path;

use crate::cli::context::Context;
use crate::cli::copies::real;
use crate::config::absolute;
use crate::error::Result;
use crate::keys::{KeySet, MasterKey};
use crate::policy;
use crate::repo::git::configs::of_commit;
use crate::repo::git::{Git, sequence};

/// The master keys that the rule of a file names; `None` where there is no rule, or it names none.
pub fn rule_of(context: &Context, path: &Path) -> Result<Option<KeySet>> {
    let rule = policy::keys_of_file(&context.configs()?, path)?;
    let Some(mut rule) = rule else { return Ok(None) };
    let Ok((git, name)) = Git::of_file(context.host, path) else { return Ok(Some(rule)) };
    let Some(ends) = sequence::ends(&git)? else { return Ok(Some(rule)) };
    let mut named: Vec<MasterKey> = Vec::new();
    for end in ends {
        let mut lookup = context.lookup()?;
        lookup.explicit = lookup.explicit.map(|path| absolute(&path, &lookup.working_dir));
        lookup.working_dir = real(&lookup.working_dir);
        // A config that cannot be read names nobody.
        let then = of_commit(&git, &end, lookup)
            .and_then(|configs| policy::readers_of_other_state(&configs, &git.top().join(&name)));
        named.extend(then.ok().flatten().into_iter().flat_map(|then| then.groups).flatten());
    }
    rule.groups.iter_mut().for_each(|group| group.retain(|key| key.is_among(&named)));
    Ok(Some(rule))
}
