//! TODO
use super::*;
pub struct YamlDocument;
impl YamlDocument {
    pub fn parse(_: SecretString) -> Result<Self> { todo!() }
    pub fn parse_envelope(_: SecretString) -> Result<Self> { todo!() }
    pub fn from_bytes(_: SecretBytes) -> Self { todo!() }
}
impl Document for YamlDocument {
    fn format(&self) -> Format { todo!() }
    fn source(&self) -> &str { todo!() }
    fn tree(&self) -> &Tree { todo!() }
    fn value(&self, _: NodeId) -> Result<Value> { todo!() }
    fn put_token(&self, _: NodeId, _: &str) -> Edits { todo!() }
    fn spelling_after_token(&self, _: NodeId, _: &Value) -> SecretString { todo!() }
    fn spelling(&self, _: NodeId) -> &str { todo!() }
    fn put_value(&self, _: NodeId, _: &Value) -> Result<Edits> { todo!() }
    fn put_spelling(&self, _: NodeId, _: &str) -> Edits { todo!() }
    fn put_comment(&self, _: NodeId, _: &str) -> Result<Edits> { todo!() }
    fn replace(&self, _: NodeId, _: &Data) -> Result<Edits> { todo!() }
    fn insert(&self, _: NodeId, _: Option<&str>, _: Option<NodeId>, _: &Data) -> Result<Edits> { todo!() }
    fn remove(&self, _: &[NodeId]) -> Result<Edits> { todo!() }
    fn metadata(&self) -> Result<Option<Data>> { todo!() }
    fn put_metadata(&self, _: Option<&Data>) -> Result<Edits> { todo!() }
    fn is_metadata(&self, _: NodeId) -> bool { todo!() }
}

/// A document of another format as YAML, laid out as sops does.
pub(super) fn emit(_: &dyn Document) -> Result<SecretString> { todo!() }
