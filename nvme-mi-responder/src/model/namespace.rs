//! Namespaces (NVM Express Base 2.0, sections 3.2.1 and 8.11).

use super::settings::Metadata;
use super::{ControllerId, Model, ModelError};

/// A namespace, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NamespaceId(pub u32);

/// The block sizes of the LBA formats, as powers of two.
pub(crate) const LBA_FORMATS: [u8; 2] = [9, 12];

/// An allocated namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Namespace {
    pub(crate) id: NamespaceId,
    /// Its size in blocks.
    pub(crate) blocks: u64,
    /// Index of its format in [`LBA_FORMATS`].
    pub(crate) format: u8,
    /// No other namespace of this subsystem has or had this number; its identifiers are made of
    /// it.
    pub(crate) serial: u16,
    /// The controllers it is attached to: bit n is the n-th controller of the model.
    pub(crate) attached: u32,
    /// Whether it can be attached to several controllers at once.
    pub(crate) shared: bool,
    /// Namespace Metadata.
    pub(crate) metadata: Metadata,
}

impl Namespace {
    pub(crate) fn block_shift(&self) -> u8 {
        LBA_FORMATS
            .get(usize::from(self.format))
            .copied()
            .unwrap_or(9)
    }

    /// Bytes it takes.
    pub(crate) fn bytes(&self) -> u64 {
        bytes_of(self.blocks, self.block_shift())
    }
}

/// Bytes of `blocks` blocks, as many as can be counted.
pub(crate) fn bytes_of(blocks: u64, shift: u8) -> u64 {
    blocks.saturating_mul(1 << (shift & 0x1F))
}

impl Model<'_> {
    /// Attaches a namespace to a controller.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchNamespace`], [`ModelError::NoSuchController`],
    /// [`ModelError::AlreadyAttached`], [`ModelError::IsPrivate`].
    pub fn attach_namespace(
        &mut self,
        namespace: NamespaceId,
        controller: ControllerId,
    ) -> Result<(), ModelError> {
        let (found, bit) = self.namespace_and_controller(namespace, controller)?;
        if found.attached & bit != 0 {
            return Err(ModelError::AlreadyAttached);
        }
        if found.attached != 0 && !found.shared {
            return Err(ModelError::IsPrivate);
        }
        self.change_attachment(namespace, found.attached | bit);
        Ok(())
    }

    /// Detaches a namespace from a controller.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchNamespace`], [`ModelError::NoSuchController`],
    /// [`ModelError::NotAttached`].
    pub fn detach_namespace(
        &mut self,
        namespace: NamespaceId,
        controller: ControllerId,
    ) -> Result<(), ModelError> {
        let (found, bit) = self.namespace_and_controller(namespace, controller)?;
        if found.attached & bit == 0 {
            return Err(ModelError::NotAttached);
        }
        self.change_attachment(namespace, found.attached & !bit);
        Ok(())
    }

    /// Deletes a namespace, which is first detached.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoSuchNamespace`].
    pub fn delete_namespace(&mut self, namespace: NamespaceId) -> Result<(), ModelError> {
        self.namespace(namespace)
            .ok_or(ModelError::NoSuchNamespace(namespace))?;
        self.change_attachment(namespace, 0);
        self.namespaces.retain(|found| found.id != namespace);
        Ok(())
    }

    /// The namespace, and the bit of the controller in its attachments.
    fn namespace_and_controller(
        &self,
        namespace: NamespaceId,
        controller: ControllerId,
    ) -> Result<(&Namespace, u32), ModelError> {
        let index = self
            .controller_index(controller)
            .ok_or(ModelError::NoSuchController(controller))?;
        let found = self
            .namespace(namespace)
            .ok_or(ModelError::NoSuchNamespace(namespace))?;
        Ok((found, 1u32.unbounded_shl(index as u32)))
    }

    /// Attaches the namespace to the controllers with these bits and no others, and tells those for
    /// which that is a change.
    pub(crate) fn change_attachment(&mut self, id: NamespaceId, attached: u32) {
        let Some(namespace) = self.namespace_mut(id) else {
            return;
        };
        let before = core::mem::replace(&mut namespace.attached, attached);
        self.namespace_changed_in(before ^ attached, id);
    }

    /// The namespace changed for the controllers with these bits.
    pub(crate) fn namespace_changed_in(&mut self, controllers: u32, id: NamespaceId) {
        for index in 0..self.controllers.len() {
            if controllers & 1u32.unbounded_shl(index as u32) != 0 {
                self.namespace_changed(index, id);
            }
        }
    }
}
