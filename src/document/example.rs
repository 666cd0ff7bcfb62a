//! What a file begins with that is made in an editor: short, and valid in its format.

use super::Format;

const YAML: &str = "\
# An example: replace it with your own values. If you change nothing, nothing is written.
database:
    user: app
    password: change-me
    port: 5432
features:
    - search
    - export
debug: false
";

const JSON: &str = r#"{
	"example": "Put your own values in place of these. Nothing is written if they stay as they are.",
	"database": {
		"user": "app",
		"password": "change-me",
		"port": 5432
	},
	"features": [
		"search",
		"export"
	],
	"debug": false
}
"#;

const DOTENV: &str = "\
# An example: replace it with your own values. If you change nothing, nothing is written.
DATABASE_USER=app
DATABASE_PASSWORD=change-me
";

const INI: &str = "\
; An example: replace it with your own values. If you change nothing, nothing is written.
[database]
user = app
password = change-me
";

const BINARY: &str =
    "An example: replace it with your own text. If you change nothing, nothing is written.\n";

/// The example for files whose rule encrypts the data of Kubernetes Secrets.
pub const KUBERNETES_EXAMPLE: &str = "\
# An example: replace it with your own values. If you change nothing, nothing is written.
apiVersion: v1
kind: Secret
metadata:
    name: example
stringData:
    password: change-me
";

/// The example for a format.
pub fn example(format: Format) -> &'static str {
    match format {
        Format::Yaml => YAML,
        Format::Json => JSON,
        Format::Dotenv => DOTENV,
        Format::Ini => INI,
        Format::Binary => BINARY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::testing::read;

    #[test]
    fn examples_are_documents_with_values() {
        for format in [Format::Yaml, Format::Json, Format::Dotenv, Format::Ini] {
            assert!(!read(format, example(format)).tree().is_empty(), "{format}");
        }
        let secret = read(Format::Yaml, KUBERNETES_EXAMPLE);
        assert!(crate::sops::kubernetes::holds_only_secrets(&*secret));
    }
}
