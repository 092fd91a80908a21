//! How much memory the bodies of all requests may take together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;

/// The bytes that are left for bodies. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<AtomicUsize>);

/// There is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfMemory;

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// How many bytes are left at this moment.
    pub(crate) fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A share of nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share {
            memory: self.clone(),
            bytes: 0,
        }
    }
}

/// Bytes that were taken, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Memory,
    bytes: usize,
}

impl Share {
    /// Takes so many more.
    pub(crate) fn grow(&mut self, by: usize) -> Result<(), OutOfMemory> {
        let take = |left: usize| left.checked_sub(by);
        self.memory
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map_err(|_| OutOfMemory)?;
        self.bytes += by;
        Ok(())
    }

    /// Bytes that hold the share: it is given back when the last clone and the last slice
    /// of them are gone, wherever a handler has taken them.
    pub(crate) fn hold<T>(self, bytes: T) -> Bytes
    where
        T: AsRef<[u8]> + Send + 'static,
    {
        Bytes::from_owner(Held {
            bytes,
            _share: self,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

struct Held<T> {
    bytes: T,
    _share: Share,
}

impl<T> AsRef<[u8]> for Held<T>
where
    T: AsRef<[u8]>,
{
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // B10
    #[test]
    fn is_given_back_with_the_last_slice() {
        let memory = Memory::new(10);
        let mut share = memory.share();
        share.grow(6).unwrap();
        assert_eq!(share.grow(5), Err(OutOfMemory));
        assert_eq!(memory.left(), 4);

        let bytes = share.hold(vec![1; 6]);
        let slice = bytes.slice(2..3);
        drop(bytes);
        assert_eq!(memory.left(), 4);
        drop(slice);
        assert_eq!(memory.left(), 10);
    }
}
