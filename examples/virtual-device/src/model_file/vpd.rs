//! The Vital Product Data of a model.

use nvme_mi_responder::world::{Fru, VpdError, VpdStore};
use reference_device::default_fru;

use super::DeviceModel;

/// The least that a device has room for.
const SHORTEST: usize = 256;

/// What a byte is that was never written.
const BLANK: u8 = 0xFF;

/// Vital Product Data of any length, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelVpd(Vec<u8>);

impl ModelVpd {
    /// Those of `model`, with FFh behind them up to 256 bytes.
    pub(crate) fn new(model: &DeviceModel, usb_serial_number: &str) -> Self {
        let mut content = match &model.vpd {
            Some(content) => content.clone(),
            None => fru_of(model, usb_serial_number),
        };
        let length = content.len().max(SHORTEST);
        content.resize(length, BLANK);
        Self(content)
    }

    /// All of them.
    pub fn content(&self) -> &[u8] {
        &self.0
    }
}

fn fru_of(model: &DeviceModel, usb_serial_number: &str) -> Vec<u8> {
    let mut content = vec![BLANK; Fru::length(&model.ports)];
    let identity = model.identity(usb_serial_number, "");
    default_fru()
        .write(&identity, &model.ports, &mut content)
        .expect("texts that the subsystem takes, and as many bytes as there have to be");
    content
}

impl VpdStore for ModelVpd {
    fn size(&self) -> u16 {
        u16::try_from(self.0.len()).unwrap_or(u16::MAX)
    }

    fn read(&mut self, offset: u16, into: &mut [u8]) {
        let rest = self.0.get(usize::from(offset)..).unwrap_or_default();
        if let Some(bytes) = rest.get(..into.len()) {
            into.copy_from_slice(bytes);
        }
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn write(&mut self, offset: u16, data: &[u8]) -> Result<(), VpdError> {
        let rest = self.0.get_mut(usize::from(offset)..);
        let place = rest.and_then(|rest| rest.get_mut(..data.len()));
        place.ok_or(VpdError::Failed)?.copy_from_slice(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vital_product_data_are_those_of_the_boards() {
        let serial_number = "0dc120b82b6f";
        let of_boards = reference_device::default_vpd(serial_number).unwrap();
        let vpd = ModelVpd::new(&DeviceModel::default(), serial_number);
        assert_eq!(vpd.content(), of_boards.content());
    }

    #[test]
    fn each_pcie_port_has_a_record() {
        let mut model = DeviceModel::default();
        model.ports = vec![model.ports[0]; 8];
        let vpd = ModelVpd::new(&model, "1");
        assert_eq!(vpd.size(), 8 + 112 + 64 + 8 * 16);
        assert_eq!(vpd.content()[184 + 7 * 16..][..2], [0x0C, 0x82]);
    }

    #[test]
    fn given_content_is_taken_as_it_is_and_filled_up() {
        let model = DeviceModel {
            vpd: Some(vec![1, 2, 3]),
            ..DeviceModel::default()
        };
        let mut vpd = ModelVpd::new(&model, "1");
        assert_eq!(
            (vpd.size(), &vpd.content()[..4]),
            (256, &[1, 2, 3, 0xFF][..])
        );
        assert_eq!(vpd.write(255, &[7]), Ok(()));
        assert_eq!(vpd.write(255, &[7, 8]), Err(VpdError::Failed));
        let mut last = [0; 2];
        vpd.read(254, &mut last);
        assert_eq!(last, [0xFF, 7]);
    }
}
