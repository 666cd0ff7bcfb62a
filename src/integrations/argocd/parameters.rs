//! What an application may say about how it is generated: harmless things alone.

use serde::Deserialize;
use serde_json::{Value as Data, json};

use super::{Place, SourceKind};
use crate::error::{Error, Kind, Result};
use crate::host::Host;

/// Where Argo CD puts the parameters of an application. `PARAM_...` say the same, and nobody reads them.
const VARIABLE: &str = "ARGOCD_APP_PARAMETERS";

const NAMES: [&str; 4] = ["source", "recurse", "release-name", "value-files"];

/// What an application says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// What the folder is taken for; by what is in it, if it does not say.
    pub source: Option<SourceKind>,
    /// Whether the folders in a plain folder count, too.
    pub recurse: bool,
    /// The name of helm's release, else the application's.
    pub release_name: Option<String>,
    /// Files of values in the repository, relative to the application's folder.
    pub value_files: Vec<String>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    string: Option<String>,
    #[serde(default)]
    array: Vec<String>,
}

impl Parameters {
    /// Reads what Argo CD hands on. A parameter that is not known is refused: it would be passed over.
    pub fn of(host: &dyn Host) -> Result<Self> {
        match host.env_text(VARIABLE)? {
            Some(text) => Self::parse(&text),
            None => Ok(Self::default()),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let refuse = |message: String| Error::new(Kind::Read, message);
        let listed: Option<Vec<Parameter>> = serde_json::from_str(text)
            .map_err(|_| refuse(format!("{VARIABLE} is not a list of parameters as Argo CD writes it")))?;
        let mut parameters = Self::default();
        for Parameter { name, string, array } in listed.unwrap_or_default() {
            let text = string.unwrap_or_default();
            match name.as_str() {
                "source" if text.is_empty() || text == "auto" => {}
                "source" => {
                    let kind = SourceKind::ALL.into_iter().find(|kind| kind.name() == text);
                    let unknown =
                        || refuse("the parameter `source` is auto, kustomize, helm or directory".to_owned());
                    parameters.source = Some(kind.ok_or_else(unknown)?);
                }
                "recurse" => {
                    parameters.recurse = match text.as_str() {
                        "true" => true,
                        "false" | "" => false,
                        _ => return Err(refuse("the parameter `recurse` is true or false".to_owned())),
                    }
                }
                "release-name" => parameters.release_name = Some(text).filter(|name| !name.is_empty()),
                "value-files" => parameters.value_files = array,
                _ => {
                    let shown: String = name.chars().take(60).collect();
                    return Err(refuse(format!("there is no parameter {shown:?} for applications")).advise(
                        format!(
                            "There are {}. Everything else is set by the arguments in plugin.yaml.",
                            NAMES.join(", ")
                        ),
                    ));
                }
            }
        }
        Ok(parameters)
    }
}

/// The parameters that make sense for a folder, as Argo CD shows them.
pub fn announcements(place: &Place) -> Data {
    let kind = SourceKind::of(place);
    let parameter = |name: &str, title: &str, tooltip: &str, collection: &str| json!({"name": name, "title": title, "tooltip": tooltip, "collectionType": collection});
    let mut list = vec![parameter(
        "source",
        "Source",
        "What the folder is: auto, kustomize, helm or directory",
        "string",
    )];
    list[0]["string"] = json!("auto");
    match kind {
        SourceKind::Kustomize => {}
        SourceKind::Helm => {
            list.push(parameter(
                "release-name",
                "Release name",
                "By default the name of the application",
                "string",
            ));
            list.push(parameter(
                "value-files",
                "Files of values",
                "In the repository, relative to the folder",
                "array",
            ));
        }
        SourceKind::Directory => {
            list.push(parameter(
                "recurse",
                "Recurse",
                "true: manifests in folders below count, too",
                "string",
            ));
        }
    }
    Data::Array(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_harmless_is_taken_and_all_else_refused() {
        let text = r#"[{"name":"source","string":"helm"},{"name":"value-files","array":["a","b"]},
                       {"name":"release-name","string":"x"},{"name":"recurse","string":"true"}]"#;
        let expected = Parameters {
            source: Some(SourceKind::Helm),
            recurse: true,
            release_name: Some("x".to_owned()),
            value_files: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(Parameters::parse(text).unwrap(), expected);
        for none in ["null", "[]", r#"[{"name":"source","string":"auto"}]"#] {
            assert_eq!(Parameters::parse(none).unwrap(), Parameters::default());
        }
        for hostile in [
            r#"[{"name":"decrypt","string":"true"}]"#,
            r#"[{"name":"allow-empty","string":"true"}]"#,
            r#"[{"name":"helm-arg","array":["--post-renderer=/bin/sh"]}]"#,
            r#"[{"name":"recurse","string":"1"}]"#,
            r#"[{"name":"source","string":"sh"}]"#,
            r#"{"name":"source"}"#,
        ] {
            assert!(Parameters::parse(hostile).is_err(), "{hostile}");
        }
    }
}
