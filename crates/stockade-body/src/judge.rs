//! Applies a profile's rules to a body while it is read.

mod findings;
mod path;
mod scalar;

use bytes::Bytes;
use stockade_core::{Principal, Refusal};

use crate::{
    ImageFormat, Profile,
    json::{Container, Number, Scalar, Text, Visitor},
    memory::Memory,
    profile::{Kinds, Named, Node, Place, Rule},
    refusal,
};

pub(crate) use findings::Findings;
use path::Segment;

/// Judges one body by a profile.
pub(crate) struct Judge<'a> {
    profile: &'a Profile,
    principal: Option<&'a Principal>,
    memory: &'a Memory,
    body: &'a Bytes,
    /// The objects and arrays that are open, innermost last.
    open: Vec<Frame>,
    /// Where the value is that begins next.
    next: Spot,
    findings: Findings,
}

/// Where a value is, to the rules.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// `None` where no rule is.
    place: Option<Place>,
    /// Whether strings without a rule are prompt.
    texts: bool,
}

/// An object or an array that is open.
struct Frame {
    spot: Spot,
    /// Where it begins in the body.
    begin: usize,
    /// Its member or element that began last.
    last: Segment,
    /// How many members that it must have are not there yet.
    missing: usize,
    image: ImageTypes,
}

/// The types of an image that an object holds; they may come in either order.
#[derive(Clone, Copy, Debug, Default)]
struct ImageTypes {
    declared: Option<ImageFormat>,
    found: Option<ImageFormat>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        profile: &'a Profile,
        principal: Option<&'a Principal>,
        memory: &'a Memory,
        body: &'a Bytes,
    ) -> Self {
        Self {
            profile,
            principal,
            memory,
            body,
            open: Vec::new(),
            next: Spot {
                place: Some(Place::ROOT),
                texts: false,
            },
            findings: Findings::default(),
        }
    }

    pub(crate) fn into_findings(self) -> Findings {
        self.findings
    }

    /// Says where in the body the refusal is about.
    pub(crate) fn locate(&self, refusal: Refusal) -> Refusal {
        let segments = self.open.iter().map(|frame| frame.last);
        match path::display(&self.profile.tree, segments) {
            path if path.is_empty() => refusal,
            path => refusal.with_param(path),
        }
    }

    /// Judges a field of a form, as a member of the root.
    pub(crate) fn field(&mut self, name: &str, text: Text<'_>) -> Result<(), Refusal> {
        self.member(name.as_bytes())?;
        let kinds = self.node().map_or(Kinds::ALL, Node::kinds);
        let scalar = match (text.raw(), Number::parse(text.raw())) {
            _ if kinds.has(Kinds::STRING) => Scalar::String(text),
            (b"true" | b"false", _) => Scalar::Boolean,
            (_, Some(number)) => Scalar::Number(number),
            (_, None) => Scalar::String(text),
        };
        self.scalar(scalar)
    }

    /// Judges a file of a form; a place with rules wants a field.
    pub(crate) fn file(&mut self, name: &str) -> Result<(), Refusal> {
        self.member(name.as_bytes())?;
        match self.next.place {
            None => Ok(()),
            Some(_) => Err(refusal::unsupported()),
        }
    }

    /// The rules for the value that begins next.
    fn node(&self) -> Option<&'a Node> {
        self.next.place.map(|place| self.profile.tree.node(place))
    }

    /// The object or array that the next value is in.
    fn parent(&mut self) -> Option<&mut Frame> {
        self.open.last_mut()
    }
}

impl Visitor for Judge<'_> {
    fn begin(&mut self, container: Container, at: usize) -> Result<(), Refusal> {
        let kind = match container {
            Container::Object => Kinds::OBJECT,
            Container::Array => Kinds::ARRAY,
        };
        let missing = match self.next.place {
            Some(place) if container == Container::Object => {
                self.profile.tree.required(place).count()
            }
            _ => 0,
        };
        if let Some(node) = self.node() {
            scalar::kind(node, kind)?;
        }
        self.open.push(Frame {
            spot: self.next,
            begin: at,
            last: Segment::None,
            missing,
            image: ImageTypes::default(),
        });
        Ok(())
    }

    fn member(&mut self, key: &[u8]) -> Result<(), Refusal> {
        let tree = &self.profile.tree;
        let frame = self.open.last_mut().expect("within an object");
        frame.last = Segment::Unknown;
        let Some(place) = frame.spot.place else {
            self.next = frame.spot;
            return Ok(());
        };
        self.next = match tree.named(place, key) {
            Named::Known(member) => {
                frame.last = Segment::Member(member);
                let required = tree.node(member).is_required();
                frame.missing = frame.missing.saturating_sub(required.into());
                Spot {
                    place: Some(member),
                    texts: false,
                }
            }
            Named::Unknown if tree.node(place).has(&Rule::Closed) => {
                return Err(refusal::unknown_member());
            }
            Named::Unknown => Spot {
                place: None,
                texts: tree.node(place).has(&Rule::Texts),
            },
            Named::Confusable => return Err(refusal::confusable_member()),
        };
        Ok(())
    }

    fn element(&mut self, index: u32) -> Result<(), Refusal> {
        let frame = self.open.last_mut().expect("within an array");
        frame.last = Segment::Element(index);
        let Some(place) = frame.spot.place else {
            self.next = frame.spot;
            return Ok(());
        };
        let node = self.profile.tree.node(place);
        for rule in node.rules() {
            if let Rule::Length(limit) = rule
                && index >= *limit
            {
                return Err(refusal::too_many(limit, "elements"));
            }
        }
        self.next = Spot {
            place: node.elements(),
            texts: node.elements().is_none() && node.has(&Rule::Texts),
        };
        Ok(())
    }

    fn scalar(&mut self, scalar: Scalar<'_>) -> Result<(), Refusal> {
        match (self.node(), scalar) {
            (Some(node), scalar) => self.judge(node, scalar),
            (None, Scalar::String(text)) if self.next.texts => self.count(text.chars()),
            (None, _) => Ok(()),
        }
    }

    fn end(&mut self, at: usize) -> Result<(), Refusal> {
        let frame = self.open.pop().expect("what ends has begun");
        let Some(place) = frame.spot.place else {
            return Ok(());
        };
        let tree = &self.profile.tree;
        if frame.missing > 0 {
            return Err(refusal::missing(tree.required(place).map(Node::name)));
        }
        if let ImageTypes {
            declared: Some(declared),
            found: Some(found),
        } = frame.image
            && declared != found
        {
            return Err(refusal::type_mismatch());
        }
        for rule in tree.node(place).rules() {
            if let Rule::Size(limit) = rule {
                self.measure(at - frame.begin, *limit)?;
            }
        }
        Ok(())
    }
}
