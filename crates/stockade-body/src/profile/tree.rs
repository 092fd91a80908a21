//! The rule tree that the validator walks along with the body.

use super::{
    members::{MemberMatch, Members},
    rule::{Rule, ValueKinds},
};

/// All rules; the first node is the body itself.
#[derive(Clone, Debug)]
pub(crate) struct RuleTree {
    nodes: Vec<Node>,
}

/// The index of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    pub(super) const ROOT: Self = Self(0);
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The member's name; empty for the root and array elements.
    name: Box<str>,
    members: Members,
    elements: Option<NodeId>,
    rules: Vec<Rule>,
    constraints: Constraints,
}

/// The combined effect of a node's rules, computed when a rule is added.
#[derive(Clone, Copy, Debug)]
struct Constraints {
    kinds: ValueKinds,
    is_required: bool,
    is_closed: bool,
    is_prompt: bool,
    length: Option<u32>,
    size: Option<usize>,
    /// The number of required members.
    required: u32,
    strings: StringConstraints,
}

/// The combined effect of the rules for strings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StringConstraints {
    /// Whether the number of characters matters.
    pub(crate) are_counted: bool,
    /// The maximum number of characters.
    pub(crate) chars: u64,
    /// Whether the string is prompt text.
    pub(crate) are_prompt: bool,
    /// Whether the string is a model's name.
    pub(crate) are_models: bool,
    /// Whether other rules apply.
    pub(crate) have_other_rules: bool,
}

impl RuleTree {
    /// Creates a tree without rules.
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![Node::new("".into())],
        }
    }

    /// Adds a rule at a JSON pointer, in which `*` stands for every element.
    pub(crate) fn insert(&mut self, pointer: &str, rule: Rule) {
        let mut id = NodeId::ROOT;
        let mut path = vec![id];
        let pointer_path = pointer.strip_prefix('/').unwrap_or(pointer);
        for segment in pointer_path.split('/').filter(|_| !pointer.is_empty()) {
            id = match segment {
                "*" => self.elements_of(id),
                name => self.member_of(id, &name.replace("~1", "/").replace("~0", "~")),
            };
            path.push(id);
        }
        if let (Rule::RequiresMember(members), [.., around, _]) = (&rule, &*path) {
            for (_, member) in members {
                self.member_of(*around, member);
            }
        }
        let rules = &mut self.node_mut(id).rules;
        if rule == Rule::Any {
            rules.clear();
        }
        match rules.iter_mut().find(|other| other.is_same_kind(&rule)) {
            Some(other) => *other = rule,
            None => rules.push(rule),
        }
        // From the innermost node outwards: a node depends on its members.
        for id in path.into_iter().rev() {
            let required = self.required(self.node(id)).count();
            self.node_mut(id).settle(required);
        }
    }

    pub(crate) fn root(&self) -> &Node {
        self.node(NodeId::ROOT)
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// Returns the node of an array's elements.
    pub(crate) fn elements(&self, node: &Node) -> Option<&Node> {
        node.elements.map(|id| self.node(id))
    }

    /// Returns the member with this index.
    pub(crate) fn member(&self, node: &Node, number: usize) -> Option<&Node> {
        node.members.node_ids().nth(number).map(|id| self.node(id))
    }

    /// Iterates over the required members of an object.
    pub(crate) fn required<'t>(&'t self, node: &'t Node) -> impl Iterator<Item = &'t Node> {
        let members = node.members.node_ids().map(|id| self.node(id));
        members.filter(|member| member.is_required())
    }

    /// Returns the bits of the required members by index; `None` if one is not among the first
    /// 64 members.
    pub(crate) fn required_bits(&self, node: &Node) -> Option<u64> {
        let members = (0..).zip(node.members.node_ids());
        let mut required = members.filter(|(_, id)| self.node(*id).is_required());
        required.try_fold(0, |bits, (index, _)| Some(bits | 1_u64.checked_shl(index)?))
    }

    fn elements_of(&mut self, id: NodeId) -> NodeId {
        match self.node(id).elements {
            Some(elements) => elements,
            None => {
                let elements = self.push("".into());
                self.node_mut(id).elements = Some(elements);
                elements
            }
        }
    }

    fn member_of(&mut self, id: NodeId, name: &str) -> NodeId {
        match self.node(id).named(name.as_bytes()) {
            MemberMatch::Known(member, _) => member,
            MemberMatch::Unknown | MemberMatch::Confusable => {
                let member = self.push(name.into());
                self.node_mut(id).members.add(name, member);
                member
            }
        }
    }

    fn push(&mut self, name: Box<str>) -> NodeId {
        let id = u32::try_from(self.nodes.len()).expect("configured rules are few");
        self.nodes.push(Node::new(name));
        NodeId(id)
    }
}

impl Node {
    fn new(name: Box<str>) -> Self {
        let mut node = Self {
            name,
            members: Members::default(),
            elements: None,
            rules: Vec::new(),
            constraints: Constraints {
                kinds: ValueKinds::ALL,
                is_required: false,
                is_closed: false,
                is_prompt: false,
                length: None,
                size: None,
                required: 0,
                strings: StringConstraints::by(&[]),
            },
        };
        node.settle(0);
        node
    }

