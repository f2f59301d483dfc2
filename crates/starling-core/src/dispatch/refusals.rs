//! Why a command was refused, in words for the user: what happened, and what to do about it.

use alloc::format;
use alloc::string::{String, ToString as _};

use starling_overlay::io::NotPassed;
use starling_proto::limits;

use crate::identity::LinkError;
use crate::io::{CommandError, ErrorCode};
use crate::meeting::ContactError;
use crate::search::QueryError;
use crate::talking::SendError;
use crate::view::ContactState;

impl CommandError {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }

    pub(super) fn busy(what: &str) -> Self {
        Self::new(ErrorCode::Conflict, format!("too many {what} at once"), "wait for one to end")
    }

    pub(super) fn not_passed(why: NotPassed) -> Self {
        let message = match why {
            NotPassed::Nobody => "no peer is known that could ask in your place",
            NotPassed::Busy => "all peers that could ask in your place have too much to do",
            _ => "no peer that was to ask in your place has answered",
        };
        let hint = "try again; holders see who you are with: starling settings set --pass-on off";
        Self::new(ErrorCode::TimedOut, message, hint)
    }

    pub(super) fn short_word(word: &str) -> Self {
        let message = format!(
            "\"{word}\" needs 3 letters: shorter words are only found whole, and nobody has this one"
        );
        Self::new(ErrorCode::BadInput, message, "type more of the word")
    }

    pub(super) fn disk_full() -> Self {
        let hint = "free some space; half a minute later this can be tried again";
        Self::new(ErrorCode::Storage, "the disk is full, so nothing was changed", hint)
    }

    pub(super) fn revoked() -> Self {
        let hint = "do it on a device that is still one of the account's";
        Self::new(ErrorCode::Conflict, "this device is none of your account's any more", hint)
    }

    pub(super) fn no_such_message() -> Self {
        let hint = "`starling messages WHO --json` shows the ids of a conversation";
        Self::new(ErrorCode::NotFound, "there is no message of this id", hint)
    }

    pub(super) fn long_line() -> Self {
        let message = format!("the status line is too long: at most {} bytes", limits::STATUS_LINE);
        Self::new(ErrorCode::BadInput, message, "say it in fewer words")
    }

    pub(super) fn deleted_message() -> Self {
        let hint = "write another: starling send WHO TEXT";
        Self::new(ErrorCode::Conflict, "that text has been deleted, or its time is over", hint)
    }

    pub(super) fn others_message() -> Self {
        let hint = "what others write you can answer, or react to: starling react ID REACTION";
        Self::new(ErrorCode::Conflict, "only who wrote a text can change or delete it", hint)
    }

    pub(super) fn used_request() -> Self {
        let message = "another message was sent under this request id";
        Self::new(ErrorCode::Conflict, message, "use a new id, 128 random bits, for each message")
    }

    /// Why nothing can be written to somebody who stands like this.
    pub(super) fn not_accepted(state: ContactState) -> Self {
        let (message, hint) = match state {
            ContactState::Requested => (
                "they have not answered your request yet",
                "wait until they accept: `starling contact list` shows how they stand",
            ),
            ContactState::Incoming => {
                ("they ask to be a contact, and you have not answered", "first: starling contact accept WHO")
            }
            ContactState::Declined => {
                ("one of you has declined to be a contact", "ask again: starling contact add ACCOUNT")
            }
            ContactState::Blocked => ("you have blocked them", "first: starling contact unblock WHO"),
            ContactState::Accepted => (
                "nothing can be written to them: no device of theirs is known",
                "wait until their account record has been read, or ask them for an invite",
            ),
        };
        Self::new(ErrorCode::Conflict, message, hint)
    }
}

impl From<SendError> for CommandError {
    fn from(error: SendError) -> Self {
        let hint = match error {
            SendError::NotAccepted => "become contacts first: starling contact add ACCOUNT",
            SendError::NoDevice => "ask them for an invite from a device that they have now",
            SendError::Full(_) => "wait until some of what is waiting has left: starling status",
        };
        Self::new(ErrorCode::Conflict, error.to_string(), hint)
    }
}

