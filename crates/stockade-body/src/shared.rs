//! The state that all clones of a check share.

use crate::{BodyRules, memory::MemoryBudget, slots::ValidationSlots};

/// The state that all clones of a [`BodyCheck`](crate::BodyCheck) share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) rules: BodyRules,
    pub(crate) memory: MemoryBudget,
    pub(crate) slots: ValidationSlots,
}

impl Shared {
    pub(crate) fn new(rules: BodyRules) -> Self {
        let memory = MemoryBudget::new(rules.memory(), rules.memory_per_owner());
        let slots = ValidationSlots::new(rules.max_validation_threads());
        Self {
            rules,
            memory,
            slots,
        }
    }
}
