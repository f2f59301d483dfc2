//! `starling device link`: the account's list names a new device, and it gets what it needs in a file that it alone opens.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use starling_api::types::Code;
use starling_crypto::kdf::Passphrase;
use starling_proto::identity::DeviceRequest;
use starling_proto::ids::{AccountKey, DeviceKey};
use starling_store::{Home, StoreError};

use crate::client;
use crate::command::backup::{self, Copied, For};
use crate::command::init::as_text;
use crate::context::Context;
use crate::failure::Failure;
use crate::harden::harden;
use crate::output::{Page, Report, bold, dim, plain};

/// On a device of the account: make the device that showed the code one of the account's.
///
/// Writes contacts, messages and settings for it into a file that it alone can open, whatever way the file goes. Your peer
/// must run. The same code again writes the file again.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The code that `starling device request` shows on the new device.
    #[arg(value_parser = code)]
    code: DeviceRequest,

    /// The file to be made.
    file: PathBuf,
}

fn code(text: &str) -> Result<DeviceRequest, String> {
    text.trim().parse().map_err(|error| format!("this is no device code: {error}"))
}

pub(super) fn run(Args { code, file }: &Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    harden();
    // Said before anybody is linked.
    if file.symlink_metadata().is_ok() {
        return Err(StoreError::FileExists(file.clone()).into());
    }
    if file.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        let message = format!("there is no folder for {}", file.display());
        return Err(Failure::new(Code::BadInput, message, "make it first, or name another file"));
    }
    let home = Home::open(&context.home()?)?;
    let passphrase = match home.needs_passphrase()? {
        true => Some(context.passphrase().existing()?),
        false => None,
    };
    let key = home.unlock(passphrase.as_ref())?;
    Context::block_on(async {
        client::connect(home.path())?.link_device(&code.to_string()).await?;
        Ok(())
    })?;
    let secret = secret(code);
    let (copied, bytes, identity) =
        backup::write(&home, &home.readers(&key).open()?, (file, &secret), For::Linking)?;
    context.output.show(&Linked {
        account: identity.account(),
        device: code.body.device,
        file: file.display().to_string(),
        copied,
        bytes,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What the archive of a device is encrypted with.
pub(super) fn secret(request: &DeviceRequest) -> Passphrase {
    Passphrase::new(request.secret.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A device that was linked, as it is shown.
#[derive(Serialize)]
struct Linked {
    #[serde(serialize_with = "as_text")]
    account: AccountKey,
    #[serde(serialize_with = "as_text")]
    device: DeviceKey,
    file: String,
    #[serde(flatten)]
    copied: Copied,
    bytes: u64,
}

impl Report for Linked {
    fn describe<'a>(&'a self, page: &mut Page<'a>) {
        page.line([plain("Linked: "), bold(self.device.to_string())]);
        let Copied { contacts, messages } = self.copied;
        page.table(
            2,
            [
                vec![dim("archive"), plain(&self.file)],
                vec![dim("contacts"), plain(contacts.to_string())],
                vec![dim("messages"), plain(messages.to_string())],
                vec![dim("bytes"), plain(self.bytes.to_string())],
            ],
        );
        page.line([plain("Bring the file to the new device, which alone can open it:")]);
        page.line([plain("starling device join FILE")]);
    }
}