    /// Recomputes the constraints, given the number of required members.
    fn settle(&mut self, required: usize) {
        let has = |rule| self.rules.contains(&rule);
        let lengths = self.rules.iter().filter_map(|rule| match rule {
            Rule::MaxItems(length) => Some(*length),
            _ => None,
        });
        let sizes = self.rules.iter().filter_map(|rule| match rule {
            Rule::MaxBytes(bytes) => Some(*bytes),
            _ => None,
        });
        self.constraints = Constraints {
            kinds: self.find_kinds(),
            is_required: has(Rule::Required),
            is_closed: has(Rule::Closed),
            is_prompt: has(Rule::PromptTexts),
            length: lengths.min(),
            size: sizes.min(),
            required: u32::try_from(required).expect("configured rules are few"),
            strings: StringConstraints::by(&self.rules),
        };
    }

    fn find_kinds(&self) -> ValueKinds {
        if self.rules.contains(&Rule::Forbidden) {
            return ValueKinds::NONE;
        }
        let by_rules = self.rules.iter().filter_map(Rule::kinds);
        let by_members = (!self.members.is_empty()).then_some(ValueKinds::OBJECT);
        let by_elements = self.elements.map(|_| ValueKinds::ARRAY);
        by_rules
            .chain(by_members)
            .chain(by_elements)
            .reduce(ValueKinds::or)
            .unwrap_or(ValueKinds::ALL)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Looks up a member's name.
    #[inline(always)]
    pub(crate) fn named(&self, name: &[u8]) -> MemberMatch {
        self.members.find(name)
    }

    /// Returns the constraints for strings.
    pub(crate) fn strings(&self) -> &StringConstraints {
        &self.constraints.strings
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Returns the accepted kinds of values, without `null`.
    pub(crate) fn kinds(&self) -> ValueKinds {
        self.constraints.kinds
    }

    pub(crate) fn is_required(&self) -> bool {
        self.constraints.is_required
    }

    /// Whether members without a rule are refused.
    pub(crate) fn is_closed(&self) -> bool {
        self.constraints.is_closed
    }

    /// Whether strings without a rule are prompt text.
    pub(crate) fn is_prompt(&self) -> bool {
        self.constraints.is_prompt
    }

    /// The maximum number of elements.
    pub(crate) fn length(&self) -> Option<u32> {
        self.constraints.length
    }

    /// The maximum size of the value as written.
    pub(crate) fn size(&self) -> Option<usize> {
        self.constraints.size
    }

    /// The number of required members.
    pub(crate) fn required(&self) -> u32 {
        self.constraints.required
    }
}

impl StringConstraints {
    fn by(rules: &[Rule]) -> Self {
        let limits = rules.iter().filter_map(|rule| match rule {
            Rule::MaxChars(limit) => Some(*limit),
            _ => None,
        });
        let limit = limits.min();
        let are_prompt = rules.contains(&Rule::PromptText);
        Self {
            are_counted: limit.is_some() || are_prompt,
            chars: limit.unwrap_or(u64::MAX),
            are_prompt,
            are_models: rules.contains(&Rule::Model),
            have_other_rules: rules.iter().any(Rule::is_for_unusual_strings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> RuleTree {
        let mut tree = RuleTree::new();
        tree.insert("/model", Rule::Model);
        tree.insert("/messages/*/a~1b", Rule::PromptText);
        tree.insert("keys", Rule::Any);
        tree
    }

    fn named(node: &Node, name: &str) -> MemberMatch {
        node.named(name.as_bytes())
    }

    fn known<'t>(tree: &'t RuleTree, node: &Node, name: &str) -> &'t Node {
        match named(node, name) {
            MemberMatch::Known(id, _) => tree.node(id),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn follows_json_pointers() {
        let tree = tree();
        let messages = known(&tree, tree.root(), "messages");
        let message = tree.elements(messages).unwrap();
        let text = known(&tree, message, "a/b");
        assert_eq!(text.rules(), [Rule::PromptText]);
        assert_eq!(named(message, "model"), MemberMatch::Unknown);
    }

    // A Go upstream would take either name for the validated one.
    #[test]
    fn detects_confusable_names() {
        let tree = tree();
        for name in ["MODEL", "Model", "me\u{17F}sages", "\u{212A}EY\u{17F}"] {
            assert_eq!(named(tree.root(), name), MemberMatch::Confusable, "{name}");
        }
        assert_eq!(named(tree.root(), "models"), MemberMatch::Unknown);
    }

    #[test]
    fn a_second_rule_of_a_kind_replaces_the_first() {
        let mut tree = tree();
        tree.insert("/keys", Rule::Integer(0, 1));
        tree.insert("/keys", Rule::Integer(0, 2));
        let rules = |tree: &RuleTree| known(tree, tree.root(), "keys").rules().to_vec();
        assert_eq!(rules(&tree), [Rule::Any, Rule::Integer(0, 2)]);
        tree.insert("/keys", Rule::Any);
        assert_eq!(rules(&tree), [Rule::Any]);
    }

    #[test]
    fn recomputes_constraints_on_change() {
        let mut tree = tree();
        assert_eq!(tree.root().required(), 0);
        tree.insert("/model", Rule::Required);
        tree.insert("/messages", Rule::Required);
        assert_eq!(tree.root().required(), 2);
        tree.insert("/model", Rule::Any);
        assert_eq!(tree.root().required(), 1);
        let model = known(&tree, tree.root(), "model");
        assert_eq!(
            (model.kinds(), model.is_required()),
            (ValueKinds::ALL, false)
        );
    }
}
