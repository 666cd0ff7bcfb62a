//! The nodes of a document in one array, in document order: what every format parses into.

use std::collections::HashSet;
use std::ops::{Index, Range};

use zeroize::Zeroizing;

use crate::document::{MAX_ALIAS_BYTES, MAX_ALIAS_NODES, MAX_DEPTH};
use crate::error::{Error, Kind, Result};

/// The number of a node in its [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// Stands for no node: trees are bounded to fewer.
    const NONE: Self = Self(u32::MAX);

    fn new(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A range of bytes of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Sources are bounded to less than 4 GiB when they are read ([`crate::document::parse`]).
    pub fn new(start: usize, end: usize) -> Self {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: clamp(start), end: clamp(end) }
    }
    pub fn start(self) -> usize {
        self.start as usize
    }
    pub fn end(self) -> usize {
        self.end as usize
    }
    pub fn range(self) -> Range<usize> {
        self.start()..self.end()
    }
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// A text of a document: a range of its source where it appears there as it is, else a copy.
#[derive(Debug, Clone)]
pub enum Text {
    Source(Span),
    Owned(Zeroizing<Box<str>>),
}

impl Default for Text {
    fn default() -> Self {
        Self::Source(Span::default())
    }
}

impl Text {
    /// The text `value` that was read from `span`; it is copied only if the source spells it differently.
    pub fn new(source: &str, span: Span, value: &str) -> Self {
        if source.get(span.range()) == Some(value) {
            Self::Source(span)
        } else {
            Self::Owned(Zeroizing::new(value.into()))
        }
    }

    pub fn get<'a>(&'a self, source: &'a str) -> &'a str {
        match self {
            Self::Source(span) => source.get(span.range()).unwrap_or_default(),
            Self::Owned(text) => text,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Map,
    List,
    Scalar,
    Comment,
    /// Another name for a node (YAML).
    Alias(NodeId),
}

/// How a scalar is written, or that a collection is in flow style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    #[default]
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
    Folded,
    Flow,
}

/// One node. Children of a collection follow it in the array, up to its `end`.
#[derive(Debug, Clone)]
pub struct Node {
    pub kind: NodeKind,
    pub style: Style,
    parent: NodeId,
    end: NodeId,
    /// The key under which it appears in a map; empty in a list.
    pub key: Text,
    /// Where the key appears, quotes included.
    pub key_span: Span,
    /// Where the value appears: of a scalar all that is replaced with it (quotes, header of a block scalar, tag), of
    /// a comment its text after the marker, of a collection from its first to its last token.
    pub span: Span,
    /// Of a scalar the string that it stands for, of a comment its text after the marker.
    pub text: Text,
}

/// A step of a walk in document order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A map or list begins.
    Enter(NodeId),
    /// The map or list that was entered last ends.
    Leave(NodeId),
    /// A scalar. `at` is where it appears: the alias through which it was reached, else itself.
    Leaf {
        node: NodeId,
        at: NodeId,
    },
    Comment(NodeId),
}

/// A key that two entries of one map have.
#[derive(Debug, Clone)]
pub struct Repeated {
    pub key: String,
    /// Where the first of the two is, and the second, in bytes.
    pub first: usize,
    pub second: usize,
}

/// The nodes of a document, each collection before its children.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    documents: Vec<NodeId>,
    repeated: Option<Repeated>,
}

impl Index<NodeId> for Tree {
    type Output = Node;
    fn index(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }
}

impl Tree {
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The first key that appears twice in one map, if there is one.
    pub fn repeated(&self) -> Option<&Repeated> {
        self.repeated.as_ref()
    }

