//! Which item of which SealedSecret of a file a person means.

use super::file::SealedFile;
use super::types::SealedSecret;
use crate::document::TreePath;
use crate::error::{Error, Kind, Result};
use crate::hints;

/// An item of a SealedSecret: its key, `password`, or the path to it in the Secret that people see,
/// `["stringData"]["password"]`. Where a file holds several SealedSecrets the name of one is in front,
/// `db/password`, or its namespace and name, `shop/db/password`. None of these holds a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPath {
    object: Option<String>,
    pub item: String,
}

impl ItemPath {
    /// As it was typed: `data.password` is `password`, unless an item of the file has that very key.
    pub fn of(text: &str, file: &SealedFile) -> Result<Self> {
        let path = Self::parse(text)?;
        let is_there =
            |item: &str| file.objects.iter().any(|(_, sealed)| sealed.spec.encrypted_data.contains_key(item));
        let below = ["data.", "stringData."].iter().find_map(|map| path.item.strip_prefix(map));
        match below.filter(|item| !item.is_empty() && !is_there(&path.item)) {
            Some(item) => Ok(Self { item: item.to_owned(), ..path }),
            None => Ok(path),
        }
    }

    pub fn parse(text: &str) -> Result<Self> {
        let is_no_item = || {
            Error::new(Kind::TreePath, format!("`{text}` names no item of a SealedSecret"))
                .advise("Write the item's key: password, or db/password where a file holds several.")
        };
        if text.starts_with('[') {
            let path = TreePath::parse(text)?;
            return match path.keys().as_deref() {
                Some([item] | ["data" | "stringData", item]) => {
                    Ok(Self { object: None, item: (*item).to_owned() })
                }
                _ => Err(is_no_item()),
            };
        }
        let (object, item) =
            text.rsplit_once('/').map_or((None, text), |(object, item)| (Some(object), item));
        let is_name =
            |object: &str| object.split('/').count() <= 2 && object.split('/').all(|part| !part.is_empty());
        match item.is_empty() || !object.is_none_or(is_name) {
            true => Err(is_no_item()),
            false => Ok(Self { object: object.map(str::to_owned), item: item.to_owned() }),
        }
    }

    /// The position of the SealedSecret that has the item.
    pub fn find(&self, file: &SealedFile) -> Result<usize> {
        let (named, holding) = self.candidates(file)?;
        match &holding[..] {
            [only] => Ok(*only),
            [] => {
                let items = named.iter().flat_map(|&at| file.objects[at].1.spec.encrypted_data.keys());
                let items: Vec<&str> = items.map(String::as_str).collect();
                let error = Error::new(Kind::TreePath, format!("there is no item `{}`", self.item));
                let near = hints::misspelt(&self.item, items.iter().copied());
                Err(error.advise(match (near, &items[..]) {
                    (Some(near), _) => format!("Did you mean `{near}`?"),
                    (None, []) => "The SealedSecret has no items.".to_owned(),
                    (None, items) => format!("The items are {}.", items.join(", ")),
                }))
            }
            several => Err(self.ambiguous(file, several)),
        }
    }

    /// The position of the only SealedSecret that is meant, whether it has the item or gets it. Which of several has it says
    /// nothing: anybody can have added one that does, for a place of theirs.
    pub fn find_or_add(&self, file: &SealedFile) -> Result<usize> {
        match &self.candidates(file)?.0[..] {
            [only] => Ok(*only),
            several => Err(self.ambiguous(file, several)),
        }
    }

    /// Those of the name that was given, and those of them that have the item.
    fn candidates(&self, file: &SealedFile) -> Result<(Vec<usize>, Vec<usize>)> {
        let is_named = |at: &usize| {
            let sealed = &file.objects[*at].1;
            let names = |object: &String| *object == sealed.metadata.name || *object == full_name(sealed);
            self.object.as_ref().is_none_or(names)
        };
        let named: Vec<usize> = (0..file.objects.len()).filter(is_named).collect();
        if let (Some(object), []) = (&self.object, &named[..]) {
            let names: Vec<&str> = file.objects.iter().map(|(_, sealed)| &*sealed.metadata.name).collect();
            let error = Error::new(Kind::TreePath, format!("there is no SealedSecret `{object}`"));
            return Err(error.advise(format!("The file has {}.", names.join(", "))));
        }
        let has_item = |at: &&usize| file.objects[**at].1.spec.encrypted_data.contains_key(&self.item);
        let holding = named.iter().filter(has_item).copied().collect();
        Ok((named, holding))
    }

