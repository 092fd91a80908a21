//! Limits on the structure of JSON.

/// Limits on the structure of a JSON document, independent of rules.
///
/// Documents are scanned without recursion. Memory grows only with the depth and with the
/// members of open objects.
///
/// ```
/// use stockade_body::{JsonLimits, Profile};
///
/// let flat = Profile::json().json_limits(JsonLimits::default().depth(2).members(20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    pub(super) depth: usize,
    pub(super) members: u32,
    pub(super) elements: u32,
    pub(super) values: u32,
}

impl Default for JsonLimits {
    /// 64 levels, 1,024 members per object, 65,536 elements per array and 262,144 values.
    fn default() -> Self {
        Self {
            depth: 64,
            members: 1_024,
            elements: 65_536,
            values: 262_144,
        }
    }
}

impl JsonLimits {
    /// Whether all documents with at most this depth, members per object, elements per array and
    /// values are within the limits.
    pub(crate) fn cover(&self, depth: usize, members: u32, elements: u32, values: u32) -> bool {
        self.depth >= depth
            && self.members >= members
            && self.elements >= elements
            && self.values >= values
    }

    /// Sets the maximum nesting depth. Default: 64.
    pub fn depth(mut self, levels: u16) -> Self {
        self.depth = levels.into();
        self
    }

    /// Sets the maximum number of members of an object. Default: 1,024.
    pub fn members(mut self, members: u32) -> Self {
        self.members = members;
        self
    }

    /// Sets the maximum number of elements of an array. Default: 65,536.
    pub fn elements(mut self, elements: u32) -> Self {
        self.elements = elements;
        self
    }

    /// Sets the maximum number of values in the document. Default: 262,144.
    ///
    /// This bounds the worst case: a document of brackets costs a hundred times more per byte
    /// than one of long strings.
    pub fn values(mut self, values: u32) -> Self {
        self.values = values;
        self
    }
}
