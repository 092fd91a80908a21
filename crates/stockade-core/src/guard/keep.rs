//! Values that live until a response has ended.

use std::mem;

use super::ResponseHook;

/// A [`ResponseHook`] that keeps a value until the response body has ended, failed or was
/// dropped, and then drops it: a permit, a guard of a gauge, a lock.
///
/// ```
/// use std::sync::Arc;
///
/// use stockade_core::guard::Keep;
///
/// let permit = Arc::new(());
/// let hook = Keep::new(Arc::clone(&permit));
/// assert_eq!(Arc::strong_count(&permit), 2);
/// // The driver drops it when the response body has ended.
/// drop(hook);
/// assert_eq!(Arc::strong_count(&permit), 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep<T>(T);

impl<T> Keep<T> {
    /// Keeps this value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> ResponseHook for Keep<T>
where
    T: Send,
{
    // What drops nothing need not live on.
    const UNTIL_BODY_END: bool = mem::needs_drop::<T>();
}

impl<T> From<T> for Keep<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
