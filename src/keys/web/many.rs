//! Many keys at a time: a few requests are under way, and each wrapped key is asked for once.

use std::collections::HashMap;
use std::hash::Hash;

use futures_util::stream::{self, StreamExt};

use crate::error::Result;
use crate::keys::kind::{Try, Wrapped};
use crate::keys::unopened::Failure;
use crate::secret::SecretBytes;

/// How many requests are under way.
const AT_ONCE: usize = 16;

/// Wraps each payload for its key.
pub(crate) async fn wrap_each<'a, K>(
    tasks: &'a [(&'a K, &'a [u8])],
    wrap: impl AsyncFn(&'a K, &'a [u8]) -> Result<Wrapped>,
) -> Vec<Result<Wrapped>> {
    let wrap = &wrap;
    let one = |(key, payload): &(&'a K, &'a [u8])| wrap(key, payload);
    stream::iter(tasks.iter().map(one)).buffered(AT_ONCE).collect().await
}

/// Opens any one of each try's wrapped keys. Files can hold the same wrapped key: it is asked for once.
pub(crate) async fn open_each<'a, K: Eq + Hash>(
    tries: &'a [Try<'a, K>],
    open: impl AsyncFn(&'a K, &'a str) -> Result<SecretBytes>,
) -> Vec<Result<(usize, SecretBytes), Vec<Failure>>> {
    let mut places: HashMap<(&K, &str), usize> = HashMap::new();
    let mut distinct: Vec<(&K, &str)> = Vec::new();
    let mut wanted: Vec<Vec<usize>> = Vec::new();
    for one in tries {
        let mut place_of = |key: &'a K, enc: &'a str| {
            *places.entry((key, enc)).or_insert_with(|| {
                distinct.push((key, enc));
                distinct.len() - 1
            })
        };
        wanted.push(one.keys.iter().map(|(key, wrapped)| place_of(key, &wrapped.enc)).collect());
    }
    let open = &open;
    let one = |(key, enc)| async move { open(key, enc).await.map_err(|error| Failure::from(&error)) };
    let answers: Vec<Result<SecretBytes, Failure>> =
        stream::iter(distinct.into_iter().map(one)).buffered(AT_ONCE).collect().await;
    wanted.into_iter().map(|places| pick(&places, &answers)).collect()
}

/// The first of these answers that opened something; else why none did.
fn pick(
    places: &[usize],
    answers: &[Result<SecretBytes, Failure>],
) -> Result<(usize, SecretBytes), Vec<Failure>> {
    let opened = places
        .iter()
        .enumerate()
        .find_map(|(index, place)| answers[*place].as_ref().ok().map(|payload| (index, payload.clone())));
    opened.ok_or_else(|| places.iter().filter_map(|place| answers[*place].as_ref().err().cloned()).collect())
}
