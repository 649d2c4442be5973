//! The Durable Objects: one for each meeting, one for each tenant.

pub(crate) mod calls;
mod meeting_object;
pub(crate) mod meeting_store;
mod sql;
mod tenant_object;

pub(crate) use meeting_object::{
    LIVE_PATH, MEDIA_PATH, MESSAGE_ID_HEADER, PAGE_PATH, Shell, TENANT_HEADER, WEBHOOK_PATH,
};
