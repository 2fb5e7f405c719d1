//! Azure Event Grid as a source and a sink: webhooks, and namespaces that are pulled.
//!
//! | file | what |
//! |---|---|
//! | [`webhook`] | what an event subscription sends by HTTP, and how it is answered |
//! | [`schema`] | the EventGrid schema, and the `CloudEvent` that each of its events is; pure |

pub mod schema;
pub mod webhook;
