//! How much a model reasons, as far as its chat template can say it.

use mistralrs::core::ReasoningEffort as EngineEffort;

use crate::chat::ReasoningEffort;

/// The variables for the reasoning that a chat template reads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReasoningSupport {
    can_disable: bool,
    has_effort: bool,
}

/// The values of these variables; `None` is the template's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reasoning {
    pub(super) enabled: Option<bool>,
    pub(super) effort: Option<EngineEffort>,
}

impl ReasoningSupport {
    /// The variables of a chat template.
    pub(super) fn of(template: &str) -> Self {
        Self {
            can_disable: template.contains("enable_thinking"),
            has_effort: template.contains("reasoning_effort"),
        }
    }

    /// The values for an effort; `None` if the model cannot reason more or less. No effort and a
    /// medium effort are the defaults of models without reasoning, so they are always possible.
    pub(super) fn values(self, effort: Option<ReasoningEffort>) -> Option<Reasoning> {
        let Some(effort) = effort else {
            return Some(Reasoning::default());
        };
        let is_off = effort == ReasoningEffort::None;
        let is_default = is_off || effort == ReasoningEffort::Medium;
        if !is_default && !self.can_disable && !self.has_effort {
            return None;
        }
        let engine = match effort {
            ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => {
                EngineEffort::Low
            }
            ReasoningEffort::Medium => EngineEffort::Medium,
            ReasoningEffort::High => EngineEffort::High,
        };
        Some(Reasoning {
            enabled: self.can_disable.then_some(!is_off),
            effort: self.has_effort.then_some(engine),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(
        template: &str,
        effort: ReasoningEffort,
    ) -> Option<(Option<bool>, Option<EngineEffort>)> {
        let values = ReasoningSupport::of(template).values(Some(effort))?;
        Some((values.enabled, values.effort))
    }

    #[test]
    fn templates_get_the_variables_that_they_read() {
        use ReasoningEffort::{High, Low, Medium, None as Off};
        let toggle = "{% if enable_thinking %}";
        assert_eq!(values(toggle, Off), Some((Some(false), None)));
        assert_eq!(values(toggle, High), Some((Some(true), None)));
        let effort = "{{ reasoning_effort }}";
        assert_eq!(values(effort, Low), Some((None, Some(EngineEffort::Low))));
        assert_eq!(values("", Off), Some((None, None)));
        assert_eq!(values("", Medium), Some((None, None)));
        assert_eq!(values("", High), None);
        let unset = ReasoningSupport::of(toggle).values(None);
        assert_eq!(unset, Some(Reasoning::default()));
    }
}