    /// Whether there are aliases in it.
    pub fn has_aliases(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node.kind, NodeKind::Alias(_)))
    }

    /// The root maps: one, but for YAML streams of several documents.
    pub fn documents(&self) -> &[NodeId] {
        &self.documents
    }

    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        Some(self[node].parent).filter(|&parent| parent != NodeId::NONE)
    }

    /// All nodes of a subtree but its root, in document order.
    pub fn descendants(&self, node: NodeId) -> impl Iterator<Item = NodeId> + use<> {
        (node.0 + 1..self[node].end.0).map(NodeId)
    }

    /// The last node of which `is_it` says that it is meant.
    pub fn last(&self, is_it: impl Fn(&Node) -> bool) -> Option<NodeId> {
        self.nodes.iter().rposition(is_it).map(NodeId::new)
    }

    /// Whether `node` is `root` or below it.
    pub fn contains(&self, root: NodeId, node: NodeId) -> bool {
        (root..self[root].end).contains(&node)
    }

    /// Whether a node is one of `roots` or below one: as many steps as it is deep.
    pub fn is_below(&self, roots: &HashSet<NodeId>, node: NodeId) -> bool {
        std::iter::successors(Some(node), |&node| self.parent(node)).any(|node| roots.contains(&node))
    }

    /// The direct children, comments included.
    pub fn children(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let (mut next, end) = (node.0 + 1, self[node].end.0);
        std::iter::from_fn(move || {
            (next < end).then(|| {
                let child = NodeId(next);
                next = self[child].end.0;
                child
            })
        })
    }

    /// The direct children that are no comments.
    pub fn entries(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.children(node).filter(|&child| self[child].kind != NodeKind::Comment)
    }

    /// The entry of a map with this key.
    pub fn entry(&self, source: &str, map: NodeId, key: &str) -> Option<NodeId> {
        if self[map].kind != NodeKind::Map {
            return None;
        }
        self.entries(map).find(|&child| self[child].key.get(source) == key)
    }

    /// The node that an alias stands for, else the node itself.
    pub fn resolve(&self, mut node: NodeId) -> NodeId {
        while let NodeKind::Alias(target) = self[node].kind {
            node = target;
        }
        node
    }

    /// The keys from the root to a node, joined by `.`, with list positions as `[N]`: for messages.
    pub fn path_of(&self, source: &str, node: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = node;
        while let Some(parent) = self.parent(at) {
            names.push(match self[parent].kind {
                NodeKind::List => {
                    format!("[{}]", self.entries(parent).position(|entry| entry == at).unwrap_or(0))
                }
                _ => self[at].key.get(source).to_owned(),
            });
            at = parent;
        }
        let mut path = String::new();
        for name in names.iter().rev() {
            if !path.is_empty() && !name.starts_with('[') {
                path.push('.');
            }
            path.push_str(name);
        }
        path
    }

    /// Walks a subtree in document order, aliases expanded. The visitor gets the keys from the root to the step's node
    /// (list positions leave no trace in them, as in sops's paths).
    pub fn walk<'a>(
        &'a self,
        source: &'a str,
        root: NodeId,
        visit: &mut dyn FnMut(&[&'a str], Step) -> Result<()>,
    ) -> Result<()> {
        let mut budget = AliasBudget::default();
        self.walk_children(source, root, &mut Vec::new(), None, &mut budget, visit)
    }

    fn walk_children<'a>(
        &'a self,
        source: &'a str,
        container: NodeId,
        path: &mut Vec<&'a str>,
        via: Option<NodeId>,
        budget: &mut AliasBudget,
        visit: &mut dyn FnMut(&[&'a str], Step) -> Result<()>,
    ) -> Result<()> {
        budget.depth += 1;
        visit(path, Step::Enter(container))?;
        for child in self.children(container) {
            let at = via.unwrap_or(child);
            let node = self.resolve(child);
            if via.is_some() || node != child {
                budget.spend(self, source, child).map_err(|error| {
                    error.on_line(1 + source[..self[at].span.start()].matches('\n').count())
                })?;
            }
            let keyed = self[container].kind == NodeKind::Map && self[child].kind != NodeKind::Comment;
            if keyed {
                path.push(self[child].key.get(source));
            }
            match self[node].kind {
                NodeKind::Comment if via.is_none() => visit(path, Step::Comment(node))?,
                NodeKind::Comment => {}
                NodeKind::Scalar | NodeKind::Alias(_) => visit(
                    path,
                    Step::Leaf { node, at: if node == child { at } else { via.unwrap_or(child) } },
                )?,
                NodeKind::Map | NodeKind::List => {
                    let via = if node == child { via } else { Some(at) };
                    self.walk_children(source, node, path, via, budget, visit)?;
                }
            }
            if keyed {
                path.pop();
            }
        }
        budget.depth -= 1;
        visit(path, Step::Leave(container))
    }
}

/// What the aliases of a document may still add to it while they are expanded: a short text can stand for a huge one.
pub(super) struct AliasBudget {
    nodes: usize,
    bytes: usize,
    /// How many collections are open.
    pub(super) depth: usize,
}

impl Default for AliasBudget {
    fn default() -> Self {
        Self { nodes: MAX_ALIAS_NODES, bytes: MAX_ALIAS_BYTES, depth: 0 }
    }
}

impl AliasBudget {
    /// Counts an alias, or a node below one; an error without a line when that is too much.
    pub(super) fn spend(&mut self, tree: &Tree, source: &str, node: NodeId) -> Result<()> {
        let too_much = |what: String| {
            Err(Error::new(Kind::Read, what).advise("write the repeated parts out, or remove the aliases"))
        };
        let target = &tree[tree.resolve(node)];
        let is_collection = matches!(target.kind, NodeKind::Map | NodeKind::List);
        if is_collection && self.depth >= MAX_DEPTH {
            return too_much(format!("aliases nest collections deeper than {MAX_DEPTH} levels"));
        }
        let text = if is_collection { 0 } else { target.text.get(source).len() };
        let Some(nodes) = self.nodes.checked_sub(1) else {
            return too_much(format!("aliases expand to more than {MAX_ALIAS_NODES} nodes"));
        };
        let Some(bytes) = self.bytes.checked_sub(text + tree[node].key.get(source).len()) else {
            let limit = MAX_ALIAS_BYTES >> 20;
            return too_much(format!("aliases repeat more than {limit} MiB of text"));
        };
        (self.nodes, self.bytes) = (nodes, bytes);
        Ok(())
    }
}

/// Builds a [`Tree`] from nodes in document order.
#[derive(Debug, Default)]
pub struct TreeBuilder {
    tree: Tree,
    open: Vec<NodeId>,
    last_end: usize,
}

impl TreeBuilder {
    /// The innermost open collection.
    pub fn container(&self) -> Option<NodeId> {
        self.open.last().copied()
    }

    /// How many collections are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Adds a node to the innermost open collection; a collection stays open until [`TreeBuilder::close`].
    pub fn add(
        &mut self,
        kind: NodeKind,
        style: Style,
        key: Option<(Text, Span)>,
        span: Span,
        text: Text,
    ) -> NodeId {
        let id = NodeId::new(self.tree.nodes.len());
        let (key, key_span) = key.unwrap_or_default();
        let parent = self.container().unwrap_or(NodeId::NONE);
        self.tree.nodes.push(Node { kind, style, parent, end: NodeId(id.0 + 1), key, key_span, span, text });
        if parent == NodeId::NONE {
            self.tree.documents.push(id);
        }
        match kind {
            NodeKind::Map | NodeKind::List => self.open.push(id),
            NodeKind::Comment => {}
            NodeKind::Scalar | NodeKind::Alias(_) => self.last_end = span.end(),
        }
        id
    }

    /// Where the last scalar, alias or closed collection ends.
    pub fn last_end(&self) -> usize {
        self.last_end
    }

    /// Closes the innermost open collection, whose last token ends at byte `end`.
    pub fn close(&mut self, end: usize) -> Option<NodeId> {
        let id = self.open.pop()?;
        self.tree.nodes[id.index()].end = NodeId::new(self.tree.nodes.len());
        self.set_end(id, end);
        Some(id)
    }

    /// Says where the last token of a collection ends that may stay open for comments behind it.
    pub fn set_end(&mut self, collection: NodeId, end: usize) {
        let node = &mut self.tree.nodes[collection.index()];
        node.span = Span::new(node.span.start(), end);
        self.last_end = end;
    }

    /// Gives a comment that was added to keep its place its text.
    pub fn set_comment(&mut self, comment: NodeId, text: Span) {
        let node = &mut self.tree.nodes[comment.index()];
        node.span = text;
        node.text = Text::Source(text);
    }

    /// The entry of an open map with this key.
    pub fn open_entry(&self, source: &str, map: NodeId, key: &str) -> Option<NodeId> {
        let below = (map.index() + 1..self.tree.len()).map(NodeId::new);
        let is_entry =
            |&node: &NodeId| self.tree[node].parent == map && self.tree[node].kind != NodeKind::Comment;
        below.filter(is_entry).find(|&node| self.tree[node].key.get(source) == key)
    }

    /// Says that a key appears twice in one map, at these bytes.
    pub fn repeat(&mut self, key: &str, first: usize, second: usize) {
        self.tree.repeated.get_or_insert_with(|| Repeated { key: key.to_owned(), first, second });
    }

    /// Moves the node that was added last before the one added before it: both are leaves of one collection.
    /// Returns false, and does nothing, where that is not so.
    pub fn swap_last_two(&mut self) -> bool {
        let Some([before, last]) = self.tree.nodes.last_chunk::<2>() else { return false };
        let leaf = |node: &Node| !matches!(node.kind, NodeKind::Map | NodeKind::List);
        if before.parent != last.parent || !leaf(before) || !leaf(last) {
            return false;
        }
        let len = self.tree.nodes.len();
        self.tree.nodes.swap(len - 2, len - 1);
        let (a, b) = (NodeId::new(len - 2), NodeId::new(len - 1));
        self.tree.nodes[len - 2].end = b;
        self.tree.nodes[len - 1].end = NodeId(b.0 + 1);
        debug_assert!(a < b);
        true
    }

    pub fn finish(mut self, end: usize) -> Tree {
        while self.close(end).is_some() {}
        self.tree
    }
}

#[cfg(test)]
mod tests {
    use crate::document::testing::read;
    use crate::document::{Format, to_data};

    /// Why the aliases of a YAML text are not expanded, by those who walk and by those who copy.
    fn refused(text: &str) -> Option<String> {
        let document = read(Format::Yaml, text);
        let (tree, root) = (document.tree(), document.tree().documents()[0]);
        let walked = tree.walk(document.source(), root, &mut |_, _| Ok(())).err().map(|e| e.to_string());
        let copied = to_data(&*document, root).err().map(|error| error.to_string());
        assert_eq!(walked, copied);
        walked
    }

    #[test]
    fn what_aliases_repeat_is_bounded() {
        let lists = |text: &str| {
            let line =
                |n: usize| format!("l{}: &l{} [{}]\n", n + 1, n + 1, vec![format!("*l{n}"); 17].join(","));
            format!("l0: &l0 {text}\n{}", (0..4).map(line).collect::<String>())
        };
        assert_eq!(refused(&lists("x")), None);
        let long = refused(&lists(&"x".repeat(4000)));
        assert_eq!(long.as_deref(), Some("line 4: aliases repeat more than 16 MiB of text"));
    }

    #[test]
    fn what_aliases_nest_is_bounded() {
        let chain = |links: usize| {
            let (open, close) = ("[".repeat(90), "]".repeat(90));
            let link = |n: usize| format!("l{}: &l{} {open}*l{n}{close}\n", n + 1, n + 1);
            format!("l0: &l0 x\n{}", (0..links).map(link).collect::<String>())
        };
        assert_eq!(refused(&chain(2)), None);
        let deep = refused(&chain(3));
        assert_eq!(deep.as_deref(), Some("line 4: aliases nest collections deeper than 200 levels"));
    }
}
