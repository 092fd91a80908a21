//! Fields and files of forms.

use super::{Frame, Validator};
use crate::{
    json::{Number, Scalar, Text, Visitor},
    profile::{Node, ValueKinds},
    refusal,
    scan_error::ScanError,
};

impl<'a> Validator<'a> {
    /// Validates a form field as a member of the root object.
    pub(crate) fn field(
        &mut self,
        root: &mut Frame<'a>,
        name: &str,
        text: Text<'_>,
    ) -> Result<(), ScanError> {
        self.member(root, name.as_bytes())?;
        let kinds = self.next.node.map_or(ValueKinds::ALL, Node::kinds);
        let scalar = match (text.raw(), Number::parse(text.raw())) {
            _ if kinds.has(ValueKinds::STRING) => Scalar::String(text),
            (b"true" | b"false", _) => Scalar::Boolean,
            (_, Some(number)) => Scalar::Number(number),
            (_, None) => Scalar::String(text),
        };
        self.scalar(root, scalar)
    }

    /// Validates a form file. A name with rules must be a field.
    pub(crate) fn file(&mut self, root: &mut Frame<'a>, name: &str) -> Result<(), ScanError> {
        self.member(root, name.as_bytes())?;
        match self.next.node {
            None => Ok(()),
            Some(_) => Err(refusal::unsupported().into()),
        }
    }
}
