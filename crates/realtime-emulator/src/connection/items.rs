//! What a client does with the conversation's items: it creates, retrieves, truncates and deletes them.

use realtime_protocol::event::*;
use realtime_protocol::id::ItemId;

use crate::connection::fault::Fault;
use crate::connection::outbox::send;
use crate::connection::usage::Tokens;
use crate::connection::{Connection, item_check};

impl Connection {
    pub(super) fn create_item(&mut self, event: ConversationItemCreate) -> Result<(), Fault> {
        let place = self.conversation.place(event.previous_item_id.value())?;
        let format = self.session.config().input_format();
        let entry = item_check::entry(*event.item, format, &self.conversation, &mut self.out.ids)?;
        let (id, item) = (entry.id.clone(), entry.item.clone());
        self.conversation.insert(place, entry);
        let previous = self.conversation.before(&id);
        send!(
            &mut self.out,
            ConversationItemAdded { previous_item_id: previous.clone(), item: item.clone() }
        );
        send!(&mut self.out, ConversationItemDone { previous_item_id: previous, item: item });
        Ok(())
    }

    pub(super) fn retrieve_item(&mut self, id: &ItemId) -> Result<(), Fault> {
        let item = self.conversation.retrieve(id)?;
        send!(&mut self.out, ConversationItemRetrieved { item: item });
        Ok(())
    }

    pub(super) fn truncate_item(&mut self, event: ConversationItemTruncate) -> Result<(), Fault> {
        let ConversationItemTruncate { item_id, content_index, audio_end_ms, .. } = event;
        self.conversation.truncate(&item_id, content_index, audio_end_ms)?;
        send!(
            &mut self.out,
            ConversationItemTruncated {
                item_id: item_id,
                content_index: content_index,
                audio_end_ms: audio_end_ms,
            }
        );
        Ok(())
    }

    pub(super) fn delete_item(&mut self, id: ItemId) -> Result<(), Fault> {
        self.conversation.remove(&id)?;
        self.cache = Tokens::default();
        send!(&mut self.out, ConversationItemDeleted { item_id: id });
        Ok(())
    }
}
