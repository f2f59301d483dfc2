//! What the parts beneath report, in words for the user: one table for each part.

use starling_api::types::Code;
use starling_store::StoreError;

use super::Failure;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(code_of(&error), error.to_string(), hint_for(&error))
    }
}

fn code_of(error: &StoreError) -> Code {
    match error {
        StoreError::NoHome(_) | StoreError::NoAccount => Code::NotFound,
        StoreError::Locked { .. }
        | StoreError::AccountExists
        | StoreError::FileExists(_)
        | StoreError::BackupUnderWay => Code::Conflict,
        StoreError::PassphraseWrong => Code::WrongPassphrase,
        StoreError::PassphraseNeeded => Code::BadInput,
        StoreError::OpenToOthers { .. } | StoreError::ForeignOwner { .. } | StoreError::KeyDerivation(_) => {
            Code::Failed
        }
        _ => Code::Storage,
    }
}

fn hint_for(error: &StoreError) -> &'static str {
    match error {
        StoreError::NoHome(_) | StoreError::NoAccount => {
            "make an account with `starling init --name NAME`, or name another home with --home"
        }
        StoreError::Locked { .. } => {
            "use that node, end it first, or name another home with --home; one home has one node"
        }
        StoreError::AccountExists => {
            "an account is never overwritten; `starling run` starts it, --home names another directory"
        }
        StoreError::PassphraseWrong => {
            "check the keyboard layout and capital letters; nothing was changed, and you may try again"
        }
        StoreError::PassphraseNeeded => "use --passphrase-file or STARLING_PASSPHRASE",
        StoreError::OpenToOthers { .. } => "keep the home in a directory of its own",
        StoreError::ForeignOwner { .. } => {
            "run this as the user to whom the home belongs, or name another home"
        }
        StoreError::KeyDerivation(_) => "free some memory and try again",
        StoreError::Full => "make room on the disk and try again; nothing that was stored is lost",
        StoreError::KeyMissing(_) | StoreError::DatabaseMissing(_) => {
            "put the file back from a backup of the whole home"
        }
        StoreError::FileExists(_) => "a backup is never overwritten: name another file",
        StoreError::BackupUnderWay => "wait until that one has ended",
        StoreError::NotABackup(_) => "name the file that `starling backup` wrote, whole",
        StoreError::SchemaTooOld { .. } => "start your peer once with this version: `starling run`",
        StoreError::KeyTooNew { .. } | StoreError::SchemaTooNew { .. } => {
            "this home was used by a newer version of starling; use that version"
        }
        StoreError::KeyDamaged(_)
        | StoreError::NotADatabase(_)
        | StoreError::WrongKey(_)
        | StoreError::Corrupt(_) => {
            "keep a copy of the home as it is, then put it back from a backup; `starling doctor` says more"
        }
        _ => "`starling doctor` looks for the cause",
    }
}
