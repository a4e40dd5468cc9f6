//! A namespace from its creation to its end (NVM Express Base 2.0, sections 5.22 and 5.23).

use super::expected::{controller_list, namespace_list, same};
use super::management::{Host, size};
use super::nvme_mi::AdminCommand;

/// Blocks of 512 bytes.
const BLOCKS: u64 = 2048;

/// Composite Controller Status Flags: namespace attribute changed, and that of the status as a
/// whole.
const NAMESPACES_CHANGED: u16 = 1 << 6 | 1 << 8;

const NAMESPACE_MANAGEMENT: u8 = 0x0D;
const NAMESPACE_ATTACHMENT: u8 = 0x15;

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
        let controller = controller_list([0].into_iter());
        self.change(NAMESPACE_ATTACHMENT, 0, id, &controller)
            .await?;
        self.expect_lists(Some(id), Some(id)).await?;
        self.poll_subsystem(NAMESPACES_CHANGED).await?;
        self.change(NAMESPACE_ATTACHMENT, 1, id, &controller)
            .await?;
        self.expect_lists(Some(id), None).await?;
        self.poll_subsystem(NAMESPACES_CHANGED).await?;
        self.change(NAMESPACE_MANAGEMENT, 1, id, &[]).await?;
        self.expect_lists(None, None).await?;
        self.poll_subsystem(0).await?;
        Ok(format!(
            "namespace {id}, {}; the lists follow",
            size(BLOCKS * 512)
        ))
    }

    /// Namespace Management, create. Returns the ID.
    async fn create(&self) -> Result<u32, String> {
        let mut data = vec![0; 4096];
        data[..8].copy_from_slice(&BLOCKS.to_le_bytes());
        data[8..16].copy_from_slice(&BLOCKS.to_le_bytes());
        let command = AdminCommand {
            opcode: NAMESPACE_MANAGEMENT,
            data: &data,
            ..AdminCommand::default()
        };
        let id = command.succeed(self.exchanger).await?.value;
        // The lowest that is free.
        let expected = self.model().namespaces.len() as u32 + 1;
        if id != expected {
            return Err(format!("the new namespace is {id}, should be {expected}"));
        }
        Ok(id)
    }

    /// Namespace Management or Attachment with this selection and page of data.
    async fn change(&self, opcode: u8, selection: u32, id: u32, data: &[u8]) -> Result<(), String> {
        let mut page = data.to_vec();
        if !page.is_empty() {
            page.resize(4096, 0);
        }
        let command = AdminCommand {
            opcode,
            namespace: id,
            dwords: [selection, 0],
            data: &page,
            ..AdminCommand::default()
        };
        command.run(self.exchanger).await.map(drop)
    }

    /// The allocated namespaces, and those attached to controller 0, must be those of the model and
    /// these.
    async fn expect_lists(
        &self,
        allocated: Option<u32>,
        attached: Option<u32>,
    ) -> Result<(), String> {
        let found = self.ask_identity(0x10, 0, 0).await?;
        let ids = (1..).zip(&self.model().namespaces).map(|(id, _)| id);
        let list = namespace_list(ids.chain(allocated));
        same("the list of allocated namespaces", &found, &list)?;
        let found = self.ask_identity(0x02, 0, 0).await?;
        let ids = self.attached_namespaces(0).into_iter();
        let list = namespace_list(ids.chain(attached));
        same("the list of controller 0", &found, &list)
    }
}
