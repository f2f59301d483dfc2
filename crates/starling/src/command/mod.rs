//! One file for each command. Each has the same layout: `Args` with its help, `run`, the answer, helpers, tests.

mod backup;
mod completions;
mod contact;
mod delete;
mod demo;
mod device;
mod doctor;
mod edit;
mod events;
mod init;
mod invite;
mod lab;
mod messages;
mod profile;
mod react;
mod restore;
mod run;
mod search;
mod send;
mod settings;
mod status;
mod trace;
mod whoami;

use std::process::ExitCode;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Failure;

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    Restore(restore::Args),
    Backup(backup::Args),
    Device(device::Args),
    Run(run::Args),
    Status(status::Args),
    Whoami(whoami::Args),
    Profile(profile::Args),
    Settings(settings::Args),
    Search(search::Args),
    Contact(contact::Args),
    Invite(invite::Args),
    Send(send::Args),
    Messages(messages::Args),
    Edit(edit::Args),
    Delete(delete::Args),
    React(react::Args),
    Trace(trace::Args),
    Events(events::Args),
    Doctor(doctor::Args),
    Demo(demo::Args),
    Lab(lab::Args),
    Completions(completions::Args),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// Each command's own.
    pub(crate) fn run(self, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
        match self {
            Self::Init(args) => init::run(args, context),
            Self::Restore(args) => restore::run(args, context),
            Self::Backup(args) => backup::run(args, context),
            Self::Device(args) => device::run(args, context),
            Self::Run(args) => run::run(args, context),
            Self::Status(args) => status::run(args, context),
            Self::Whoami(args) => whoami::run(args, context),
            Self::Profile(args) => profile::run(args, context),
            Self::Settings(args) => settings::run(args, context),
            Self::Search(args) => search::run(args, context),
            Self::Contact(args) => contact::run(args, context),
            Self::Invite(args) => invite::run(args, context),
            Self::Send(args) => send::run(args, context),
            Self::Messages(args) => messages::run(args, context),
            Self::Edit(args) => edit::run(args, context),
            Self::Delete(args) => delete::run(args, context),
            Self::React(args) => react::run(args, context),
            Self::Trace(args) => trace::run(args, context),
            Self::Events(args) => events::run(args, context),
            Self::Doctor(args) => doctor::run(args, context),
            Self::Demo(args) => demo::run(args, context),
            Self::Lab(args) => lab::run(args, context),
            Self::Completions(args) => completions::run(args, context),
        }
    }
}
