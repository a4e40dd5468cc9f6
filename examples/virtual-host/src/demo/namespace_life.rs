//! A namespace from its creation to its end (NVM Express Base 2.0, sections 5.22 and 5.23).

use nvme_mi_responder::wire::{
    self, IdentifyStructure, NamespaceAttachment, NamespaceManagement, NamespaceManagementData,
    SubsystemHealth,
};
use zerocopy::IntoBytes;

use super::expected::{controller_list, namespace_list, same};
use super::management::{Host, size};
use super::nvme_mi::AdminCommand;

/// Blocks of 512 bytes.
const BLOCKS: u64 = 2048;

/// Composite Controller Status Flags: namespace attribute changed, and that of the status as a
/// whole.
const NAMESPACES_CHANGED: u16 =
    SubsystemHealth::NAMESPACE_ATTRIBUTE_CHANGED | SubsystemHealth::CONTROLLER_STATUS_CHANGE;

/// What Namespace Attachment selects.
const ATTACH: u8 = 0;
const DETACH: u8 = 1;
/// What Namespace Management selects. 0 is to create one.
const DELETE: u8 = 1;

impl Host<'_, '_, '_, '_> {
    /// Whether the model has room for one more, and lets hosts make it.
    pub(super) fn can_create_namespace(&self) -> bool {
        let model = self.model();
        let used: u64 = model.namespaces.iter().map(|blocks| blocks * 512).sum();
        model.namespace_management
            && model.namespaces.len() < model.room_for_namespaces
            && model.capacity - used >= BLOCKS * 512
    }

    /// Creates a namespace, attaches it to controller 0, detaches and deletes it. The lists must
    /// follow, and the health poll must tell.
    pub(super) async fn create_and_delete(&self) -> Result<String, String> {
        let id = self.create().await?;
        self.expect_lists(Some(id), None).await?;
        self.attach(ATTACH, id).await?;
        self.expect_lists(Some(id), Some(id)).await?;
        self.poll_subsystem(NAMESPACES_CHANGED).await?;
        self.attach(DETACH, id).await?;
        self.expect_lists(Some(id), None).await?;
        self.poll_subsystem(NAMESPACES_CHANGED).await?;
        let mut delete = NamespaceManagement::default();
        delete.select = DELETE;
        self.change(delete, id, &[]).await?;
        self.expect_lists(None, None).await?;
        self.poll_subsystem(0).await?;
        Ok(format!(
            "namespace {id}, {}; the lists follow",
            size(BLOCKS * 512)
        ))
    }

    /// Namespace Management, create. Returns the ID.
    async fn create(&self) -> Result<u32, String> {
        let mut data = NamespaceManagementData::default();
        data.size.set(BLOCKS);
        data.capacity.set(BLOCKS);
        let create = NamespaceManagement::default();
        let command = AdminCommand::new(0, create).with_data(data.as_bytes());
        let id = command.succeed(self.exchanger).await?.value;
        // The lowest that is free.
        let expected = self.model().namespaces.len() as u32 + 1;
        if id != expected {
            return Err(format!("the new namespace is {id}, should be {expected}"));
        }
        Ok(id)
    }

    /// Namespace Attachment of controller 0.
    async fn attach(&self, select: u8, id: u32) -> Result<(), String> {
        let mut attachment = NamespaceAttachment::default();
        attachment.select = select;
        let controllers = controller_list(&[0]);
        self.change(attachment, id, controllers.as_bytes()).await
    }

    /// A command on a namespace, with these data.
    async fn change(
        &self,
        command: impl wire::AdminCommand,
        id: u32,
        data: &[u8],
    ) -> Result<(), String> {
        let command = AdminCommand::new(0, command)
            .of_namespace(id)
            .with_data(data);
        command.run(self.exchanger).await.map(drop)
    }

    /// The allocated namespaces, and those attached to controller 0, must be those of the model and
    /// these.
    async fn expect_lists(
        &self,
        allocated: Option<u32>,
        attached: Option<u32>,
    ) -> Result<(), String> {
        let found = self
            .ask_identity(IdentifyStructure::ALLOCATED_NAMESPACES, 0, 0)
            .await?;
        let ids = (1..).zip(&self.model().namespaces).map(|(id, _)| id);
        let list = namespace_list(ids.chain(allocated));
        same("the list of allocated namespaces", &found, list.as_bytes())?;
        let found = self
            .ask_identity(IdentifyStructure::ACTIVE_NAMESPACES, 0, 0)
            .await?;
        let ids = self.attached_namespaces(0).into_iter();
        let list = namespace_list(ids.chain(attached));
        same("the list of controller 0", &found, list.as_bytes())
    }
}
