//! Applies a profile's rules to a body while it is scanned.

#[cfg(feature = "multipart")]
mod form;
mod frame;
mod image;
mod output;
mod path;
mod plain_chat;
mod scalar;

use bytes::Bytes;
use stockade_core::refusal::Refusal;

use crate::{
    ImageRules, Profile, PromptKey,
    json::{Container, KnownMember, Scalar, Visitor},
    memory::{Caller, MemoryBudget},
    profile::{MemberMatch, Node, ValueKinds},
    refusal,
    scan_error::ScanError,
    work_budget::WorkBudget,
};

use frame::Position;
use path::Segment;

pub(crate) use frame::Frame;
pub(crate) use output::ValidationOutput;

/// Validates one body against a profile.
pub(crate) struct Validator<'a> {
    profile: &'a Profile,
    caller: Caller<'a>,
    memory: &'a MemoryBudget,
    prompt_key: Option<&'a PromptKey>,
    budget: &'a WorkBudget,
    body: &'a Bytes,
    /// The position of the next value.
    next: Position<'a>,
    output: ValidationOutput,
}

impl<'a> Validator<'a> {
    pub(crate) fn new(
        profile: &'a Profile,
        caller: Caller<'a>,
        memory: &'a MemoryBudget,
        prompt_key: Option<&'a PromptKey>,
        budget: &'a WorkBudget,
        body: &'a Bytes,
    ) -> Self {
        Self {
            profile,
            caller,
            memory,
            prompt_key,
            budget,
            body,
            next: Position {
                node: Some(profile.tree.root()),
                texts: false,
            },
            output: ValidationOutput::default(),
        }
    }

    /// Returns the rules for images.
    pub(crate) fn image_rules(&self) -> &'a ImageRules {
        &self.profile.images
    }

    pub(crate) fn into_output(self) -> ValidationOutput {
        self.output
    }
}

impl<'a> Visitor for Validator<'a> {
    type Frame = Frame<'a>;

    fn document(&self) -> Frame<'a> {
        Frame::new(Position::ANYWHERE, 0)
    }

    #[inline(always)]
    fn begin(&mut self, container: Container, at: usize) -> Result<Frame<'a>, ScanError> {
        let mut frame = Frame::new(self.next, at);
        if let Some(node) = self.next.node {
            match container {
                Container::Object => {
                    scalar::kind(node, ValueKinds::OBJECT)?;
                    frame.missing = node.required();
                }
                Container::Array => scalar::kind(node, ValueKinds::ARRAY)?,
            }
        }
        Ok(frame)
    }

    #[inline(always)]
    fn member(&mut self, frame: &mut Frame<'a>, name: &[u8]) -> Result<KnownMember, ScanError> {
        let Some(node) = frame.node else {
            frame.last = Segment::Unknown;
            self.next = frame.position();
            return Ok(KnownMember::None);
        };
        match node.named(name) {
            MemberMatch::Known(place, known) => {
                let member = self.profile.tree.node(place);
                frame.last = Segment::Member(member);
                frame.members.begin(known);
                if member.is_required() {
                    frame.missing = frame.missing.saturating_sub(1);
                }
                self.next = Position {
                    node: Some(member),
                    texts: false,
                };
                Ok(known)
            }
            unknown => {
                frame.last = Segment::Unknown;
                if unknown == MemberMatch::Confusable {
                    return Err(refusal::confusable_member().into());
                }
                if node.is_closed() {
                    return Err(refusal::unknown_member().into());
                }
                self.next = Position {
                    node: None,
                    texts: node.is_prompt(),
                };
                Ok(KnownMember::None)
            }
        }
    }

    #[inline(always)]
    fn element(&mut self, frame: &mut Frame<'a>, index: u32) -> Result<(), ScanError> {
        frame.last = Segment::Element(index);
        let Some(node) = frame.node else {
            self.next = frame.position();
            return Ok(());
        };
        if let Some(limit) = node.length()
            && index >= limit
        {
            return Err(refusal::too_many(limit, "elements").into());
        }
        let elements = self.profile.tree.elements(node);
        self.next = Position {
            node: elements,
            texts: elements.is_none() && node.is_prompt(),
        };
        Ok(())
    }

    #[inline(always)]
    fn scalar(&mut self, frame: &mut Frame<'a>, scalar: Scalar<'_>) -> Result<(), ScanError> {
        match (self.next.node, scalar) {
            (Some(node), Scalar::String(text)) => self.string(node, frame, text),
            (Some(node), Scalar::Null) => Ok(scalar::null(node, frame)?),
            (Some(node), scalar) => Ok(self.other_scalar(node, scalar)?),
            (None, Scalar::String(text)) if self.next.texts => self.prompt(text, text.chars()),
            (None, _) => Ok(()),
        }
    }

    #[inline(always)]
    fn end(&mut self, frame: &Frame<'a>, at: usize) -> Result<(), ScanError> {
        let Some(node) = frame.node else {
            return Ok(());
        };
        if frame.missing > 0 {
            let required = self.profile.tree.required(node);
            return Err(refusal::missing(required.map(Node::name)).into());
        }
        if let Some(number) = frame.members.missing() {
            let member = self.profile.tree.member(node, number);
            return Err(refusal::missing(member.into_iter().map(Node::name)).into());
        }
        if frame.is_mismatched() {
            if self.profile.images.is_strict() {
                return Err(refusal::type_mismatch().into());
            }
            self.output.relabelled_images += 1;
        }
        if let Some(limit) = node.size() {
            self.measure(at - frame.begin, limit)?;
        }
        Ok(())
    }

    #[cold]
    fn locate(&self, refusal: Refusal, open: impl Iterator<Item = Frame<'a>>) -> Refusal {
        // The first frame stands for the document itself.
        match path::display(open.skip(1).map(|frame| frame.last)) {
            path if path.is_empty() => refusal,
            path => refusal.with_param(path),
        }
    }
}
