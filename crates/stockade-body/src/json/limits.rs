//! How much structure a JSON text may have.

/// How much structure a JSON text may have, whatever it says.
///
/// The text is read without recursion, in memory that grows with the depth and with the
/// members of the objects that are open, and with nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    pub(super) depth: usize,
    pub(super) members: u32,
    pub(super) elements: u32,
    pub(super) values: u32,
}

impl Default for JsonLimits {
    /// 64 levels, 1,024 members an object, 65,536 elements an array, 262,144 values in all.
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
    /// How deep objects and arrays may be nested; 64 unless it is set.
    pub fn depth(mut self, levels: u16) -> Self {
        self.depth = levels.into();
        self
    }

    /// The most members that an object may have; 1,024 unless it is set.
    pub fn members(mut self, members: u32) -> Self {
        self.members = members;
        self
    }

    /// The most elements that an array may have; 65,536 unless it is set.
    pub fn elements(mut self, elements: u32) -> Self {
        self.elements = elements;
        self
    }

    /// The most values of all kinds in the whole text; 262,144 unless it is set.
    ///
    /// This bounds the time that the dearest text takes: one of nothing but brackets costs
    /// a hundred times more a byte than one of long strings.
    pub fn values(mut self, values: u32) -> Self {
        self.values = values;
        self
    }
}
