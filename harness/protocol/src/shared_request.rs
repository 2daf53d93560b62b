//! A request that log, messages and store share instead of each holding a copy.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::replica::Request;

/// A [`Request`] that is never changed any more: a copy costs a count, not memory.
///
/// It is written and read by serde like the request itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedRequest(Arc<Request>);

impl From<Request> for SharedRequest {
    fn from(request: Request) -> SharedRequest {
        SharedRequest(Arc::new(request))
    }
}

impl Deref for SharedRequest {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.0
    }
}

impl Serialize for SharedRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SharedRequest, D::Error> {
        Request::deserialize(deserializer).map(SharedRequest::from)
    }
}
