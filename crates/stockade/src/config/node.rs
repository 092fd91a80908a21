//! An untyped configuration: values, each with its origin.

use super::SettingOrigin;

/// A value and its origin.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: SettingOrigin,
}

/// The value of a setting in a file or a variable.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    /// The text of a variable, whose type is that of its setting.
    Untyped(String),
    List(Vec<Node>),
    Table(Table),
}

/// Settings by name, in file order.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

/// A setting and the origin of its name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_origin: SettingOrigin,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn table(origin: SettingOrigin) -> Self {
        Self {
            value: Value::Table(Table::default()),
            origin,
        }
    }

    /// The type of the value, for error messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Text(_) | Value::Untyped(_) => "a string",
            Value::List(_) => "a list",
            Value::Table(_) => "a section",
        }
    }

    /// The value in TOML syntax.
    pub(super) fn to_toml(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(text) | Value::Untyped(text) => format!("{text:?}"),
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(Self::to_toml).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Table(_) => "{…}".to_owned(),
        }
    }
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.key == key)
    }

    /// The value at this path.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        let (first, rest) = path.split_first()?;
        let node = &self.get(first)?.node;
        match (&node.value, rest) {
            (_, []) => Some(node),
            (Value::Table(table), rest) => table.at(rest),
            _ => None,
        }
    }

    /// Removes the value at this path, and returns it.
    pub(super) fn remove(&mut self, path: &[&str]) -> Option<Node> {
        let (first, rest) = path.split_first()?;
        let at = self.0.iter().position(|entry| entry.key == *first)?;
        match (&mut self.0[at].node.value, rest) {
            (_, []) => Some(self.0.remove(at).node),
            (Value::Table(table), rest) => table.remove(rest),
            _ => None,
        }
    }

    /// Sets the value at this path.
    ///
    /// # Errors
    /// When a part of the path is not a section; returns the index of that part.
    pub(super) fn set(&mut self, path: &[&str], node: Node) -> Result<(), usize> {
        let Some((first, rest)) = path.split_first() else {
            return Err(0);
        };
        let origin = node.origin.clone();
        if self.get(first).is_none() {
            let node = match rest {
                [] => node.clone(),
                _ => Node::table(origin.clone()),
            };
            self.0.push(Entry {
                key: (*first).to_owned(),
                key_origin: origin.clone(),
                node,
            });
        }
        let Some(entry) = self.get_mut(first) else {
            return Err(0);
        };
        if rest.is_empty() {
            entry.key_origin = origin;
            entry.node = node;
            return Ok(());
        }
        if matches!(entry.node.value, Value::Null) {
            entry.node.value = Value::Table(Self::default());
        }
        match &mut entry.node.value {
            Value::Table(table) => table.set(rest, node).map_err(|at| at + 1),
            _ => Err(0),
        }
    }

    /// All values except sections, with their paths: `routes[0].path`.
    pub(super) fn leaves(&self) -> Vec<(String, &Node)> {
        let mut leaves = Vec::new();
        for entry in &self.0 {
            collect(entry.key.clone(), &entry.node, &mut leaves);
        }
        leaves
    }
}

fn collect<'n>(path: String, node: &'n Node, leaves: &mut Vec<(String, &'n Node)>) {
    match &node.value {
        Value::Table(table) => {
            for entry in &table.0 {
                collect(format!("{path}.{}", entry.key), &entry.node, leaves);
            }
        }
        Value::List(items)
            if items
                .iter()
                .any(|item| matches!(item.value, Value::Table(_))) =>
        {
            for (at, item) in items.iter().enumerate() {
                collect(format!("{path}[{at}]"), item, leaves);
            }
        }
        _ => leaves.push((path, node)),
    }
}
