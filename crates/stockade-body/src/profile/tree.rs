//! The rules of all places, as a tree that is walked along while a body is read.

use super::rule::{Kinds, Rule};

/// The rules of all places; its first node is the body itself.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

/// A place in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Place {
    pub(crate) const ROOT: Self = Self(0);
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// The member's name; empty for the root and for elements.
    name: Box<str>,
    members: Vec<Place>,
    elements: Option<Place>,
    rules: Vec<Rule>,
    /// Whether one of the rules is [`Rule::Required`]: every object is asked that of all its
    /// members, so it is found out when a rule is added.
    is_required: bool,
}

/// What a name is among the members of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Known(Place),
    Unknown,
    /// It differs from a known name in the case of letters.
    Confusable,
}

impl Tree {
    /// A tree without rules.
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }

    /// Adds a rule at this JSON pointer, in which `*` stands for each element.
    pub(crate) fn insert(&mut self, pointer: &str, rule: Rule) {
        let mut place = Place::ROOT;
        let path = pointer.strip_prefix('/').unwrap_or(pointer);
        for segment in path.split('/').filter(|_| !pointer.is_empty()) {
            place = match segment {
                "*" => self.elements(place),
                name => self.member(place, &name.replace("~1", "/").replace("~0", "~")),
            };
        }
        let node = self.node_mut(place);
        let rules = &mut node.rules;
        if rule == Rule::Any {
            rules.clear();
        }
        match rules.iter_mut().find(|other| other.is_same_kind(&rule)) {
            Some(other) => *other = rule,
            None => rules.push(rule),
        }
        node.is_required = node.has(&Rule::Required);
    }

    pub(crate) fn node(&self, place: Place) -> &Node {
        &self.nodes[place.0 as usize]
    }

    fn node_mut(&mut self, place: Place) -> &mut Node {
        &mut self.nodes[place.0 as usize]
    }

    /// What this name is among the members of this place.
    pub(crate) fn named(&self, place: Place, name: &[u8]) -> Named {
        let members = &self.node(place).members;
        let name_of = |place: &Place| self.node(*place).name.as_bytes();
        if let Some(member) = members.iter().find(|member| name_of(member) == name) {
            return Named::Known(*member);
        }
        let is_confusable = |member| fold(name).eq(fold(name_of(member)));
        if members.iter().any(is_confusable) {
            Named::Confusable
        } else {
            Named::Unknown
        }
    }

    /// The members of this place that must be there.
    pub(crate) fn required(&self, place: Place) -> impl Iterator<Item = &Node> {
        let members = self.node(place).members.iter();
        members
            .map(|member| self.node(*member))
            .filter(|node| node.is_required())
    }

    fn elements(&mut self, place: Place) -> Place {
        match self.node(place).elements {
            Some(elements) => elements,
            None => {
                let elements = self.push("");
                self.node_mut(place).elements = Some(elements);
                elements
            }
        }
    }

    fn member(&mut self, place: Place, name: &str) -> Place {
        match self.named(place, name.as_bytes()) {
            Named::Known(member) => member,
            Named::Unknown | Named::Confusable => {
                let member = self.push(name);
                self.node_mut(place).members.push(member);
                member
            }
        }
    }

    fn push(&mut self, name: &str) -> Place {
        let place = u32::try_from(self.nodes.len()).expect("as many places as a person writes");
        self.nodes.push(Node {
            name: name.into(),
            ..Node::default()
        });
        Place(place)
    }
}

impl Node {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn elements(&self) -> Option<Place> {
        self.elements
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(crate) fn has(&self, rule: &Rule) -> bool {
        self.rules.contains(rule)
    }

    pub(crate) fn is_required(&self) -> bool {
        self.is_required
    }

    /// What the value may be, `null` aside.
    pub(crate) fn kinds(&self) -> Kinds {
        if self.has(&Rule::Absent) {
            return Kinds::NONE;
        }
        let by_rules = self.rules.iter().filter_map(Rule::kinds);
        let by_members = (!self.members.is_empty()).then_some(Kinds::OBJECT);
        let by_elements = self.elements.map(|_| Kinds::ARRAY);
        by_rules
            .chain(by_members)
            .chain(by_elements)
            .reduce(Kinds::or)
            .unwrap_or(Kinds::ALL)
    }
}

/// The name as a reader sees it that matches names in any case, as Go's `encoding/json`
/// does: `ſ` is an s to it, and the Kelvin sign a k.
fn fold(mut name: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (byte, rest) = match name {
            [0xC5, 0xBF, rest @ ..] => (b's', rest),
            [0xE2, 0x84, 0xAA, rest @ ..] => (b'k', rest),
            [byte, rest @ ..] => (byte.to_ascii_lowercase(), rest),
            [] => return None,
        };
        name = rest;
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::new();
        tree.insert("/model", Rule::Model);
        tree.insert("/messages/*/a~1b", Rule::Text);
        tree.insert("keys", Rule::Any);
        tree
    }

    #[test]
    fn walks_along_pointers() {
        let tree = tree();
        let Named::Known(messages) = tree.named(Place::ROOT, b"messages") else {
            panic!("unknown");
        };
        let message = tree.node(messages).elements().unwrap();
        let Named::Known(text) = tree.named(message, b"a/b") else {
            panic!("unknown");
        };
        assert_eq!(tree.node(text).rules(), [Rule::Text]);
        assert_eq!(tree.named(message, b"model"), Named::Unknown);
    }

    // An upstream in Go would take either name for the one that was judged.
    #[test]
    fn knows_names_that_some_readers_confuse() {
        let tree = tree();
        for name in ["MODEL", "Model", "me\u{17F}sages", "\u{212A}EY\u{17F}"] {
            assert_eq!(
                tree.named(Place::ROOT, name.as_bytes()),
                Named::Confusable,
                "{name}"
            );
        }
        assert_eq!(tree.named(Place::ROOT, b"models"), Named::Unknown);
    }

    #[test]
    fn a_second_rule_of_a_kind_takes_the_place_of_the_first() {
        let mut tree = tree();
        let Named::Known(keys) = tree.named(Place::ROOT, b"keys") else {
            panic!("unknown");
        };
        tree.insert("/keys", Rule::Integer(0, 1));
        tree.insert("/keys", Rule::Integer(0, 2));
        assert_eq!(tree.node(keys).rules(), [Rule::Any, Rule::Integer(0, 2)]);
        tree.insert("/keys", Rule::Any);
        assert_eq!(tree.node(keys).rules(), [Rule::Any]);
    }
}
