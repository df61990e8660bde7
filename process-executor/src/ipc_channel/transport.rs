//! The transport of ipc-channel as a pool's supervisor knows it.

use super::feeder::Feeder;
use super::mailbox::{Leavable, Mailbox};
use super::message::{Replies, Sender, receiver_at, sender_at};
use crate::supervisor::transport::{Opened, Transport};
use crate::worker;
use process_core::Entry;
use process_core::system;
use std::io;
use std::sync::Arc;

/// Inputs and replies travel as messages of ipc-channel, over two sockets of each worker.
#[derive(Debug)]
pub(crate) struct IpcChannel;

impl Transport for IpcChannel {
    fn entry(&self) -> Entry {
        worker::entry::<super::worker::IpcChannel>
    }

    fn open(&self) -> io::Result<Opened> {
        let _standard = system::occupy_standard()?;
        let (ours, inputs) = system::packet_socket_pair()?;
        let sender = Sender::new(sender_at(&ours)?)?;
        let (ours, outputs) = system::packet_socket_pair()?;
        let replies = Replies::new(receiver_at(&ours)?)?;
        let start = Box::new(move |pool: &_, index, link: &_| {
            let mailbox = Arc::new(Mailbox::new(Leavable::new(replies, link)));
            Feeder::start(pool, index, link, Leavable::new(sender, link), mailbox.clone())?;
            Ok(mailbox as _)
        });
        Ok(Opened { worker_ends: vec![inputs, outputs], start_relay: Some(start) })
    }
}