    fn ambiguous(&self, file: &SealedFile, among: &[usize]) -> Error {
        let all = || among.iter().map(|&at| &file.objects[at].1);
        let path = |sealed: &SealedSecret| {
            let namesakes = all().filter(|other| other.metadata.name == sealed.metadata.name).count();
            let name = if namesakes > 1 { full_name(sealed) } else { sealed.metadata.name.clone() };
            format!("{name}/{}", self.item)
        };
        let paths: Vec<String> = all().map(path).collect();
        Error::new(
            Kind::TreePath,
            format!("the file holds several SealedSecrets, and `{}` does not say which one", self.item),
        )
        .advise(format!("Name it: {}.", paths.join(" or ")))
    }
}

/// Namespace and name, as far as they are known.
fn full_name(sealed: &SealedSecret) -> String {
    match &sealed.metadata.namespace {
        Some(namespace) => format!("{namespace}/{}", sealed.metadata.name),
        None => sealed.metadata.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest;
    use super::super::testing::*;
    use super::*;
    use crate::document::Format;

    fn file(objects: &[(&str, &[&str])]) -> SealedFile {
        let alice = Person::new();
        let one = |(name, items): &(&str, &[&str])| {
            let items: Vec<_> = items.iter().map(|item| (*item, "x")).collect();
            let mut sealed = sealed(&items, &[&alice]);
            sealed.metadata.name = (*name).to_owned();
            manifest(&sealed, Format::Yaml).unwrap()
        };
        let texts: Vec<String> = objects.iter().map(one).collect();
        SealedFile::parse(Format::Yaml, bytes(&texts.join("---\n"))).unwrap()
    }

    fn find(file: &SealedFile, path: &str) -> std::result::Result<usize, String> {
        ItemPath::parse(path).and_then(|path| path.find(file)).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn an_item_is_named_by_its_key_or_by_its_path_in_the_secret() {
        let file = file(&[("db", &["a", "b.c"])]);
        for path in ["a", "b.c", "db/a", "[\"a\"]", "[\"stringData\"][\"b.c\"]", "['data']['a']"] {
            assert_eq!(find(&file, path), Ok(0), "{path}");
        }
        for path in [
            "",
            "db/",
            "/a",
            "x//a",
            "x/y/db/a",
            "[\"metadata\"][\"name\"]",
            "[0]",
            "[\"data\"][\"a\"][\"b\"]",
        ] {
            assert!(find(&file, path).unwrap_err().contains("names no item"), "{path}");
        }
        let of = |path: &str| ItemPath::of(path, &file).unwrap().item;
        assert_eq!(
            [of("data.a"), of("stringData.new"), of("b.c"), of("data.")],
            ["a", "new", "b.c", "data."]
        );
        let missing = ItemPath::parse("x").unwrap().find(&file).unwrap_err();
        assert_eq!(missing.advice(), Some("The items are a, b.c."));
        assert_eq!(find(&file, "cache/a"), Err("there is no SealedSecret `cache`".to_owned()));
    }

    #[test]
    fn among_several_it_has_to_be_clear_which_is_meant() {
        let file = file(&[("db", &["a", "b"]), ("cache", &["a"])]);
        assert_eq!((find(&file, "b"), find(&file, "cache/a")), (Ok(0), Ok(1)));
        assert!(find(&file, "a").unwrap_err().contains("does not say which one"));
        let add = |path: &str| ItemPath::parse(path).unwrap().find_or_add(&file).ok();
        assert_eq!([add("db/b"), add("cache/new"), add("new"), add("b")], [Some(0), Some(1), None, None]);
    }

    #[test]
    fn those_of_one_name_are_told_apart_by_their_namespaces() {
        let mut file = file(&[("db", &["a"]), ("db", &["a"])]);
        file.objects[1].1.metadata.namespace = Some("prod".to_owned());
        assert_eq!([find(&file, "shop/db/a"), find(&file, "prod/db/a")], [Ok(0), Ok(1)]);
        let error = ItemPath::parse("db/a").unwrap().find(&file).unwrap_err();
        assert_eq!(error.advice(), Some("Name it: shop/db/a or prod/db/a."));
    }
}
