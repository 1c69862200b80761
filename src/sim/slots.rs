//! Values in numbered places that are used again: payments in flight and those that will try again. Knows nothing of either.

#[derive(Clone, Debug)]
pub(super) struct Slots<T>(Vec<Option<T>>, Vec<u32>);

impl<T> Slots<T> {
    pub(super) fn new() -> Slots<T> {
        Slots(Vec::new(), Vec::new())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    pub(super) fn put(&mut self, value: T) -> u32 {
        if let Some(slot) = self.1.pop() {
            self.0[slot as usize] = Some(value);
            return slot;
        }
        self.0.push(Some(value));
        u32::try_from(self.0.len() - 1).expect("fewer payments are in flight than slots exist")
    }

    pub(super) fn take(&mut self, slot: u32) -> Option<T> {
        let value = self.0[slot as usize].take();
        self.1.push(slot);
        value
    }
}