impl From<LinkError> for CommandError {
    fn from(error: LinkError) -> Self {
        let (code, hint) = match &error {
            LinkError::OtherAccount(_) => (
                ErrorCode::BadInput,
                "begin anew on the other device, with the account that `starling whoami` shows",
            ),
            LinkError::BadRequest => {
                (ErrorCode::BadInput, "copy all of what `starling device request` shows on the other device")
            }
            LinkError::Revoked => {
                (ErrorCode::Conflict, "begin there in a new home: starling device request --home DIR")
            }
            LinkError::MayNot(Some(_)) => {
                (ErrorCode::Conflict, "do it on the account's first device: `starling device list` shows it")
            }
            LinkError::MayNot(None) => (
                ErrorCode::Conflict,
                "the account's first device is gone: starling restore, with the recovery phrase",
            ),
            LinkError::Full => {
                (ErrorCode::Conflict, "revoke one that is not used: starling device revoke DEVICE")
            }
            LinkError::Unknown => (ErrorCode::NotFound, "`starling device list` shows them"),
            LinkError::Senior => {
                (ErrorCode::Conflict, "do it on the device that `starling device list` shows first")
            }
            LinkError::Itself => (ErrorCode::Conflict, "revoke it on another device of the account"),
            LinkError::Crypto(_) | LinkError::Storage(_) => {
                (ErrorCode::Failed, "`starling doctor` looks for what is wrong")
            }
        };
        Self::new(code, error.to_string(), hint)
    }
}

impl From<ContactError> for CommandError {
    fn from(error: ContactError) -> Self {
        let (code, hint) = match &error {
            ContactError::Unknown(_) => (
                ErrorCode::NotFound,
                "`starling contact list` shows everybody you know, `starling search` finds others",
            ),
            ContactError::Ambiguous(_) => (
                ErrorCode::BadInput,
                "type more of the id, or give one of them a name: starling contact rename",
            ),
            ContactError::Oneself => {
                (ErrorCode::BadInput, "the other's id is wanted: `starling search` finds it")
            }
            ContactError::Exists => (ErrorCode::Conflict, "write to them: starling send WHO TEXT"),
            ContactError::Blocked => (ErrorCode::Conflict, "first: starling contact unblock WHO"),
            ContactError::NotBlocked => (ErrorCode::Conflict, "nothing is to be done"),
            ContactError::NotAsked => (
                ErrorCode::Conflict,
                "`starling contact list` shows who has asked; to ask: starling contact add",
            ),
            ContactError::TooMany(_) => (ErrorCode::Conflict, "remove some first"),
            ContactError::NoteTooLong { .. } => {
                (ErrorCode::BadInput, "say it shorter; the rest can follow as a message")
            }
            ContactError::BadPetname => (
                ErrorCode::BadInput,
                "a name has 1 to 128 bytes, no control characters, and is no account id",
            ),
            ContactError::PetnameTaken(_) => (ErrorCode::Conflict, "choose another name"),
            ContactError::OtherNetwork(_) => {
                (ErrorCode::BadInput, "run a node on that network: starling run --network NAME --join INVITE")
            }
            ContactError::Expired => (ErrorCode::BadInput, "ask for a new one: starling invite"),
            ContactError::ChainTooLong => (ErrorCode::Failed, "ask from the device that was set up first"),
            ContactError::Storage(_) => (ErrorCode::Storage, "`starling doctor` looks for the cause"),
        };
        Self::new(code, error.to_string(), hint)
    }
}

impl From<QueryError> for CommandError {
    fn from(error: QueryError) -> Self {
        let message = match error {
            QueryError::NoWords => "there is no word to search for",
            QueryError::TooManyWords => "a search takes at most 24 words",
        };
        Self::new(ErrorCode::BadInput, message, "try: starling search chess garden")
    }
}
