//! The typed client: what the command line and every other face call.

mod error;
mod events;
mod transport;

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use starling_proto::ids::MessageId;

pub use error::{ClientError, NotRunning};
pub use events::Events;
use transport::{Answer, Transport};

use crate::announce::Announcement;
use crate::backend::Cursor;
use crate::limits;
use crate::request_id::RequestId;
use crate::server::{REQUEST_ID, VERSION_HEADER};
use crate::token::Token;
use crate::types::{
    AddContactRequest, ChangeContactRequest, ChangeMessageRequest, Contact, Contacts, Devices, ErrorReply,
    InviteReply, InviteRequest, JoinReply, JoinRequest, LinkDeviceRequest, ListedRequest, Messages,
    MessagesRequest, Profile, ProfileRequest, RevokeDeviceRequest, SafetyNumber, SafetyRequest, SearchReply,
    SearchRequest, SendReply, SendRequest, Settings, SettingsRequest, Status, Trace, TypingRequest, WhoAmI,
};

/// How long the client waits for an answer: a little longer than the server does, so that the server's explanation arrives first.
const PATIENCE: Duration = limits::ANSWER_TIME.saturating_add(Duration::from_secs(5));

/// Calls the node of one home. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<Transport>,
    token: Token,
    home: PathBuf,
}

impl Client {
    /// A client of the node that runs for `home`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] if there is no `api.json`, [`ClientError::Announce`] if it is damaged.
    pub fn open(home: &Path) -> Result<Self, ClientError> {
        let Announcement { address, token } = Announcement::read(home)?;
        Ok(Self { transport: Arc::new(Transport::new(address)), token, home: home.to_owned() })
    }

