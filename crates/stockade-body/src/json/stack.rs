//! The stack of enclosing objects and arrays.

/// Levels without an allocation; an image in a chat is on the sixth.
const NEAR: usize = 8;

/// A stack whose lower levels are stored inline.
#[derive(Debug)]
pub(super) struct Stack<T> {
    near: [Option<T>; NEAR],
    far: Vec<T>,
    length: usize,
}

impl<T> Stack<T>
where
    T: Copy,
{
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self {
            near: [None; NEAR],
            far: Vec::new(),
            length: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Pushes a copy.
    #[inline(always)]
    pub(super) fn push(&mut self, value: &T) {
        match self.near.get_mut(self.length) {
            Some(place) => *place = Some(*value),
            None => self.push_far(value),
        }
        self.length += 1;
    }

    #[cold]
    fn push_far(&mut self, value: &T) {
        self.far.push(*value);
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.length = self.length.checked_sub(1)?;
        match self.near.get(self.length) {
            Some(value) => *value,
            None => self.far.pop(),
        }
    }

    /// Iterates from bottom to top.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let near = self.near.iter().take(self.length);
        near.flatten().chain(&self.far)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_vector(steps in prop::collection::vec(any::<Option<u8>>(), 0..100)) {
            let (mut stack, mut vector) = (Stack::new(), Vec::new());
            for step in steps {
                match step {
                    Some(value) => {
                        stack.push(&value);
                        vector.push(value);
                    }
                    None => prop_assert_eq!(stack.pop(), vector.pop()),
                }
                prop_assert_eq!(stack.len(), vector.len());
                prop_assert!(stack.iter().eq(&vector));
            }
        }
    }
}
