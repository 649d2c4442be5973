//! Something that is done at the end of a scope, a panic included.

/// Does something at the end of a scope, however it ends.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