    /// What is going on?
    ///
    /// # Errors
    /// [`ClientError`], as of every call here: no node is running, it refused, or it did not answer.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/api/v1/status").await
    }

    /// Who does the node belong to?
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn whoami(&self) -> Result<WhoAmI, ClientError> {
        self.get("/api/v1/whoami").await
    }

    /// The profile as it stands.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn profile(&self) -> Result<Profile, ClientError> {
        self.get("/api/v1/profile").await
    }

    /// Changes the profile; the profile as it is then.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `bad_input` if a field is too long.
    pub async fn set_profile(&self, request: &ProfileRequest) -> Result<Profile, ClientError> {
        self.post("/api/v1/profile", request).await
    }

    /// Appears in the directory, or no longer; the profile as it is then.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_listed(&self, listed: bool) -> Result<Profile, ClientError> {
        self.post("/api/v1/profile/listed", &ListedRequest { listed }).await
    }

    /// Finds people.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `bad_input` if a word is too short.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchReply, ClientError> {
        self.post("/api/v1/search", request).await
    }

    /// Enters the network.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn join(&self, request: &JoinRequest) -> Result<JoinReply, ClientError> {
        self.post("/api/v1/join", request).await
    }

    /// Everybody who is a contact, asks to be one, or was asked.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn contacts(&self) -> Result<Contacts, ClientError> {
        self.get("/api/v1/contacts").await
    }

    /// Asks somebody to be a contact; accepts them if they have asked. How they stand then.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `bad_input` if `whom` is neither an account id nor an invite.
    pub async fn add_contact(&self, request: &AddContactRequest) -> Result<Contact, ClientError> {
        self.post("/api/v1/contacts/add", request).await
    }

    /// The account's devices.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn devices(&self) -> Result<Devices, ClientError> {
        self.get("/api/v1/devices").await
    }

    /// Makes a device one of the account's; the same one twice is done once. The devices as they are then.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `bad_input` if the code is none of a device that waits for this account, with
    /// `conflict` if this device may not link, or the account has as many as it may.
    pub async fn link_device(&self, code: &str) -> Result<Devices, ClientError> {
        self.post("/api/v1/devices/link", &LinkDeviceRequest { code: code.to_owned() }).await
    }

    /// Takes a device off the account's list, for ever. The devices as they are then.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `not_found` if it is not on the list, with `conflict` if this device may not revoke it.
    pub async fn revoke_device(&self, device: &str) -> Result<Devices, ClientError> {
        self.post("/api/v1/devices/revoke", &RevokeDeviceRequest { device: device.to_owned() }).await
    }

    /// What others learn of us while we talk.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn settings(&self) -> Result<Settings, ClientError> {
        self.get("/api/v1/settings").await
    }

    /// Changes settings; the settings as they are then.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `bad_input` if the status line is too long.
    pub async fn set_settings(&self, request: &SettingsRequest) -> Result<Settings, ClientError> {
        self.post("/api/v1/settings", request).await
    }

    /// Tells a contact that we are typing to them, or have stopped.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `not_found` if there is nobody of that name.
    pub async fn typing(&self, request: &TypingRequest) -> Result<Contact, ClientError> {
        self.post("/api/v1/contacts/typing", request).await
    }

    /// Changes how somebody stands; how they stand then, or stood before they were forgotten.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `not_found` if there is nobody of that name.
    pub async fn change_contact(&self, request: &ChangeContactRequest) -> Result<Contact, ClientError> {
        self.post("/api/v1/contacts/change", request).await
    }

    /// The digits to compare with a contact.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `not_found` if there is nobody of that name.
    pub async fn safety_number(&self, who: &str) -> Result<SafetyNumber, ClientError> {
        self.post("/api/v1/contacts/safety", &SafetyRequest { who: who.to_owned() }).await
    }

    /// Makes an invite for one person.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `bad_input` if it is to live too long.
    pub async fn invite(&self, request: &InviteRequest) -> Result<InviteReply, ClientError> {
        self.post("/api/v1/invites", request).await
    }

    /// Writes a text to a contact: once for each `id`, however often it is called, and across restarts of the node.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `not_found` if there is nobody of that name, with `bad_input` if the text is empty
    /// or too long.
    pub async fn send(&self, request: &SendRequest, id: &RequestId) -> Result<SendReply, ClientError> {
        self.post_as("/api/v1/messages", request, id).await
    }

    /// Says something about a text.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `not_found` if there is no such text, with `conflict` if it is deleted, or somebody
    /// else's that is to be edited or deleted.
    pub async fn change_message(&self, request: &ChangeMessageRequest) -> Result<SendReply, ClientError> {
        self.post("/api/v1/messages/change", request).await
    }

    /// Reads a conversation. The messages of others that it gives count as read.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `not_found` if there is nobody of that name.
    pub async fn messages(&self, request: &MessagesRequest) -> Result<Messages, ClientError> {
        self.post("/api/v1/messages/read", request).await
    }

    /// Why has it not arrived: the steps of one message.
    ///
    /// # Errors
    /// [`ClientError`]; refused with `not_found` if there is no such message.
    pub async fn trace(&self, id: &MessageId) -> Result<Trace, ClientError> {
        self.get(&format!("/api/v1/messages/{id}/trace")).await
    }

    /// The event stream behind `since`, or from now on. Connects at the first [`Events::next`].
    #[must_use]
    pub fn events(&self, since: Option<Cursor>) -> Events {
        Events::new(self.clone(), since)
    }

    /// Asks.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.answer(self.request(Method::GET, path, Bytes::new())?).await
    }

    /// Orders, under a new request id.
    async fn post<B, T>(&self, path: &str, body: &B) -> Result<T, ClientError>
    where
        B: Serialize + Sync,
        T: DeserializeOwned,
    {
        self.post_as(path, body, &RequestId::generate().map_err(ClientError::Random)?).await
    }

    /// Orders. If the connection breaks before the answer it asks once more: the id sees to it that nothing is done twice.
    async fn post_as<B, T>(&self, path: &str, body: &B, id: &RequestId) -> Result<T, ClientError>
    where
        B: Serialize + Sync,
        T: DeserializeOwned,
    {
        let body = serde_json::to_vec(body).map_err(malformed)?;
        let mut request = self.request(Method::POST, path, body.into())?;
        let id = HeaderValue::from_str(id.as_str()).map_err(malformed)?;
        request.headers_mut().insert(REQUEST_ID, id);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self.answer(request.clone()).await {
            Err(ClientError::Broken(_)) => self.answer(request).await,
            result => result,
        }
    }

    /// A request with host and token.
    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
        let text = zeroize::Zeroizing::new(format!("Bearer {}", self.token.reveal()));
        let mut authorization = HeaderValue::from_str(&text).map_err(malformed)?;
        authorization.set_sensitive(true);
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.transport.host())
            .header(AUTHORIZATION, authorization)
            .body(Full::new(body))
            .map_err(malformed)
    }

    async fn answer<T: DeserializeOwned>(&self, request: Request<Full<Bytes>>) -> Result<T, ClientError> {
        let answer = self.exchange(request, PATIENCE).await?;
        parse(&self.transport.read(answer, PATIENCE).await?)
    }

    /// Sends; refusals become errors.
    async fn exchange(&self, request: Request<Full<Bytes>>, time: Duration) -> Result<Answer, ClientError> {
        let answer = self.transport.send(request, time).await?;
        if !answer.response.headers().contains_key(VERSION_HEADER) {
            return Err(ClientError::NotRunning(NotRunning::AnotherListens));
        }
        match answer.response.status() {
            status if status.is_success() => Ok(answer),
            // The token is of this home's file: whoever does not know it is not this home's node.
            StatusCode::UNAUTHORIZED => Err(ClientError::NotRunning(NotRunning::AnotherListens)),
            _ => {
                let reply: ErrorReply = parse(&self.transport.read(answer, time).await?)?;
                Err(ClientError::Refused(reply.error))
            }
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(malformed)
}

fn malformed(error: impl core::fmt::Display) -> ClientError {
    ClientError::Malformed(error.to_string())
}
