//! Azure Event Grid as a source and a sink: webhooks, and namespaces that are pulled.
