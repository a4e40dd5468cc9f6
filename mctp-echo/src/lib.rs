#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use mctp::{AsyncListener, AsyncRespChannel, Error};

/// The PCI vendor ID of the Linux MCTP tools.
pub const VENDOR_ID: u16 = 0xCCDE;

/// What follows the vendor ID in an echo message.
pub const SUBTYPE: u8 = 0xF0;

/// Whether `body`, a message of type 7Eh from behind the message type, is an echo request. If so,
/// it is its own response.
pub fn is_request(body: &[u8]) -> bool {
    matches!(body, [high, low, SUBTYPE, ..] if [*high, *low] == VENDOR_ID.to_be_bytes())
}

/// Answers the echo requests that `listener` gets, until it fails; returns why.
///
/// `buffer` holds one request at a time. A request that is longer is not answered. Nor is it an
/// error when a response cannot be sent: the next request is served.
pub async fn serve(listener: &mut impl AsyncListener, buffer: &mut [u8]) -> Error {
    loop {
        match listener.recv(buffer).await {
            Ok((_, integrity_check, body, mut response)) if is_request(body) => {
                // The requester asks again if it did not get it.
                let _ = response.send_vectored(integrity_check, &[body]).await;
            }
            Ok(_) | Err(Error::NoSpace) => {}
            Err(error) => return error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use embassy_futures::block_on;
    use mctp::{AsyncReqChannel, Eid, MsgIC, MsgType, Result};

    use super::*;

    /// Requests to come, and the responses to them. Fails when there are no more.
    #[derive(Default)]
    struct Script {
        requests: VecDeque<Vec<u8>>,
        responses: Vec<Vec<u8>>,
        refuse_responses: bool,
    }

    struct Response<'a>(&'a mut Script);
    struct NoRequests;

    impl AsyncReqChannel for NoRequests {
        async fn send_vectored(&mut self, _: MsgType, _: MsgIC, _: &[&[u8]]) -> Result<()> {
            Err(Error::Unsupported)
        }
        async fn recv<'f>(&mut self, _: &'f mut [u8]) -> Result<(MsgType, MsgIC, &'f mut [u8])> {
            Err(Error::Unsupported)
        }
        fn remote_eid(&self) -> Eid {
            Eid(8)
        }
    }

    impl AsyncRespChannel for Response<'_> {
        type ReqChannel<'a>
            = NoRequests
        where
            Self: 'a;
        async fn send_vectored(&mut self, _: MsgIC, bufs: &[&[u8]]) -> Result<()> {
            if self.0.refuse_responses {
                return Err(Error::TxFailure);
            }
            self.0.responses.push(bufs.concat());
            Ok(())
        }
        fn remote_eid(&self) -> Eid {
            Eid(8)
        }
        fn req_channel(&self) -> Result<NoRequests> {
            Err(Error::Unsupported)
        }
    }

    impl AsyncListener for Script {
        type RespChannel<'a>
            = Response<'a>
        where
            Self: 'a;
        async fn recv<'f>(
            &mut self,
            buf: &'f mut [u8],
        ) -> Result<(MsgType, MsgIC, &'f mut [u8], Response<'_>)> {
            let request = self.requests.pop_front().ok_or(Error::RxFailure)?;
            let buf = buf.get_mut(..request.len()).ok_or(Error::NoSpace)?;
            buf.copy_from_slice(&request);
            Ok((MsgType(0x7E), MsgIC(false), buf, Response(self)))
        }
    }

    fn responses_to(requests: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut script = Script {
            requests: requests.iter().map(|request| request.to_vec()).collect(),
            ..Script::default()
        };
        assert!(matches!(
            block_on(serve(&mut script, &mut [0; 64])),
            Error::RxFailure
        ));
        script.responses
    }

    #[test]
    fn sends_back_what_it_is_sent() {
        let long = [&[0xCC, 0xDE, 0xF0][..], &[0x5A; 61]].concat();
        let requests: [&[u8]; 3] = [&[0xCC, 0xDE, 0xF0], &[0xCC, 0xDE, 0xF0, 1], &long];
        assert_eq!(responses_to(&requests), requests);
    }

    #[test]
    fn leaves_other_vendors_subtypes_and_short_messages_alone() {
        let strangers: [&[u8]; 5] = [
            &[],
            &[0xCC],
            &[0xCC, 0xDE],
            &[0xCC, 0xDF, 0xF0, 1],
            &[0xCC, 0xDE, 0xF1, 1],
        ];
        assert_eq!(responses_to(&strangers), [[0u8; 0]; 0]);
    }

    #[test]
    fn a_request_longer_than_the_buffer_does_not_end_the_service() {
        assert_eq!(
            responses_to(&[&[0xCC; 65], &[0xCC, 0xDE, 0xF0, 7]]),
            [[0xCC, 0xDE, 0xF0, 7]]
        );
    }

    #[test]
    fn a_response_that_cannot_be_sent_does_not_end_the_service() {
        let mut script = Script {
            requests: [vec![0xCC, 0xDE, 0xF0], vec![0xCC, 0xDE, 0xF0]].into(),
            refuse_responses: true,
            ..Script::default()
        };
        assert!(matches!(
            block_on(serve(&mut script, &mut [0; 64])),
            Error::RxFailure
        ));
        assert!(script.requests.is_empty());
    }
}
